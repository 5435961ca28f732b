//! Errors in a command line, in the form in which clap reports its own.

use clap::{
    CommandFactory as _, Error,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::{cli::Cli, model::request::UsageError};

/// The error in clap's form; its [`exit`](Error::exit) ends with the code for a wrong command line.
#[must_use]
pub fn of_usage(error: &UsageError) -> Error {
    match error {
        UsageError::Request(reason) => Cli::command().error(ErrorKind::ValueValidation, reason),
        UsageError::Value {
            option,
            value,
            reason,
        } => {
            // Only a value parser can give clap a reason, so this one refuses every value.
            let reason = reason.clone();
            let refuse = move |_: &str| Err::<String, _>(reason.clone());
            let command = Cli::command().mut_arg(option, |option| option.value_parser(refuse));
            let given = ["tcptrace".into(), format!("--{option}={value}")];
            match command.try_get_matches_from(given) {
                Err(error) => error,
                Ok(_) => Cli::command().error(ErrorKind::ValueValidation, error),
            }
        }
    }
}

/// The error with what it repeats of the command line passed through `clean`, and whether that changed
/// anything. Then clap's proposals, which repeat it with colours, are left out.
#[must_use]
pub fn rewritten(mut error: Error, clean: fn(&str) -> String) -> (Error, bool) {
    let typed = error.context().filter_map(|(kind, value)| {
        let value = match value {
            ContextValue::String(text) => ContextValue::String(clean(text)),
            ContextValue::Strings(texts) => {
                ContextValue::Strings(texts.iter().map(|text| clean(text)).collect())
            }
            _ => return None,
        };
        Some((kind, value))
    });
    let typed: Vec<_> = typed.collect();
    let mut changed = false;
    for (kind, value) in typed {
        let earlier = error.insert(kind, value);
        changed |= earlier.as_ref() != error.get(kind);
    }
    if changed {
        error.insert(ContextKind::Suggested, ContextValue::None);
    }
    (error, changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_refused_as_if_it_had_been_when_it_was_read() {
        let error = of_usage(&UsageError::Value {
            option: "netns",
            value: "-x".into(),
            reason: "there is none".into(),
        });
        assert_eq!(
            error.to_string(),
            "error: invalid value '-x' for '--netns <NETNS>': there is none\n\n\
             For more information, try '--help'.\n"
        );
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn a_request_is_refused_with_how_to_use_the_command() {
        let error = of_usage(&UsageError::Request("it is too much".into()));
        let text = error.to_string();
        assert!(
            text.starts_with("error: it is too much\n\nUsage: tcptrace"),
            "{text}"
        );
        assert_eq!(error.exit_code(), 2);
    }
}
