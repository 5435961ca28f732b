//! Reading apt's lists of sources, to use the mirror that the machine is set up for.

/// Where Debian's packages come from on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// The archive's address.
    pub uri: String,
    /// The value of `Signed-By`, as it is written in the deb822 format: a file, or a key (over several lines).
    pub signed_by: Option<String>,
}

/// Debian's mirror in a list of the one-line format (`*.list`).
pub fn from_list(text: &str) -> Option<Mirror> {
    text.lines().find_map(|line| {
        let rest = line.trim().strip_prefix("deb ")?.trim_start();
        let (options, rest) = match rest.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            None => ("", rest),
        };
        let uri = rest.split_whitespace().next()?;
        let signed_by = options
            .split_whitespace()
            .find_map(|option| option.strip_prefix("signed-by="))
            // A list in this format is comma-separated, in the other one separated by spaces.
            .map(|value| value.replace(',', " "));
        is_debian(uri).then(|| Mirror {
            uri: uri.into(),
            signed_by,
        })
    })
}

/// Debian's mirror in a list of the deb822 format (`*.sources`).
pub fn from_deb822(text: &str) -> Option<Mirror> {
    // Comment lines may stand inside a paragraph: they are no part of it.
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    lines
        .split(|line| line.trim().is_empty())
        .find_map(|paragraph| {
            let is = |name, word: &str| {
                field(paragraph, name)
                    .is_some_and(|value| value.split_whitespace().any(|w| w == word))
            };
            if !is("Types", "deb") || is("Enabled", "no") {
                return None;
            }
            let uris = field(paragraph, "URIs")?;
            let uri = uris.split_whitespace().find(|uri| is_debian(uri))?;
            Some(Mirror {
                uri: uri.into(),
                signed_by: field(paragraph, "Signed-By"),
            })
        })
}

/// A field's value, with its continuation lines.
fn field(paragraph: &[&str], name: &str) -> Option<String> {
    let at = paragraph.iter().position(|line| {
        line.split_once(':')
            .is_some_and(|(key, _)| key.eq_ignore_ascii_case(name))
    })?;
    let (_, first) = paragraph[at].split_once(':')?;
    let more = paragraph[at + 1..]
        .iter()
        .take_while(|line| line.starts_with([' ', '\t']));
    let lines: Vec<_> = std::iter::once(first.trim())
        .chain(more.map(|line| line.trim_end()))
        .collect();
    Some(lines.join("\n"))
}

/// Mirrors may have any host name, but the main archive is always a folder `debian`, unlike `debian-security` or
/// others' archives. Debian's cloud images name a local file with the mirror's address: `…/debian.list`.
fn is_debian(uri: &str) -> bool {
    matches!(
        uri.trim_end_matches('/').rsplit('/').next(),
        Some("debian" | "debian.list")
    )
}

#[cfg(test)]
mod tests {
    use super::{Mirror, from_deb822, from_list};

    fn mirror(uri: &str, signed_by: Option<&str>) -> Option<Mirror> {
        Some(Mirror {
            uri: uri.into(),
            signed_by: signed_by.map(Into::into),
        })
    }

    #[test]
    fn one_line_format() {
        let list = "# deb http://old.test/debian bookworm main\n\
                    deb-src http://src.test/debian bookworm main\n\
                    deb http://mirror.test/debian-security bookworm-security main\n\
                    deb [arch=amd64 signed-by=/k/a.gpg,/k/b.gpg] http://mirror.test/debian/ bookworm main\n";
        assert_eq!(
            from_list(list),
            mirror("http://mirror.test/debian/", Some("/k/a.gpg /k/b.gpg"))
        );
        assert_eq!(
            from_list("deb http://m.test/debian sid main"),
            mirror("http://m.test/debian", None)
        );
        assert_eq!(from_list("deb http://m.test/other sid main"), None);
    }

    #[test]
    fn deb822_format() {
        let sources = "Types: deb\nURIs: http://m.test/debian-security\nSuites: s\n\n\
                       Types: deb deb-src\n# a remark\nURIs: http://m.test/debian\nSuites: a b\nSigned-By: /k.gpg\n";
        assert_eq!(
            from_deb822(sources),
            mirror("http://m.test/debian", Some("/k.gpg"))
        );
    }

    #[test]
    fn deb822_keys_inside_and_disabled_entries() {
        let sources = "Enabled: no\nTypes: deb\nURIs: http://off.test/debian\n\n\
                       types: deb\nuris: mirror+file:/etc/apt/mirrors/debian.list\nsigned-by:\n -----BEGIN\n .\n abc\nSuites: x\n";
        assert_eq!(
            from_deb822(sources),
            mirror(
                "mirror+file:/etc/apt/mirrors/debian.list",
                Some("\n -----BEGIN\n .\n abc")
            )
        );
        assert_eq!(
            from_deb822("Types: deb-src\nURIs: http://m.test/debian\n"),
            None
        );
    }
}
