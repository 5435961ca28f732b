//! Reading what `apt-cache show` prints.

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

/// Reads stanzas of `Field: value` lines, separated by empty lines. Stanzas without name or version are skipped.
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

#[cfg(test)]
mod tests {
    use super::{Package, parse};

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
}
