//! Which characters text is written in, and whether in colours: what the locale, the terminal and the user say.

use std::{
    env,
    ffi::OsStr,
    sync::atomic::{AtomicBool, Ordering},
};

/// Set once, before anything is written.
static ASCII: AtomicBool = AtomicBool::new(false);

/// Writes text in ASCII from here on if the user `wants` that, or if the locale is not UTF-8.
pub fn choose(wants: bool) {
    ASCII.store(wants || !is_utf8(locale().as_deref()), Ordering::Relaxed);
}

/// No colours from here on where the terminal has none: `TERM` is not set or `dumb`. Left alone, `anstream` writes them
/// there where `CI` or `CLICOLOR` is set, in the belief that the output goes into a page. `CLICOLOR_FORCE` still has
/// them, as a user's own word.
pub fn choose_colours() {
    let forced =
        env::var_os("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0");
    if !forced && !terminal_is_capable() {
        anstream::ColorChoice::Never.write_global();
    }
}

/// Whether the terminal can move its cursor and has colours.
#[must_use]
pub fn terminal_is_capable() -> bool {
    is_capable(env::var_os("TERM").as_deref())
}

fn is_capable(term: Option<&OsStr>) -> bool {
    term.is_some_and(|term| !term.is_empty() && term != "dumb")
}

/// Whether text is written in ASCII.
#[must_use]
pub fn are_ascii() -> bool {
    ASCII.load(Ordering::Relaxed)
}

/// The locale of characters: the first of these that is not empty, as in `setlocale(3)`.
fn locale() -> Option<String> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty());
    let found = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set)?;
    Some(found.to_string_lossy().into_owned())
}

/// Whether it is UTF-8: `C.UTF-8`, `en_US.utf8`. Without any, the locale is `C`.
fn is_utf8(locale: Option<&str>) -> bool {
    let locale = locale.unwrap_or_default().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use super::{is_capable, is_utf8};

    #[test]
    fn only_a_named_terminal_that_is_not_dumb_has_abilities() {
        for able in ["xterm", "tmux-256color", "vt100"] {
            assert!(is_capable(Some(able.as_ref())), "{able}");
        }
        for unable in [None, Some(""), Some("dumb")] {
            assert!(!is_capable(unable.map(AsRef::as_ref)), "{unable:?}");
        }
    }

    #[test]
    fn the_encoding_counts_not_the_language() {
        for utf8 in ["C.UTF-8", "de_DE.utf8", "en_US.UTF-8@euro"] {
            assert!(is_utf8(Some(utf8)), "{utf8}");
        }
        for other in ["C", "POSIX", "de_DE", "ja_JP.eucJP"] {
            assert!(!is_utf8(Some(other)), "{other}");
        }
        assert!(!is_utf8(None));
    }
}
