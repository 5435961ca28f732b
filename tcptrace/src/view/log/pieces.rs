//! Pieces of a line, appended to it: a log has many lines a second.

use std::net::IpAddr;

use unicode_width::UnicodeWidthStr as _;

use crate::{
    model::{
        owner::{KnownBy, Process},
        socket::{Endpoint, Role, shown_form},
    },
    view::{
        layout::plain::{ellipsis, plain},
        parts::{address, age, clean, number},
    },
};

/// How long names and addresses may be, and in which characters they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Columns of a program's name.
    pub name: usize,
    /// Columns of an address.
    pub address: usize,
    /// Whether only ASCII can be shown.
    pub ascii: bool,
}

impl Limits {
    /// All of it.
    pub const fn none(ascii: bool) -> Self {
        Self {
            name: usize::MAX,
            address: usize::MAX,
            ascii,
        }
    }
}

/// Appends a name and a number: `java[4242]`.
pub fn process(process: &Process, limits: Limits, out: &mut Vec<u8>) {
    named(process.pid, &process.comm, limits, out);
}

/// The same of their parts.
pub fn named(pid: Option<u32>, comm: &str, limits: Limits, out: &mut Vec<u8>) {
    name(comm, limits, out);
    out.push(b'[');
    match pid {
        Some(pid) => number::append(out, pid),
        None => out.push(b'?'),
    }
    out.push(b']');
}

/// Appends a name.
pub fn name(comm: &str, limits: Limits, out: &mut Vec<u8>) {
    let start = out.len();
    clean::append(out, comm);
    in_ascii(limits.ascii, start, out);
    shorten(limits.name, limits.ascii, start, out);
}

/// Who has opened what another process uses.
pub fn opened_by(known_by: KnownBy) -> &'static str {
    match known_by {
        KnownBy::Listener => "came in at ",
        KnownBy::Fd => "earlier of ",
        _ => "opened by ",
    }
}

/// Appends a duration; `≥` before one that is only a lower bound.
pub fn duration(ns: u64, exact: bool, ascii: bool, out: &mut Vec<u8>) {
    let start = out.len();
    if !exact {
        out.extend_from_slice("≥".as_bytes());
    }
    age::append(out, ns);
    in_ascii(ascii, start, out);
}

/// Appends an address and a port, `?` for one that is not known.
pub fn endpoint(end: Endpoint, limits: Limits, out: &mut Vec<u8>) {
    let address = shown_form(end.address);
    if address.is_ipv6() {
        out.push(b'[');
    }
    host(address, limits, out);
    out.extend_from_slice(if address.is_ipv6() { b"]:" } else { b":" });
    port(end.port, out);
}

/// Appends an address without brackets, a v4-mapped one as the IPv4 address that it is.
pub fn host(address: IpAddr, limits: Limits, out: &mut Vec<u8>) {
    let start = out.len();
    address::append(out, shown_form(address));
    shorten(limits.address, limits.ascii, start, out);
}

/// Appends a port, `?` for one that is not known.
pub fn port(port: u16, out: &mut Vec<u8>) {
    match port {
        0 => out.push(b'?'),
        port => number::append(out, port),
    }
}

/// Which side of the connection it is, with its own port: `:8080 from 127.0.0.1:44850`, `:44850 to 127.0.0.1:8080`.
pub fn connection(
    role: Role,
    local: Endpoint,
    remote: Endpoint,
    limits: Limits,
    out: &mut Vec<u8>,
) {
    if remote.address.is_unspecified() && remote.port == 0 {
        out.extend_from_slice(b"on :");
        return port(local.port, out);
    }
    if local.port != 0 {
        out.push(b':');
        port(local.port, out);
        out.push(b' ');
    }
    out.extend_from_slice(match role {
        Role::Client => b"to ",
        Role::Server => b"from ",
        Role::Unknown => b"with ",
    });
    endpoint(remote, limits, out);
}

/// How many columns of a terminal the text takes.
pub fn width(text: &[u8]) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    str::from_utf8(text).map_or(text.len(), |text| text.width())
}

/// Writes what begins at `start` in ASCII, if it must be.
fn in_ascii(ascii: bool, start: usize, out: &mut Vec<u8>) {
    if ascii
        && !out[start..].is_ascii()
        && let Ok(text) = str::from_utf8(&out[start..])
    {
        let text = plain(text).into_owned();
        out.truncate(start);
        out.extend_from_slice(text.as_bytes());
    }
}

/// Replaces the middle of what begins at `start` by a mark, if it has more than `most` columns.
fn shorten(most: usize, ascii: bool, start: usize, out: &mut Vec<u8>) {
    // Each column takes a byte at least.
    if out.len() - start <= most || width(&out[start..]) <= most {
        return;
    }
    let Ok(text) = str::from_utf8(&out[start..]) else {
        return;
    };
    let mark = ellipsis(ascii);
    // Of the name, one character stays at each end.
    let room = most.saturating_sub(mark.width()).max(2);
    let fits = |part: &str, most: usize| !part.is_empty() && part.width() <= most;
    let ends = text.char_indices().map(|(at, _)| at);
    let begin = (ends.clone().rev().chain([0]))
        .find(|at| fits(&text[..*at], room.div_ceil(2)))
        .unwrap_or(0);
    let end = ends.clone().find(|at| fits(&text[*at..], room / 2));
    let end = end.unwrap_or(text.len()).max(begin);
    let short = [&text[..begin], mark, &text[end..]].concat();
    out.truncate(start);
    out.extend_from_slice(short.as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shortened(text: &str, most: usize, ascii: bool) -> String {
        let mut out = b"before ".to_vec();
        out.extend_from_slice(text.as_bytes());
        shorten(most, ascii, 7, &mut out);
        String::from_utf8(out.split_off(7)).expect("text is UTF-8")
    }

    #[test]
    fn the_middle_of_a_name_is_left_out() {
        assert_eq!(shortened("forkinherit", 11, false), "forkinherit");
        assert_eq!(shortened("forkinherit", 8, false), "fork…rit");
        assert_eq!(shortened("forkinherit", 8, true), "for...it");
        assert_eq!(shortened("forkinherit", 1, false), "f…t");
        assert_eq!(shortened("日本語日本語", 6, false), "日…語");
    }

    proptest! {
        #[test]
        fn a_short_name_is_as_short_as_asked(name in "[a-z日]{0,20}", most in 5_usize..20) {
            let short = shortened(&name, most, false);
            prop_assert!(short.width() <= most, "{short}");
            prop_assert_eq!(short == name, name.width() <= most);
        }
    }
}
