//! What `-h` and `--help` show: `-h` is one screen, `--help` is all. Both begin with examples.

#[cfg(test)]
mod tests;

use clap::{Arg, ArgAction, Command, CommandFactory as _};

use crate::cli::{
    Cli,
    wrong::tree::{shown, words_of},
};

/// What options are about, in the order in which they are listed.
const HEADINGS: [&str; 5] = ["What to show", "How long", FILTERS, "How to look", "Output"];
const FILTERS: &str = "Filters (several values of one filter: any of them matches)";
/// The most used options first: `-h` lists those that the command has.
const USED: [&str; 14] = [
    "explain",
    "once",
    "older_than",
    "state",
    "by",
    "pid",
    "comm",
    "remote",
    "interval",
    "duration",
    "output",
    "json",
    "all",
    "top",
];
/// The same where all commands have to be on the screen, too; the examples show others.
const USED_OF_ALL: [&str; 3] = ["once", "older_than", "comm"];
/// How many `-h` lists, so that it is one screen.
const MOST: usize = 7;
/// `-h` and `--help` are at most this wide.
const WIDEST: usize = 80;
const TEMPLATE: &str = "\
{about-with-newline}
{usage-heading} {usage}

{before-help}{all-args}{after-help}";

/// The whole command line, with its help.
pub fn command() -> Command {
    let version = Arg::new("version")
        .short('V')
        .long("version")
        .action(ArgAction::Version)
        .help("Print the version");
    let mut command = dressed(Cli::command().disable_version_flag(true).arg(version), "");
    command.build();
    without_help(command)
}

/// The commands without the one called `help`, which still works.
fn without_help(command: Command) -> Command {
    let command = match command.find_subcommand("help") {
        Some(_) => command.mut_subcommand("help", |help| help.hide(true)),
        None => command,
    };
    command.mut_subcommands(without_help)
}

/// The command and those below it, with headings for options, and an own short help.
fn dressed(command: Command, above: &str) -> Command {
    let help = Arg::new("help")
        .short('h')
        .long("help")
        .action(ArgAction::Help)
        .help("Print all options (-h: the most used)");
    let mut command = command
        .disable_help_flag(true)
        .arg(help)
        .help_template(TEMPLATE)
        .max_term_width(WIDEST);
    let ids: Vec<String> = command
        .get_arguments()
        .map(|argument| argument.get_id().to_string())
        .collect();
    // An argument that is changed moves to the end, so that the headings come in their order.
    for heading in HEADINGS {
        for id in ids.iter().filter(|id| heading_of(id) == Some(heading)) {
            command = command.mut_arg(id, |argument| argument.help_heading(heading));
        }
    }
    let command = command.mut_args(|argument| match argument.is_positional() {
        true => argument,
        false => argument.hide_short_help(true),
    });
    let words = format!("{above}{}", words_of(&command));
    let examples = command.get_before_help().map(ToString::to_string);
    let short = short(&command, &words);
    let begin = match &examples {
        Some(examples) => format!("{examples}\n\n{short}"),
        None => short,
    };
    let command = command
        .before_help(begin)
        .before_long_help(examples.unwrap_or_default());
    let below = format!("{words} ");
    command.mut_subcommands(|one| dressed(one, &below))
}

/// What the option is about.
fn heading_of(id: &str) -> Option<&'static str> {
    let [show, long, filters, look, output] = HEADINGS;
    Some(match id {
        "older_than" | "state" | "limit" | "all" | "explain" | "sort" | "all_states" | "by"
        | "top" | "max_keys" | "include_open" => show,
        "once" | "interval" | "duration" => long,
        "pid" | "comm" | "children" | "port" | "remote" | "netns" | "cgroup" | "family" => filters,
        "hook" | "walk" | "accept" | "buffer" | "max_sockets" | "verbose" => look,
        "json" | "output" | "dir" | "rotate_size" | "rotate_keep" | "max_files" | "fail_over"
        | "quiet" | "ascii" | "help" | "version" => output,
        _ => return None,
    })
}

/// The most used options, a line each.
fn short(command: &Command, words: &str) -> String {
    let used = match command.has_subcommands() && !command.is_subcommand_required_set() {
        true if command.get_name() == "tcptrace" => &USED_OF_ALL[..],
        _ => &USED[..],
    };
    let find = |id: &&str| {
        command
            .get_arguments()
            .find(|one| one.get_id().as_str() == *id)
    };
    let options: Vec<(String, String)> = used
        .iter()
        .filter_map(find)
        .take(MOST)
        .map(|option| (shown(option), first_clause(option)))
        .collect();
    let wide = options.iter().map(|(name, _)| name.len()).max();
    let wide = wide.unwrap_or(0);
    let mut lines = vec![format!("Most used (all options: {words} --help):")];
    lines.extend(
        options
            .iter()
            .map(|(name, help)| format!("  {name:wide$}  {help}")),
    );
    if options.is_empty() {
        lines = vec![format!("All options: {words} --help")];
    }
    lines.join("\n")
}

/// The help up to its first pause.
fn first_clause(option: &Arg) -> String {
    let help = option.get_help().map(ToString::to_string);
    let help = help.unwrap_or_default();
    let ends = ["; ", " [", ". ", " ("]
        .into_iter()
        .filter_map(|end| help.find(end));
    let end = ends.min().unwrap_or(help.len());
    help[..end].to_owned()
}
