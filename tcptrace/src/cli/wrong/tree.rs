//! Where in the tree of commands a command line leads, and which command has which option.

use std::ffi::OsString;

use clap::{Arg, Command};

/// Where a command line leads.
pub struct Place<'a> {
    /// The command.
    pub command: &'a Command,
    /// The words that lead to it: `replay FILE stuck`; empty for none.
    pub words: String,
    /// The options of it that are given, in order, with the position in the command line.
    pub given: Vec<(&'a Arg, usize)>,
}

impl Place<'_> {
    /// How it is called: `tcptrace`, `tcptrace replay FILE stuck`.
    pub fn called(&self) -> String {
        joined("tcptrace", &self.words)
    }

    /// The same with what else stands before a command below it: `tcptrace replay FILE`.
    pub fn called_with_values(&self) -> String {
        match self.words.is_empty() {
            true => self.called(),
            false => joined("tcptrace", &words_before(self)),
        }
    }
}

fn joined(first: &str, then: &str) -> String {
    match (first, then) {
        ("", only) | (only, "") => only.to_owned(),
        (first, then) => format!("{first} {then}"),
    }
}

/// The command's name and what else stands before a command below it: `replay FILE`.
pub fn words_of(command: &Command) -> String {
    let mut words = command.get_name().to_owned();
    if command.has_subcommands() {
        for one in command.get_positionals() {
            words.push(' ');
            words.push_str(value_name(one).unwrap_or_default());
        }
    }
    words
}

/// Whether the option takes a value that may stand in the next argument.
pub fn takes_next(option: &Arg) -> bool {
    option.get_action().takes_values() && !option.is_require_equals_set()
}

/// The option with this name: `--pid`, `-o`.
pub fn find<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    let options = command.get_arguments();
    let mut options = options.filter(|one| !one.is_positional() && !one.is_hide_set());
    match name.strip_prefix("--") {
        Some(long) => options.find(|one| one.get_long() == Some(long)),
        None => {
            let mut letters = name.strip_prefix('-')?.chars();
            let letter = letters.next().filter(|_| letters.next().is_none());
            options.find(|one| letter.is_some() && one.get_short() == letter)
        }
    }
}

/// Follows the command line, without the program's name, as far as it can be understood.
pub fn walk<'a>(root: &'a Command, arguments: &[OsString]) -> Place<'a> {
    let mut place = Place {
        command: root,
        words: String::new(),
        given: Vec::new(),
    };
    let mut skip = false;
    for (index, argument) in arguments.iter().enumerate() {
        if std::mem::take(&mut skip) {
            continue;
        }
        let text = argument.to_string_lossy();
        let (name, value) = match text.split_once('=') {
            Some((name, _)) => (name, true),
            None => (&*text, false),
        };
        if text == "--" {
            break;
        } else if name.starts_with("--") {
            if let Some(option) = find(place.command, name) {
                place.given.push((option, index));
                skip = takes_next(option) && !value;
            }
        } else if let Some(letters) = text.strip_prefix('-').filter(|text| !text.is_empty()) {
            for (at, letter) in letters.char_indices() {
                let Some(option) = find(place.command, &format!("-{letter}")) else {
                    break;
                };
                place.given.push((option, index));
                if takes_next(option) {
                    skip = at + letter.len_utf8() == letters.len();
                    break;
                }
            }
        } else if let Some(below) = place.command.find_subcommand(&*text) {
            if place.command.get_name() != root.get_name() {
                place.words = words_before(&place);
            }
            place.words = joined(&place.words, below.get_name());
            place.command = below;
            place.given.clear();
        }
    }
    place
}

/// The words with what else stands before the next command.
fn words_before(place: &Place) -> String {
    let last = place.words.rfind(' ').map_or(0, |at| at + 1);
    format!("{}{}", &place.words[..last], words_of(place.command))
}

/// All commands with the words that lead to them, without those of the program itself, which are `stuck`'s.
pub fn all(root: &Command) -> Vec<(String, &Command)> {
    fn below<'a>(above: &str, command: &'a Command, found: &mut Vec<(String, &'a Command)>) {
        for one in command.get_subcommands().filter(|one| !one.is_hide_set()) {
            found.push((joined(above, one.get_name()), one));
            below(&joined(above, &words_of(one)), one, found);
        }
    }
    let mut found = Vec::new();
    below("", root, &mut found);
    found
}

/// The name that stands for an option's value: `DURATION`.
pub fn value_name(option: &Arg) -> Option<&str> {
    option.get_value_names()?.first().map(|name| name.as_str())
}

/// The option's name: `--output`, or of a positional argument that of its value.
pub fn name_of(option: &Arg) -> String {
    match (option.get_long(), option.get_short()) {
        (Some(long), _) => format!("--{long}"),
        (None, Some(short)) => format!("-{short}"),
        (None, None) => value_name(option).unwrap_or_default().to_owned(),
    }
}

/// The option as it is given: `--output FILE`, `--explain[=N]`, `--json`.
pub fn shown(option: &Arg) -> String {
    let name = name_of(option);
    match value_name(option).filter(|_| option.get_action().takes_values()) {
        None => name,
        Some(_) if option.is_positional() => name,
        Some(value) if option.is_require_equals_set() => format!("{name}[={value}]"),
        Some(value) => format!("{name} {value}"),
    }
}

/// The candidate that is most like the word, if one is: with few letters exchanged, left out or added, or
/// with the word as its beginning.
pub fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    // Longer words than any option are none that is misspelt.
    if word.len() > 40 {
        return None;
    }
    let lower = word.to_lowercase().replace('_', "-");
    let most = (lower.chars().count() / 3).max(1);
    let with_distance = candidates.clone().into_iter().map(|candidate| {
        let name = candidate.to_lowercase().replace('_', "-");
        (distance(&lower, &name), candidate)
    });
    let close = with_distance.filter(|(distance, _)| *distance <= most && *distance < lower.len());
    let close = close.min_by_key(|(distance, _)| *distance);
    let mut longer = candidates.into_iter().filter(|candidate| {
        lower.len() >= 3
            && candidate
                .to_lowercase()
                .replace('_', "-")
                .starts_with(&lower)
    });
    close
        .map(|(_, candidate)| candidate)
        .or_else(|| longer.next())
}

/// How many letters have to be changed, left out or added (Levenshtein), or exchanged with the next one.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut rows = vec![(0..=other.len()).collect::<Vec<usize>>()];
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let change = rows[i][j] + usize::from(a != b);
            let mut least = change.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}
