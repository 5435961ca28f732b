//! Addresses, with their ports or appended to a line. The standard library's formatting takes
//! several times as long, which matters for a log of a million lines.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::socket::{Endpoint, shown_form};

/// `10.0.0.7:443`, `[::1]:443`. A v4-mapped address is written as the IPv4 address that it stands for.
#[must_use]
pub fn endpoint(end: Endpoint) -> String {
    match shown_form(end.address) {
        IpAddr::V4(v4) => format!("{v4}:{}", end.port),
        IpAddr::V6(v6) => format!("[{v6}]:{}", end.port),
    }
}

/// Appends an address in the standard library's form, which for IPv6 is that of RFC 5952.
pub fn append(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => ipv4(out, v4),
        IpAddr::V6(v6) => ipv6(out, v6),
    }
}

fn ipv4(out: &mut Vec<u8>, address: Ipv4Addr) {
    let mut digits = itoa::Buffer::new();
    for (index, octet) in address.octets().into_iter().enumerate() {
        if index > 0 {
            out.push(b'.');
        }
        out.extend_from_slice(digits.format(octet).as_bytes());
    }
}

fn ipv6(out: &mut Vec<u8>, address: Ipv6Addr) {
    if let Some(v4) = address.to_ipv4_mapped() {
        out.extend_from_slice(b"::ffff:");
        return ipv4(out, v4);
    }
    let groups = address.segments();
    let (start, length) = longest_zeros(&groups);
    let mut index = 0;
    while index < groups.len() {
        if length > 1 && index == start {
            out.extend_from_slice(b"::");
            index += length;
            continue;
        }
        if index > 0 && !(length > 1 && index == start + length) {
            out.push(b':');
        }
        hex(out, groups[index]);
        index += 1;
    }
}

/// The beginning and length of the longest run of zeros, the first one of several.
fn longest_zeros(groups: &[u16; 8]) -> (usize, usize) {
    let (mut best, mut current) = ((0, 0), (0, 0));
    for (index, group) in groups.iter().enumerate() {
        current = match group {
            0 if current.1 > 0 => (current.0, current.1 + 1),
            0 => (index, 1),
            _ => (0, 0),
        };
        if current.1 > best.1 {
            best = current;
        }
    }
    best
}

fn hex(out: &mut Vec<u8>, group: u16) {
    let mut begun = false;
    for shift in [12, 8, 4, 0] {
        let digit = usize::from(group >> shift & 0xf);
        begun |= digit != 0 || shift == 0;
        if begun {
            out.push(b"0123456789abcdef"[digit]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(of: IpAddr) -> String {
        let mut out = Vec::new();
        append(&mut out, of);
        String::from_utf8(out).expect("digits and separators")
    }

    proptest! {
        #[test]
        fn addresses_look_as_those_of_the_standard_library(
            groups in prop::array::uniform8(prop_oneof![Just(0_u16), any::<u16>()]),
            v4 in any::<u32>(),
        ) {
            let v4 = Ipv4Addr::from(v4);
            for address in [
                Ipv6Addr::from(groups).into(),
                Ipv6Addr::UNSPECIFIED.into(),
                v4.to_ipv6_mapped().into(),
                v4.into(),
            ] {
                let address: IpAddr = address;
                prop_assert_eq!(text(address), address.to_string());
            }
        }
    }
}
