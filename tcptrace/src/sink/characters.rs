//! Which characters text is written in: what the locale or the user says.

use std::{
    env,
    sync::atomic::{AtomicBool, Ordering},
};

/// Set once, before anything is written.
static ASCII: AtomicBool = AtomicBool::new(false);

/// Writes text in ASCII from here on if the user `wants` that, or if the locale is not UTF-8.
pub fn choose(wants: bool) {
    ASCII.store(wants || !is_utf8(locale().as_deref()), Ordering::Relaxed);
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
    use super::is_utf8;

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
