//! What is wrong with a command line: what happened, why, and what to try. The words are those of this
//! program, and not those of the library that reads the command line.

#[cfg(test)]
mod lines_tests;
mod parts;
pub mod refused;
#[cfg(test)]
mod tests;
pub mod tree;
mod value;

use std::ffi::OsString;

use clap::{
    Arg, Command, Error,
    error::{ContextKind, ErrorKind},
};
pub use parts::Clean;

use crate::{
    cli::wrong::{
        parts::{Message, Wrong, either, quoted},
        tree::{Place, name_of, nearest, shown, takes_next, value_name},
        value::{example_of, help_of},
    },
    model::request::UsageError,
};

/// What was found to be wrong when the command was carried out.
#[must_use]
pub fn of_usage(error: &UsageError, clean: Clean) -> String {
    match error {
        UsageError::Request { reason, advice } => {
            Message::new(reason.clone(), advice.clone()).text()
        }
        UsageError::Value {
            option,
            value,
            reason,
            more,
            advice,
        } => {
            let option = format!("--{option}");
            // What a machine says about a name may end with what to give instead.
            let given = reason
                .rsplit_once("; give ")
                .or_else(|| reason.rsplit_once(": give "));
            let (reason, words) = match (advice, given) {
                (Some(advice), _) => (reason.as_str(), advice.clone()),
                (None, Some((reason, give))) => (reason, format!("give {give}")),
                (None, None) => (reason.as_str(), format!("without {option}")),
            };
            let mut message = Message::new(
                format!("{option} {}: {reason}", quoted(value, clean)),
                words,
            );
            message.why.clone_from(more);
            message.text()
        }
    }
}

/// What is wrong with the command line, which begins after the program's name.
#[must_use]
pub fn explain(root: &Command, error: &Error, arguments: &[OsString], clean: Clean) -> String {
    let place = tree::walk(root, arguments);
    let wrong = Wrong {
        root,
        error,
        arguments,
        place,
        clean,
    };
    let message = match error.kind() {
        ErrorKind::ValueValidation => wrong.refused(),
        ErrorKind::InvalidValue => wrong.no_such_value(),
        ErrorKind::TooManyValues => wrong.takes_none(),
        ErrorKind::UnknownArgument => wrong.unknown(&wrong.typed(ContextKind::InvalidArg)),
        ErrorKind::InvalidSubcommand => wrong.word(&wrong.typed(ContextKind::InvalidSubcommand)),
        ErrorKind::ArgumentConflict => wrong.conflict(),
        ErrorKind::MissingRequiredArgument => wrong.missing(),
        ErrorKind::InvalidUtf8 => wrong.not_utf8(),
        _ => None,
    };
    message.unwrap_or_else(|| wrong.other()).text()
}

impl Wrong<'_> {
    /// An option that the command does not have, or a word that is none.
    fn unknown(&self, typed: &str) -> Option<Message> {
        if !typed.starts_with('-') {
            return self.word(typed);
        }
        if let Some(message) = self.value_like_option(typed) {
            return Some(message);
        }
        let name = typed.split('=').next().unwrap_or_default();
        let having: Vec<_> = tree::all(self.root)
            .into_iter()
            .filter_map(|(words, command)| Some((words, tree::find(command, name)?)))
            .collect();
        if let Some((words, option)) = self.closest(&having) {
            let commands: Vec<_> = having.iter().map(|(words, _)| words.clone()).collect();
            let message = Message::new(
                format!("{name} is an option of: {}", commands.join(", ")),
                format!("tcptrace {words} {}", shown(option)),
            );
            return Some(message.because(format!("{} does not have it", self.place.called())));
        }
        let typed = quoted(typed, self.clean);
        let what = format!("{typed}: {} has no such option", self.place.called());
        let advice = self.meant(name).unwrap_or_else(|| self.help());
        Some(Message::new(what, advice))
    }

    /// The command that has the option and is most like this one: with the same words before it.
    fn closest<'b>(&self, having: &'b [(String, &Arg)]) -> Option<&'b (String, &'b Arg)> {
        let same = |(words, _): &&(String, &Arg)| {
            let both = words.split(' ').zip(self.place.words.split(' '));
            both.take_while(|(one, other)| one == other).count()
        };
        // Of several the first.
        having.iter().rev().max_by_key(same)
    }

    /// The option that may have been meant.
    fn meant(&self, name: &str) -> Option<String> {
        // `-json`: the library reads letters.
        let is_it = |one: &&str| one.len() > 2 && one.starts_with(name) && !one.starts_with("--");
        let words: Vec<_> = self
            .arguments
            .iter()
            .map(|one| one.to_string_lossy())
            .collect();
        let long = words.iter().map(|one| &**one).find(is_it);
        let wanted = match (name.strip_prefix("--"), long) {
            (Some(long), _) => long,
            (None, Some(word)) => &word[1..],
            (None, None) => return None,
        };
        let longs = |command: &Command| -> Vec<String> {
            let visible = command.get_arguments().filter(|one| !one.is_hide_set());
            visible
                .filter_map(|one| one.get_long().map(ToOwned::to_owned))
                .collect()
        };
        let here = longs(self.place.command);
        if let Some(near) = nearest(wanted, here.iter().map(String::as_str)) {
            let option = tree::find(self.place.command, &format!("--{near}"))?;
            return Some(format!("{} {}", self.place.called(), shown(option)));
        }
        tree::all(self.root)
            .into_iter()
            .find_map(|(words, command)| {
                let there = longs(command);
                let near = nearest(wanted, there.iter().map(String::as_str))?;
                let option = tree::find(command, &format!("--{near}"))?;
                Some(format!("tcptrace {words} {}", shown(option)))
            })
    }

    /// A word that is neither an option nor one of its values.
    fn word(&self, typed: &str) -> Option<Message> {
        let word = quoted(typed, self.clean);
        let here: Vec<_> = commands(self.place.command);
        let of_root = commands(self.root);
        let called = self.place.called();
        let what = match (here.is_empty(), &self.place.words[..]) {
            (false, "") => format!("{word}: there is no such command"),
            (false, _) => format!("{word}: {called} shows {}", either(&here)),
            (true, _) => format!("{word}: {called} takes options only"),
        };
        if let Some((option, _)) = self.place.given.last().filter(|(option, at)| {
            let next = self
                .arguments
                .get(at + 1)
                .map(|next| next.to_string_lossy());
            option.is_require_equals_set() && next.is_some_and(|next| next == typed)
        }) {
            let name = name_of(option);
            return Some(Message::new(
                format!("{name} {word}: the value of {name} needs a = before it"),
                format!("{name}={word}"),
            ));
        }
        let near = nearest(typed, here.iter().map(String::as_str));
        let advice = match (near, typed) {
            (Some(near), _) => format!("{} {near}", self.place.called_with_values()),
            (None, _) if of_root.iter().any(|one| one == typed) => format!("tcptrace {typed}"),
            (None, _) if is_about(&self.place, "pid") && typed.parse::<u32>().is_ok() => {
                format!("{called} --pid {typed}")
            }
            (None, _) => self.help(),
        };
        let message = Message::new(what, advice);
        Some(match self.place.words.is_empty() {
            true => message.because(format!("commands are {}", either(&of_root))),
            false => message,
        })
    }

    fn conflict(&self) -> Option<Message> {
        let command = self.typed(ContextKind::InvalidSubcommand);
        if !command.is_empty() {
            return self.before_command(&command);
        }
        let one = self.option(ContextKind::InvalidArg)?;
        let others = self.several(ContextKind::PriorArg);
        let others: Vec<_> = others.iter().filter_map(|text| self.named(text)).collect();
        let name = name_of(one);
        if others.is_empty() || others.iter().any(|other| other.get_id() == one.get_id()) {
            return Some(Message::new(
                format!("{name} is given more than once, and takes one value"),
                format!("give {name} once"),
            ));
        }
        let names: Vec<_> = others.iter().map(|other| name_of(other)).collect();
        let mut message = Message::new(
            format!("{name} cannot be used with {}", names.join(", ")),
            format!("without {name}, or without {}", names.join(", ")),
        );
        for option in [one].into_iter().chain(others) {
            message = message.because(help_of(option));
        }
        Some(message)
    }

    /// Options of `stuck` before another command's name.
    fn before_command(&self, typed: &str) -> Option<Message> {
        let root = tree::walk(self.root, &[]);
        let root = Wrong {
            place: root,
            ..*self
        };
        let Some(command) = self.root.find_subcommand(typed) else {
            let given = tree::walk(self.root, self.arguments).given;
            let place = Place {
                given,
                ..root.place
            };
            return Wrong { place, ..*self }.word(typed);
        };
        let before = self.several(ContextKind::PriorArg);
        let before: Vec<_> = before.iter().filter_map(|text| root.named(text)).collect();
        let names: Vec<_> = before.iter().map(|one| name_of(one)).collect();
        let has = |one: &&Arg| tree::find(command, &name_of(one)).is_some();
        let has_id = |(one, _): &&(&Arg, usize)| has(one);
        let line = tree::walk(self.root, &self.until(typed)).given;
        let options: Vec<_> = line
            .iter()
            .filter(has_id)
            .map(|given| self.as_given(*given))
            .collect();
        let called = format!("tcptrace {typed}");
        let advice = match options.is_empty() {
            true => called,
            false => format!("{called} {}", options.join(" ")),
        };
        let message = Message::new(
            format!("{} stands before the command {typed}", names.join(", ")),
            advice,
        );
        Some(message.because("options come after the command; those without a command are stuck's"))
    }

    /// The arguments before this one.
    fn until(&self, typed: &str) -> Vec<OsString> {
        let before = self.arguments.iter().take_while(|one| *one != typed);
        before.cloned().collect()
    }

    /// The option with its value, as in the command line.
    fn as_given(&self, (option, at): (&Arg, usize)) -> String {
        let word = |at: usize| {
            let word = self.arguments.get(at).map(|word| word.to_string_lossy());
            quoted(&word.unwrap_or_default(), self.clean)
        };
        let has_value = self.arguments[at].to_string_lossy().contains('=');
        match takes_next(option) && !has_value {
            true => format!("{} {}", word(at), word(at + 1)),
            false => word(at),
        }
    }

    fn missing(&self) -> Option<Message> {
        let missing = self.several(ContextKind::InvalidArg);
        let missing: Vec<_> = missing.iter().filter_map(|text| self.named(text)).collect();
        let names: Vec<_> = missing.iter().copied().map(shown).collect();
        let called = self.place.called();
        // Which option needs it is found out by giving each alone.
        let needs = |(option, _): &&(&Arg, usize)| {
            let mut words: Vec<_> = self.place.words.split(' ').map(ToOwned::to_owned).collect();
            words.retain(|word| !word.is_empty());
            let name = name_of(option);
            words.push(match value_name(option) {
                Some(value) if takes_next(option) => format!("{name}={}", example_of(value)),
                _ => name,
            });
            let line = ["tcptrace".to_owned()].into_iter().chain(words);
            let error = self.root.clone().try_get_matches_from(line).err();
            error.is_some_and(|error| error.kind() == ErrorKind::MissingRequiredArgument)
        };
        let (who, advice) = match self.place.given.iter().find(needs) {
            Some((option, _)) => (
                name_of(option),
                format!("{called} {} {}", names.join(" "), shown(option)),
            ),
            None => (called.clone(), format!("{called} {}", names.join(" "))),
        };
        let what = format!("{who} needs {}", names.join(" and "));
        let mut message = Message::new(what, advice);
        for option in missing {
            message = message.because(help_of(option));
        }
        Some(message)
    }

    /// What nothing above is about.
    fn other(&self) -> Message {
        let text = (self.clean)(&self.error.kind().to_string());
        let line: Vec<_> = self
            .arguments
            .iter()
            .map(|one| quoted(&one.to_string_lossy(), self.clean))
            .collect();
        Message::new(format!("{}: {text}", line.join(" ")), self.help())
    }
}

/// Whether the command has the option.
fn is_about(place: &Place, long: &str) -> bool {
    tree::find(place.command, &format!("--{long}")).is_some()
}

/// The names of the commands below.
fn commands(command: &Command) -> Vec<String> {
    let all = command.get_subcommands();
    let visible = all.filter(|one| !one.is_hide_set());
    visible.map(|one| one.get_name().to_owned()).collect()
}
