//! Where the kernel, or a sandbox around tcptrace, refuses to confine it, it goes on and says so.

use std::{io, os::unix::process::CommandExt as _, process::Command};

use anyhow::{Context as _, Result, ensure};
use rustix::thread::set_no_new_privs;
use serde_json::Value;
use testbed::{Family, Stage};

use crate::{
    harness::{case::Cases, place::Place},
    run::tool::{Tool, binary},
};

pub fn add(cases: &mut Cases) {
    cases
        .add("confined_by_what_there_is", without_seccomp_and_landlock)
        .here();
}

/// Refuses the calls with which a process confines itself, as an old kernel or a container does.
fn refuse_both() -> io::Result<()> {
    let instruction = |code: u32, jt: u8, k: u32| libc::sock_filter {
        code: code as u16,
        jt,
        jf: 0,
        k,
    };
    let refusal = |errno: i32| libc::SECCOMP_RET_ERRNO | errno.cast_unsigned();
    let is = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let mut program = [
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        instruction(is, 2, libc::SYS_seccomp as u32),
        instruction(is, 2, libc::SYS_landlock_create_ruleset as u32),
        instruction(libc::BPF_RET, 0, libc::SECCOMP_RET_ALLOW),
        instruction(libc::BPF_RET, 0, refusal(libc::EPERM)),
        instruction(libc::BPF_RET, 0, refusal(libc::ENOSYS)),
    ];
    let program = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    set_no_new_privs(true)?;
    let mode = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: the kernel copies the program, which lives longer than the call.
    match unsafe { libc::syscall(libc::SYS_seccomp, mode, 0, &raw const program) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn start(words: &[&str]) -> Result<Tool> {
    let mut command = Command::new(binary());
    command.args(words);
    Place::AsIs.prepare(&mut command);
    // SAFETY: between fork and exec, the closure only makes system calls, on memory of its own. It allocates nothing
    // and takes no lock.
    unsafe { command.pre_exec(refuse_both) };
    Tool::start_command(command)
}

fn without_seccomp_and_landlock() -> Result<()> {
    let mut stage = Stage::new()?;
    let leaked = stage.server_leak(Family::Ipv4, 2)?.len();
    let netns = stage.netns().inode().to_string();
    let words = [
        "stuck",
        "--once",
        "--json",
        "-v",
        "--older-than",
        "0s",
        "--netns",
        &netns,
    ];
    let outcome = start(&words)?.wait()?.success()?;
    ensure!(
        outcome.snapshots()?[0].sockets.len() == leaked,
        "{outcome:?}"
    );
    let said = &outcome.stderr;
    ensure!(
        said.contains("kept: CAP_BPF") && said.contains("no seccomp ("),
        "{said}"
    );
    let outcome = start(&["doctor", "--json"])?.wait()?.success()?;
    let report: Value = serde_json::from_str(&outcome.stdout)?;
    let mut findings = report["findings"].as_array().into_iter().flatten();
    let found = findings.find(|finding| finding["name"] == "confinement");
    let found = found.context("no finding")?;
    let detail = found["detail"].as_str().unwrap_or_default();
    ensure!(
        found["status"] == "degraded"
            && ["no capability is kept", "no seccomp (", "no Landlock ("]
                .iter()
                .all(|words| detail.contains(words)),
        "{found}"
    );
    // A replay has nothing else, and shows what it has.
    start(&["replay", "/dev/null"])?.wait()?.success()?;
    Ok(())
}
