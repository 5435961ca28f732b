//! The `tcptrace` command.

use std::{
    env,
    io::{self, Write as _},
    process::ExitCode,
};

use tcptrace::{
    cli::{self, Ended},
    command::{self, Outcome},
    model::request::UsageError,
    sink::{characters, messages},
    view::{layout, parts::clean::clean},
};

/// The exit code for more sockets than `--fail-over` allows.
const OVER: u8 = 3;

/// The exit code for a wrong command line.
const WRONG: u8 = 2;

fn main() -> ExitCode {
    characters::choose_colours();
    // Also where the command line is wrong.
    characters::choose(env::args_os().any(|argument| argument == "--ascii"));
    let cli = match cli::parse(env::args_os(), clean) {
        Ok(cli) => cli,
        Err(Ended::Help(help)) => return show(&help),
        Err(Ended::Wrong(text)) => return refuse(&text),
    };
    characters::choose(cli.ascii);
    match command::run(cli.request()) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Over) => ExitCode::from(OVER),
        Ok(Outcome::Unfit) => ExitCode::FAILURE,
        Err(error) => {
            if let Some(usage) = error.downcast_ref::<UsageError>() {
                return refuse(&cli::of_usage(usage, clean));
            }
            messages::explain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Ends with the code for a wrong command line. There is nowhere to report that standard error is closed.
fn refuse(text: &str) -> ExitCode {
    messages::explain(text);
    ExitCode::from(WRONG)
}

/// Shows the help, in colours where they are wanted.
fn show(help: &clap::Error) -> ExitCode {
    let plain = help.render().to_string();
    if characters::are_ascii() && !plain.is_ascii() {
        // Whoever reads it may have seen enough.
        let _ = io::stdout().write_all(layout::plain::plain(&plain).as_bytes());
        return ExitCode::SUCCESS;
    }
    help.exit()
}
