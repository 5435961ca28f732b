//! The summary of `tcptrace log`.

use anyhow::{Context, Result};

/// Its numbers; absent ones are 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    pub transitions: u64,
    pub without_owner: u64,
    /// Transitions that are missing because the buffer was full or the kernel skipped the program.
    pub missing: u64,
}

impl Summary {
    /// Finds it in the text on standard error.
    pub fn parse(text: &str) -> Result<Self> {
        let (_, text) = text
            .split_once("\nLog of ")
            .with_context(|| format!("no summary in {text:?}"))?;
        let number = |label: &str| {
            let value = text.lines().find_map(|line| {
                let value = line.strip_prefix("  ")?.strip_prefix(label)?;
                value.starts_with("  ").then_some(value.trim_start())
            });
            value.map_or(Ok(0), first_number)
        };
        let without_owner = text
            .lines()
            .find_map(|line| line.strip_suffix(" of unknown owner)")?.rsplit_once('('))
            .map_or(Ok(0), |(_, count)| first_number(count))?;
        Ok(Self {
            transitions: number("transitions")?,
            without_owner,
            missing: number("lost transitions")? + number("runs skipped")?,
        })
    }
}

fn first_number(text: &str) -> Result<u64> {
    let word = text.split(' ').next().unwrap_or_default();
    word.parse()
        .with_context(|| format!("{word:?} in the summary is not a number"))
}

#[cfg(test)]
mod tests {
    use super::Summary;

    #[test]
    fn what_is_not_told_is_nothing() {
        let text = "tcptrace: tracing; Ctrl-C ends\n\nLog of 2s\n  transitions               186\n  entered \
                    CLOSE_WAIT        16\n  written                   187 lines in 1 file: /a\n";
        let summary = Summary::parse(text).expect("it is one");
        assert_eq!(
            summary,
            Summary {
                transitions: 186,
                without_owner: 0,
                missing: 0
            }
        );
    }

    #[test]
    fn losses_and_unknown_owners() {
        let text = "\nLog of 1m\n  transitions               120 (2 of unknown owner)\n  lost transitions          12 \
                    (the buffer was full; enlarge it with --buffer, or use filters)\n  sockets not kept          3 (no \
                    room)\n  runs skipped              1 (by the kernel: those transitions are missing)\n";
        let summary = Summary::parse(text).expect("it is one");
        assert_eq!(
            summary,
            Summary {
                transitions: 120,
                without_owner: 2,
                missing: 13
            }
        );
    }

    #[test]
    fn no_summary_is_an_error() {
        assert!(Summary::parse("tcptrace: tracing; Ctrl-C ends\n").is_err());
        assert!(Summary::parse("\nLog of 1s\n  transitions               many\n").is_err());
    }
}
