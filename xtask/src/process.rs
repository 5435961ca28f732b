//! Runs other programs, with errors that say what was attempted.

use std::{
    process::{Command, ExitCode, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// Whether `program` can be started and knows its version.
pub fn is_installed(program: &str) -> bool {
    let mut version = Command::new(program);
    version
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    version.status().is_ok_and(|status| status.success())
}

/// Runs `command` to its end and shows its output; an error unless it succeeds. `doing` completes "cannot …".
pub fn run(command: &mut Command, doing: &str) -> Result<()> {
    let status = status(command, doing)?;
    if !status.success() {
        bail!("cannot {doing}: {} ended with {status}", name(command));
    }
    Ok(())
}

/// Runs `command` to its end, shows its output, and returns its status.
pub fn status(command: &mut Command, doing: &str) -> Result<ExitStatus> {
    command
        .status()
        .with_context(|| format!("cannot {doing}: cannot start {}", name(command)))
}

/// Runs `command` to its end and returns its standard output; its standard error is shown.
pub fn capture(command: &mut Command, doing: &str) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot {doing}: cannot start {}", name(command)))?;
    if !output.status.success() {
        bail!(
            "cannot {doing}: {} ended with {}",
            name(command),
            output.status
        );
    }
    String::from_utf8(output.stdout).with_context(|| {
        format!(
            "cannot {doing}: the output of {} is not UTF-8",
            name(command)
        )
    })
}

/// Like [`run`], but kills the program when it takes longer than `limit`.
pub fn run_within(command: &mut Command, limit: Duration, doing: &str) -> Result<()> {
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot {doing}: cannot start {}", name(command)))?;
    let deadline = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            bail!(
                "cannot {doing}: {} took longer than {limit:?}",
                name(command)
            );
        }
        thread::sleep(Duration::from_millis(50));
    };
    if !status.success() {
        bail!("cannot {doing}: {} ended with {status}", name(command));
    }
    Ok(())
}

/// The exit code to pass on for a program that ended with `status`: its own, or 128 plus the signal's number, like a
/// shell.
pub fn exit_code(status: ExitStatus) -> ExitCode {
    use std::os::unix::process::ExitStatusExt;
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::{
        process::Command,
        time::{Duration, Instant},
    };

    use super::{capture, run, run_within};

    #[test]
    fn a_missing_program_is_named_with_what_it_was_for() {
        let error =
            run(&mut Command::new("/no/such/program"), "test this").expect_err("it is missing");
        assert_eq!(
            error.to_string(),
            "cannot test this: cannot start /no/such/program"
        );
    }

    #[test]
    fn output_is_captured_and_failure_reported() {
        let text =
            capture(Command::new("sh").args(["-c", "echo hello"]), "greet").expect("sh runs");
        assert_eq!(text, "hello\n");
        let error =
            capture(Command::new("sh").args(["-c", "exit 3"]), "greet").expect_err("exits 3");
        assert!(error.to_string().contains("exit status: 3"), "{error}");
    }

    #[test]
    fn a_program_that_hangs_is_killed() {
        let start = Instant::now();
        let error = run_within(
            Command::new("sleep").arg("60"),
            Duration::from_millis(100),
            "nap",
        );
        assert!(error.is_err());
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}
