//! Reading what `apt-cache show` prints, and the order of Debian's version numbers.

use std::cmp::Ordering;

/// One version of a package.
#[derive(Clone, Debug, PartialEq)]
pub struct Package {
    /// The package's name.
    pub name: String,
    /// Its version, as Debian writes it.
    pub version: String,
    /// The names of packages it needs; of alternatives, the first.
    pub depends: Vec<String>,
}

/// Reads stanzas of `Field: value` lines that empty lines part. Stanzas without name or version are skipped.
pub fn parse(text: &str) -> Vec<Package> {
    text.split("\n\n").filter_map(stanza).collect()
}

fn stanza(text: &str) -> Option<Package> {
    let field = |name: &str| {
        text.lines()
            .filter_map(|line| line.split_once(": "))
            .find_map(|(field, value)| (field == name).then(|| value.trim()))
    };
    Some(Package {
        name: field("Package")?.into(),
        version: field("Version")?.into(),
        depends: field("Depends").map(dependencies).unwrap_or_default(),
    })
}

/// `a (= 1), b | c` needs `a` and `b`.
fn dependencies(value: &str) -> Vec<String> {
    value
        .split(',')
        .filter_map(|part| part.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

/// Debian's order of versions (deb-version(7)): epoch, then upstream version, then revision.
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    let ((a_epoch, a), (b_epoch, b)) = (epoch(a), epoch(b));
    let (a_upstream, a_revision) = a.rsplit_once('-').unwrap_or((a, ""));
    let (b_upstream, b_revision) = b.rsplit_once('-').unwrap_or((b, ""));
    a_epoch
        .cmp(&b_epoch)
        .then_with(|| compare_parts(a_upstream, b_upstream))
        .then_with(|| compare_parts(a_revision, b_revision))
}

fn epoch(version: &str) -> (u32, &str) {
    match version.split_once(':') {
        Some((epoch, rest)) => (epoch.parse().unwrap_or(0), rest),
        None => (0, version),
    }
}

/// Compares runs of other characters and runs of digits in turn.
fn compare_parts(mut a: &str, mut b: &str) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let (a_text, a_rest) = split(a, |c| !c.is_ascii_digit());
        let (b_text, b_rest) = split(b, |c| !c.is_ascii_digit());
        let (a_digits, a_next) = split(a_rest, |c| c.is_ascii_digit());
        let (b_digits, b_next) = split(b_rest, |c| c.is_ascii_digit());
        let number = |digits: &str| digits.parse::<u64>().unwrap_or(0);
        let order = weights(a_text)
            .cmp(weights(b_text))
            .then_with(|| number(a_digits).cmp(&number(b_digits)));
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (a_next, b_next);
    }
    Ordering::Equal
}

fn split(text: &str, matches: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !matches(c)).unwrap_or(text.len()))
}

/// `~` sorts before the end, the end before letters, letters before the rest.
fn weights(text: &str) -> impl Iterator<Item = u32> {
    let weight = |c: char| match c {
        '~' => 0,
        c if c.is_ascii_alphabetic() => u32::from(c),
        c => 256 + u32::from(c),
    };
    text.chars().map(weight).chain([1])
}

#[cfg(test)]
mod tests {
    use super::{Package, compare_versions, parse};
    use std::cmp::Ordering;

    #[test]
    fn reads_stanzas() {
        let text = "Package: linux-image-7.3.4\nVersion: 7.3.4-1~bpo13+1\nDepends: dracut | initramfs-tools (>= 0.1), linux-binary-7.3.4 (= 7.3.4-1)\nDescription: Linux: a kernel\n\nPackage: b\nVersion: 1\n\n";
        let package = |name: &str, version: &str, depends: &[&str]| Package {
            name: name.into(),
            version: version.into(),
            depends: depends.iter().map(|name| (*name).into()).collect(),
        };
        assert_eq!(
            parse(text),
            [
                package(
                    "linux-image-7.3.4",
                    "7.3.4-1~bpo13+1",
                    &["dracut", "linux-binary-7.3.4"]
                ),
                package("b", "1", &[])
            ]
        );
        assert_eq!(parse(""), []);
    }

    #[test]
    fn orders_versions_as_debian_does() {
        let ordered = [
            "1.0~rc1",
            "1.0",
            "1.0-1~bpo13+1",
            "1.0-1",
            "1.0-1+b1",
            "1.0a",
            "1.0+x",
            "1.9",
            "1.12",
            "1:0.1",
        ];
        for pair in ordered.windows(2) {
            assert_eq!(
                compare_versions(pair[0], pair[1]),
                Ordering::Less,
                "{pair:?}"
            );
            assert_eq!(
                compare_versions(pair[1], pair[0]),
                Ordering::Greater,
                "{pair:?}"
            );
        }
        assert_eq!(
            compare_versions("5.10.262-1", "5.10.262-1"),
            Ordering::Equal
        );
    }
}
