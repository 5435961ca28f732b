//! What is wrong with the value of an option.

use std::ffi::OsString;

use clap::{Arg, error::ContextKind};

use crate::cli::wrong::{
    parts::{Message, Wrong, either, quoted},
    refused::Refused,
    tree::{self, name_of, nearest, shown, takes_next, value_name},
};

impl Wrong<'_> {
    /// The value is not taken.
    pub fn refused(&self) -> Option<Message> {
        let option = self.option(ContextKind::InvalidArg)?;
        let option = match option.is_require_equals_set() {
            true => name_of(option) + "=",
            false => name_of(option) + " ",
        };
        let value = quoted(&self.typed(ContextKind::InvalidValue), self.clean);
        let reason = std::error::Error::source(self.error)?.downcast_ref::<Refused>()?;
        let why = (self.clean)(&reason.why);
        let advice = (self.clean)(&reason.advice(&option));
        Some(Message::new(format!("{option}{value}: {why}"), advice))
    }

    /// None is given, or none of those that there are.
    pub fn no_such_value(&self) -> Option<Message> {
        let option = self.option(ContextKind::InvalidArg)?;
        let name = name_of(option);
        let value = self.typed(ContextKind::InvalidValue);
        let valid = self.several(ContextKind::ValidValue);
        if value.is_empty() {
            let what = value_name(option).unwrap_or("VALUE");
            let example = valid.first().cloned();
            let example = example.unwrap_or_else(|| example_of(what).to_owned());
            let mut message = Message::new(
                format!("{name} needs a value: {what}"),
                match option.is_require_equals_set() {
                    true => format!("{name}, or {name}={example}"),
                    false => format!("{name} {example}"),
                },
            );
            if let Some(next) = self.next_of(option) {
                message = message.because(format!("what follows is an option: {next}"));
            }
            return Some(match valid.is_empty() {
                true => message.because(help_of(option)),
                false => message.because(format!("it can be {}", either(&valid))),
            });
        }
        let near = nearest(&value, valid.iter().map(String::as_str));
        let near = near.or(valid.first().map(String::as_str))?;
        let shown = quoted(&value, self.clean);
        let message = Message::new(
            format!("{name} {shown}: there is no such value"),
            format!("{name} {near}"),
        );
        Some(message.because(format!("it can be {}", either(&valid))))
    }

    /// What follows the option in the command line.
    fn next_of(&self, option: &Arg) -> Option<String> {
        let is_it = |(one, _): &&(&Arg, usize)| one.get_id() == option.get_id();
        let (_, at) = self.place.given.iter().rev().find(is_it)?;
        let next = self.arguments.get(at + 1)?.to_string_lossy();
        next.starts_with('-').then(|| quoted(&next, self.clean))
    }

    /// A value is given to an option that takes none.
    pub fn takes_none(&self) -> Option<Message> {
        let name = name_of(self.option(ContextKind::InvalidArg)?);
        let value = quoted(&self.typed(ContextKind::InvalidValue), self.clean);
        Some(Message::new(
            format!("{name}={value}: {name} takes no value"),
            name,
        ))
    }

    /// A value that begins as an option does: the next word after an option that needs one.
    pub fn value_like_option(&self, typed: &str) -> Option<Message> {
        let is_it = |one: &OsString| one.to_string_lossy().starts_with(typed);
        let at = self.arguments.iter().position(is_it)?.checked_sub(1)?;
        let before = self.arguments[at].to_string_lossy();
        let option = tree::find(self.place.command, &before)?;
        let value = quoted(&self.arguments[at + 1].to_string_lossy(), self.clean);
        let name = name_of(option);
        takes_next(option).then(|| {
            Message::new(
                format!("{name} {value}: a value that begins with - needs a = before it"),
                format!("{name}={value}"),
            )
        })
    }

    /// An argument is not UTF-8.
    pub fn not_utf8(&self) -> Option<Message> {
        let bad = self.arguments.iter().find(|one| one.to_str().is_none())?;
        let text = quoted(&bad.to_string_lossy(), self.clean);
        let message = Message::new(
            format!("{text}: not all of its bytes are UTF-8"),
            "U+FFFD in the place of such bytes, as names are shown",
        );
        Some(message.because("options, and names in them, are read as UTF-8"))
    }
}

/// The option with what its help says.
pub fn help_of(option: &Arg) -> String {
    let help = option.get_help().map(ToString::to_string);
    let mut help = help.unwrap_or_default();
    // It goes on after the name.
    if let Some(first) = help.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    format!("{}: {help}", shown(option))
}

/// A value for each name of one.
pub fn example_of(value: &str) -> &'static str {
    match value {
        "DURATION" => "30s",
        "STATE" => "CLOSE_WAIT",
        "PID" => "4242",
        "NAME" => "java",
        "PORT" => "443",
        "CIDR" => "10.0.0.0/8",
        "NETNS" => "/proc/4242/ns/net",
        "PATH" => "/system.slice",
        "FAMILY" => "ipv4",
        "SIZE" => "64MiB",
        "FILE" => "leak.jsonl.zst",
        "DIR" => "/var/log/tcp",
        "N" => "20",
        "PART" => "comm",
        _ => "auto",
    }
}
