//! Parsing the values of options. Errors name the value and say what is accepted.

use std::{net::IpAddr, time::Duration};

use ipnet::IpNet;
use tcptrace_common::TcpState;

use crate::model::{request::Netns, socket::Family};

/// States that can be watched, as an error lists them.
const WATCHABLE: [TcpState; 7] = [
    TcpState::CloseWait,
    TcpState::FinWait1,
    TcpState::FinWait2,
    TcpState::LastAck,
    TcpState::Closing,
    TcpState::SynSent,
    TcpState::Established,
];

/// States in which durations are counted, in the order in which they are shown.
pub const COUNTED: [TcpState; 9] = [
    TcpState::CloseWait,
    TcpState::Established,
    TcpState::SynSent,
    TcpState::SynRecv,
    TcpState::FinWait1,
    TcpState::FinWait2,
    TcpState::Closing,
    TcpState::LastAck,
    TcpState::Listen,
];

/// A duration such as `30s`, `1m30s` or `0s`.
///
/// # Errors
/// Says what is accepted.
pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| {
        format!("{error}; give a number and a unit, such as 500ms, 30s, 5min, 1h30m")
    })
}

/// A duration of at least a millisecond.
///
/// # Errors
/// Says what is accepted.
pub fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    if interval < Duration::from_millis(1) {
        return Err("must be 1ms or more".into());
    }
    Ok(interval)
}

/// A state by the kernel's name, in upper or lower case, with `-` or `_`.
///
/// # Errors
/// Says which can be watched, or why this one cannot.
pub fn state(text: &str) -> Result<TcpState, String> {
    let name = text.to_ascii_uppercase().replace('-', "_");
    let name = name.strip_prefix("TCP_").unwrap_or(&name);
    let reason = match TcpState::ALL.into_iter().find(|state| state.name() == name) {
        Some(state) if WATCHABLE.contains(&state) => return Ok(state),
        Some(TcpState::TimeWait) => {
            "no process owns a socket in TIME_WAIT: the kernel keeps only a small entry for it and \
             removes it by itself (`tcptrace states` counts them)"
        }
        Some(TcpState::SynRecv | TcpState::NewSynRecv) => {
            "a half-open connection is not a socket yet, and the kernel reports no transition of it \
             (`tcptrace states` counts them)"
        }
        Some(_) => {
            "a socket does not get stuck in this state (`tcptrace states` counts the sockets in it)"
        }
        None => "no such TCP state",
    };
    let names: Vec<_> = WATCHABLE.iter().map(|state| state.name()).collect();
    Err(format!("{reason}; give one of {}", names.join(", ")))
}

/// Any state, by the kernel's name in upper or lower case, with `-` or `_`.
///
/// # Errors
/// Says which there are.
pub fn any_state(text: &str) -> Result<TcpState, String> {
    let name = text.to_ascii_uppercase().replace('-', "_");
    let name = name.strip_prefix("TCP_").unwrap_or(&name);
    let mut states = TcpState::ALL.into_iter();
    states.find(|state| state.name() == name).ok_or_else(|| {
        let names = TcpState::ALL.map(TcpState::name).join(", ");
        format!("no such TCP state; give one of {names}")
    })
}

/// A state in which durations are counted, by the kernel's name in upper or lower case, with `-` or
/// `_`.
///
/// # Errors
/// Says which there are, or why this one is not accepted.
pub fn counted_state(text: &str) -> Result<TcpState, String> {
    let reason = match any_state(text) {
        Ok(state) if COUNTED.contains(&state) => return Ok(state),
        Ok(TcpState::TimeWait) => {
            "the kernel keeps only a small entry for a connection in TIME_WAIT, and does not \
             report when it ends"
        }
        Ok(TcpState::NewSynRecv) => {
            "a half-open connection is not a socket yet, and the kernel reports no transition of it"
        }
        Ok(_) => "a closed socket is not a connection",
        Err(_) => "no such TCP state",
    };
    let names = COUNTED.map(TcpState::name).join(", ");
    Err(format!("{reason}; give one of {names}"))
}

/// A number of bytes, with a unit or without: `4096`, `64KiB`, `16M`, `1GiB`.
///
/// # Errors
/// Says what is accepted.
pub fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor: Option<u64> = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "k" | "kb" | "kib" => Some(1 << 10),
        "m" | "mb" | "mib" => Some(1 << 20),
        "g" | "gb" | "gib" => Some(1 << 30),
        _ => None,
    };
    let number = digits.parse::<u64>().ok().filter(|number| *number > 0);
    let bytes = number.and_then(|number| number.checked_mul(factor?));
    bytes.ok_or_else(|| "give a number of bytes such as 4096, 64KiB, 16MiB, 1GiB".into())
}

/// The size of a ring buffer: what the kernel takes.
///
/// # Errors
/// Says what is accepted.
pub fn buffer(text: &str) -> Result<u32, String> {
    let bytes = u32::try_from(size(text)?).unwrap_or(0);
    if !bytes.is_power_of_two() || !(64 << 10..=1 << 30).contains(&bytes) {
        return Err("give a power of 2 from 64KiB to 1GiB, such as 16MiB".into());
    }
    Ok(bytes)
}

/// An address, or a range of them in CIDR notation.
///
/// # Errors
/// Says what is accepted.
pub fn remote(text: &str) -> Result<IpNet, String> {
    let address = text.parse::<IpAddr>().map(IpNet::from);
    address.ok().or_else(|| text.parse().ok()).ok_or_else(|| {
        "not an address or a range; give one such as 10.0.0.7, 10.0.0.0/8, 2001:db8::/32".into()
    })
}

/// A family.
///
/// # Errors
/// Says what is accepted.
pub fn family(text: &str) -> Result<Family, String> {
    match text {
        "4" | "ipv4" | "inet" => Ok(Family::Ipv4),
        "6" | "ipv6" | "inet6" => Ok(Family::Ipv6),
        _ => Err("give ipv4 or ipv6 (a v4-mapped socket is ipv6)".into()),
    }
}

/// A network namespace, by inode number, name or path. This does not check whether it exists.
///
/// # Errors
/// Never; clap requires this type of a value parser.
#[allow(clippy::unnecessary_wraps)]
pub fn namespace(text: &str) -> Result<Netns, String> {
    let inode = text.parse().map(Netns::Inode);
    Ok(inode.unwrap_or_else(|_| Netns::Name(text.to_owned())))
}

/// A port other than 0.
///
/// # Errors
/// Says what is accepted.
pub fn port(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("give a port from 1 to 65535".into()),
        Ok(port) => Ok(port),
    }
}

/// A control group's path from the cgroup root; the mount point may stand before it.
///
/// # Errors
/// Never; clap requires this type of a value parser.
#[allow(clippy::unnecessary_wraps)]
pub fn cgroup(text: &str) -> Result<String, String> {
    let path = text.strip_prefix("/sys/fs/cgroup").unwrap_or(text);
    let path = path.trim_matches('/');
    Ok(if path.is_empty() {
        String::new()
    } else {
        format!("/{path}")
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn states_are_read_however_they_are_written() {
        for text in ["CLOSE_WAIT", "close-wait", "Close_Wait", "TCP_CLOSE_WAIT"] {
            assert_eq!(state(text), Ok(TcpState::CloseWait));
        }
        for text in ["TIME_WAIT", "LISTEN", "SYN_RECV", "CLOSE", "nonsense", ""] {
            let error = state(text).expect_err(text);
            assert!(error.contains("CLOSE_WAIT, FIN_WAIT1"), "{error}");
        }
    }

    #[test]
    fn durations_are_counted_in_states_that_sockets_stay_in() {
        for state in COUNTED {
            assert_eq!(counted_state(&state.name().to_lowercase()), Ok(state));
        }
        for text in ["TIME_WAIT", "CLOSE", "NEW_SYN_RECV", "nonsense"] {
            let error = counted_state(text).expect_err(text);
            assert!(error.contains("one of CLOSE_WAIT, "), "{error}");
        }
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for text in ["30", "", "soon", "-1s", "99999999999999999999s"] {
            let error = duration(text).expect_err(text);
            assert!(error.contains("30s"), "{error}");
        }
        assert!(interval("0s").is_err());
    }

    #[test]
    fn remotes_are_addresses_or_ranges() {
        assert_eq!(
            remote("10.0.0.7").map(|net| net.to_string()),
            Ok("10.0.0.7/32".into())
        );
        assert_eq!(remote("2001:db8::/32").map(|net| net.prefix_len()), Ok(32));
        for text in ["10.0.0.0/33", "host.example", "10.0.0", ""] {
            assert!(remote(text).is_err(), "{text}");
        }
    }

    #[test]
    fn namespaces_are_numbers_or_names_and_are_not_looked_up() {
        assert_eq!(namespace("4026531833"), Ok(Netns::Inode(4_026_531_833)));
        for text in ["blue", "/proc/1/ns/net", "-1", "99999999999"] {
            assert_eq!(namespace(text), Ok(Netns::Name(text.into())));
        }
    }

    #[test]
    fn groups_are_read_with_or_without_the_mount_point() {
        for text in [
            "/sys/fs/cgroup/system.slice",
            "/system.slice/",
            "system.slice",
        ] {
            assert_eq!(cgroup(text), Ok("/system.slice".into()));
        }
        assert_eq!(cgroup("/"), Ok(String::new()));
    }

    proptest! {
        #[test]
        fn nothing_makes_a_parser_panic(text in "\\PC{0,40}") {
            let _ = (state(&text), duration(&text), interval(&text), remote(&text));
            let _ = (family(&text), port(&text), cgroup(&text), counted_state(&text));
        }
    }
}
