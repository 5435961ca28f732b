//! In words: values of a filter that nothing has.

use crate::model::filter::absent::{Absent, Values, Whole};

/// How many values are named.
const NAMED: usize = 8;

/// What nothing has, in words: not yet fit for a terminal.
#[must_use]
pub fn text(absent: &Absent) -> String {
    let subject = match &absent.values {
        Values::Processes(pids) => return processes(pids, absent.whole),
        Values::Names(names) => {
            let names = either(names.iter().map(String::as_str));
            return match absent.whole {
                Whole::Machine => format!("no process has the name {names}"),
                Whole::Visible => format!(
                    "no process that tcptrace can see has the name {names}, and it does not see all"
                ),
                Whole::Recording => format!("no process in the recording has the name {names}"),
            };
        }
        Values::Netns(inode) => format!("network namespace {inode}"),
        Values::Cgroup(path) if path.is_empty() => "control group /".into(),
        Values::Cgroup(path) => format!("control group {path}"),
    };
    match (absent.whole, &absent.values) {
        (Whole::Machine, Values::Netns(_)) => {
            format!("there is no {subject} that a process, a descriptor or a mount leads to")
        }
        (Whole::Machine, _) => format!("there is no {subject}"),
        (Whole::Visible, _) => {
            format!("there is no {subject} that tcptrace can see, and it does not see all")
        }
        (Whole::Recording, _) => format!("there is no {subject} in the recording"),
    }
}

/// The same where the option and its values stand before it.
#[must_use]
pub fn reason(absent: &Absent) -> String {
    match (&absent.values, absent.whole, absent.count()) {
        (Values::Names(_), Whole::Machine, 1) => "no process has this name".into(),
        (Values::Names(_), Whole::Machine, _) => "no process has one of these names".into(),
        _ => text(absent),
    }
}

fn processes(pids: &[(u32, Option<u32>)], whole: Whole) -> String {
    let numbers: Vec<_> = pids.iter().map(|(pid, _)| pid.to_string()).collect();
    let numbers = either(numbers.iter().map(String::as_str));
    let mut text = match whole {
        Whole::Machine => format!("there is no process {numbers}"),
        Whole::Visible => {
            format!("there is no process {numbers} that tcptrace can see, and it does not see all")
        }
        Whole::Recording => format!("there is no process {numbers} in the recording"),
    };
    for (tid, process) in pids.iter().take(NAMED) {
        if let Some(process) = process {
            text += &format!("; {tid} is a thread of process {process}");
        }
    }
    text
}

/// `a`, `a or b`, `a, b or c`, `a, b or 7 others`.
fn either<'a>(values: impl ExactSizeIterator<Item = &'a str>) -> String {
    let count = values.len();
    let mut named: Vec<String> = values.take(NAMED).map(String::from).collect();
    if count > NAMED {
        named.push(format!("{} others", count - NAMED));
    }
    let last = named.pop().unwrap_or_default();
    match named.is_empty() {
        true => last,
        false => format!("{} or {last}", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: Values, whole: Whole) -> String {
        text(&Absent { values, whole })
    }

    #[test]
    fn every_value_is_named_and_of_many_the_first() {
        let names = |names: &[&str]| Values::Names(names.iter().map(ToString::to_string).collect());
        assert_eq!(
            of(names(&["nosuch"]), Whole::Machine),
            "no process has the name nosuch"
        );
        assert_eq!(
            of(names(&["a", "b", "c"]), Whole::Recording),
            "no process in the recording has the name a, b or c"
        );
        let pids = (1..=20).map(|pid| (pid, None)).collect();
        assert_eq!(
            of(Values::Processes(pids), Whole::Machine),
            "there is no process 1, 2, 3, 4, 5, 6, 7, 8 or 12 others"
        );
    }

    #[test]
    fn a_thread_is_said_to_be_one() {
        let values = Values::Processes(vec![(7, Some(5)), (9, None)]);
        assert_eq!(
            of(values, Whole::Machine),
            "there is no process 7 or 9; 7 is a thread of process 5"
        );
    }

    #[test]
    fn what_is_not_visible_may_be_there() {
        for values in [
            Values::Processes(vec![(7, None)]),
            Values::Names(vec!["a".into()]),
            Values::Netns(7),
        ] {
            let text = of(values, Whole::Visible);
            assert!(text.ends_with("and it does not see all"), "{text}");
        }
    }
}
