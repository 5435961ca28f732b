//! The `tcptrace` command.

use std::process::ExitCode;

use clap::Parser as _;
use tcptrace::{
    cli::{self, Cli},
    command::{self, Outcome},
    model::request::UsageError,
    sink::{characters, messages},
    view::{
        layout,
        parts::clean::{clean, message},
    },
};

/// The exit code for more sockets than `--fail-over` allows.
const OVER: u8 = 3;

fn main() -> ExitCode {
    characters::choose(false);
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => refuse(error),
    };
    characters::choose(cli.ascii);
    match command::run(cli.request()) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Over) => ExitCode::from(OVER),
        Err(error) => {
            if let Some(usage) = error.downcast_ref::<UsageError>() {
                refuse(cli::of_usage(usage));
            }
            // There is nowhere to report that standard error is closed.
            messages::tell(format_args!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Ends with the code for a wrong command line, or after the help.
fn refuse(error: clap::Error) -> ! {
    let (error, rewritten) = cli::rewritten(error, clean);
    let plain = error.render().to_string();
    // Where nothing hostile was typed, the colours of the text are clap's own.
    let is_foreign = characters::are_ascii() && !plain.is_ascii();
    if !error.use_stderr() && is_foreign {
        print!("{}", layout::plain::plain(&plain));
        std::process::exit(error.exit_code());
    }
    if error.use_stderr() && (rewritten || is_foreign || message(&plain) != plain) {
        messages::print(plain.trim_end());
        std::process::exit(error.exit_code());
    }
    error.exit()
}
