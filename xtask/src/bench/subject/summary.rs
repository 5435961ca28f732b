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
        // `  186 transitions, none lost`, `  ! 12 transitions lost: …`
        let number = |begin: &str, noun: &str, words: &str| {
            let value = text.lines().find_map(|line| {
                let (number, rest) = line.strip_prefix(begin)?.split_once(' ')?;
                let rest = rest.strip_prefix(noun)?;
                let rest = rest.strip_prefix('s').unwrap_or(rest);
                rest.starts_with(words).then_some(number)
            });
            value.map_or(Ok(0), first_number)
        };
        let without_owner = text
            .lines()
            .find_map(|line| Some(line.split_once(" of unknown owner)")?.0))
            .and_then(|begin| begin.rsplit_once('('))
            .map_or(Ok(0), |(_, count)| first_number(count))?;
        Ok(Self {
            transitions: number("  ", "transition", "")?,
            without_owner,
            missing: number("  ! ", "transition", " lost")?
                + number("  ! ", "run", " of the programs skipped")?,
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
        let text = "tcptrace: tracing; Ctrl-C ends\n\nLog of 2s\n  186 transitions, none lost\n  CLOSE_WAIT: 16 \
                    entered, 16 left, 0 still in it; longest 2ms\n  187 lines written in 1 file: /a\n";
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
        let text = "\nLog of 1m\n  120 transitions (2 of unknown owner)\n  ! 12 transitions lost: the buffer was full\n  \
                    ! 3 sockets not kept: no room\n  ! 1 run of the programs skipped by the kernel: their transitions \
                    are missing\n";
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
        assert!(Summary::parse("\nLog of 1s\n  many transitions, none lost\n").is_err());
    }
}
