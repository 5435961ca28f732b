//! Parsing the values of options. Errors name the value and say what is accepted.

use std::net::IpAddr;

use ipnet::IpNet;
use tcptrace_common::TcpState;

use crate::{
    cli::wrong::{refused::Refused, tree::nearest},
    model::{request::Netns, socket::Family},
};

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

/// No process has this number or a greater one (`include/linux/threads.h`).
const PID_MAX_LIMIT: u32 = 4 * 1024 * 1024;
/// How many bytes of a process's name the kernel keeps (`TASK_COMM_LEN` without the NUL).
const COMM_BYTES: usize = 15;

/// A state by the kernel's name, in upper or lower case, with `-` or `_`.
///
/// # Errors
/// Says which can be watched, or why this one cannot.
pub fn state(text: &str) -> Result<TcpState, Refused> {
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
        None => "there is no such TCP state",
    };
    Err(one_of(&WATCHABLE, reason, name))
}

/// The refusal with the states that are taken, or the one that may have been meant.
fn one_of(states: &[TcpState], reason: &str, typed: &str) -> Refused {
    let names: Vec<_> = states.iter().map(|state| state.name()).collect();
    let advice = format!("give one of {}", names.join(", "));
    match nearest(typed, names.iter().copied()).filter(|near| *near != typed) {
        Some(near) => Refused::new(reason, format!("{near}; or {advice}")),
        None => Refused::new(reason, advice),
    }
}

/// Any state, by the kernel's name in upper or lower case, with `-` or `_`.
///
/// # Errors
/// Says which there are.
pub fn any_state(text: &str) -> Result<TcpState, Refused> {
    let name = text.to_ascii_uppercase().replace('-', "_");
    let name = name.strip_prefix("TCP_").unwrap_or(&name);
    let mut states = TcpState::ALL.into_iter();
    let found = states.find(|state| state.name() == name);
    found.ok_or_else(|| one_of(&TcpState::ALL, "there is no such TCP state", name))
}

/// A state in which durations are counted, by the kernel's name in upper or lower case, with `-` or
/// `_`.
///
/// # Errors
/// Says which there are, or why this one is not accepted.
pub fn counted_state(text: &str) -> Result<TcpState, Refused> {
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
        Err(_) => "there is no such TCP state",
    };
    let name = text.to_ascii_uppercase().replace('-', "_");
    Err(one_of(&COUNTED, reason, &name))
}

/// An address, or a range of them in CIDR notation.
///
/// # Errors
/// Says what is accepted.
pub fn remote(text: &str) -> Result<IpNet, Refused> {
    let address = text.parse::<IpAddr>().map(IpNet::from);
    address.ok().or_else(|| text.parse().ok()).ok_or_else(|| {
        Refused::new(
            "it is neither an address nor a range of addresses",
            "give one such as 10.0.0.7, 10.0.0.0/8, 2001:db8::/32",
        )
    })
}

/// A family.
///
/// # Errors
/// Says what is accepted.
pub fn family(text: &str) -> Result<Family, Refused> {
    match text.to_ascii_lowercase().as_str() {
        "4" | "ipv4" | "inet" => Ok(Family::Ipv4),
        "6" | "ipv6" | "inet6" => Ok(Family::Ipv6),
        _ => Err(Refused::new(
            "there is no such address family",
            "give ipv4 (or inet) or ipv6 (or inet6); a v4-mapped socket is ipv6",
        )),
    }
}

/// The number of a process.
///
/// # Errors
/// Says what is accepted.
pub fn pid(text: &str) -> Result<u32, Refused> {
    let number = text.parse().ok();
    let pid = number.filter(|pid| (1..PID_MAX_LIMIT).contains(pid));
    pid.ok_or_else(|| {
        let most = PID_MAX_LIMIT - 1;
        let why = format!("the number of a process is from 1 to {most}");
        match text.contains(|c: char| c.is_alphabetic()) && comm(text).is_ok() {
            true => Refused::new(why, "--comm for the name of a process"),
            false => Refused::new(why, "give such as 4242; pgrep NAME finds it"),
        }
    })
}

/// The name of a process, as the kernel keeps it. A byte that is not UTF-8 is given as it is shown: as
/// U+FFFD, which stands for one to three bytes.
///
/// # Errors
/// Says why no process has it.
pub fn comm(text: &str) -> Result<String, Refused> {
    if text.is_empty() {
        let why = "a name has 1 to 15 bytes, and a comma separates names";
        return Err(Refused::new(why, "give such as java, or java,nginx"));
    }
    let replaced = |c: char| c == char::REPLACEMENT_CHARACTER;
    let least = |c: char| if replaced(c) { 1 } else { c.len_utf8() };
    if text.chars().map(least).sum::<usize>() <= COMM_BYTES {
        return Ok(text.to_owned());
    }
    let kept = text.as_bytes().get(..COMM_BYTES).unwrap_or_default();
    let reason = "the kernel keeps only the first 15 bytes of a process's name";
    Err(match text.contains(char::is_control) {
        true => Refused::new(reason, "give them as tcptrace shows them"),
        false => Refused::value(reason, format!("'{}'", String::from_utf8_lossy(kept))),
    })
}

/// What names a network namespace.
const NETNS: &str =
    "give an inode number, a name in /run/netns, or a path such as /proc/4242/ns/net";

/// A network namespace, by inode number, name or path. This does not check whether it exists.
///
/// # Errors
/// Says what is accepted.
pub fn namespace(text: &str) -> Result<Netns, Refused> {
    match text.parse() {
        Ok(0) => Err(Refused::new("no network namespace has the number 0", NETNS)),
        _ if text.is_empty() => Err(Refused::new("it is empty", NETNS)),
        Ok(inode) => Ok(Netns::Inode(inode)),
        Err(_) => Ok(Netns::Name(text.to_owned())),
    }
}

/// A port other than 0.
///
/// # Errors
/// Says what is accepted.
pub fn port(text: &str) -> Result<u16, Refused> {
    match text.parse() {
        Ok(0) | Err(_) => Err(Refused::value("a port is from 1 to 65535", "443")),
        Ok(port) => Ok(port),
    }
}

/// A control group's path from the cgroup root; empty for the root itself. The mount point may stand
/// before it, or what `/proc/PID/cgroup` prints there (`proc_cgroup_show`, `kernel/cgroup/cgroup.c`).
///
/// # Errors
/// Says why it is no path of a control group.
pub fn cgroup(text: &str) -> Result<String, Refused> {
    let path = match text.split_once(':') {
        Some(("0", rest)) if rest.starts_with(":/") => &rest[1..],
        Some((number, rest)) if number.parse::<u32>().is_ok() && rest.contains(":/") => {
            let why = "it is of cgroup v1, and sockets know their group of cgroup v2";
            return Err(Refused::new(why, "give the line that begins with 0::"));
        }
        _ => text,
    };
    if path.is_empty() {
        let advice = "give a path, such as /system.slice; / is the root";
        return Err(Refused::new("it is empty", advice));
    }
    let below = path.strip_prefix("/sys/fs/cgroup");
    let below = below.filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let parts = below.unwrap_or(path).split('/');
    let parts: Vec<_> = parts.filter(|part| !["", "."].contains(part)).collect();
    if parts.contains(&"..") {
        let why = "'..' leads out of the control groups that are visible here";
        return Err(Refused::new(why, "give the path from /sys/fs/cgroup"));
    }
    let with_slash = |part: &&str| format!("/{part}");
    Ok(parts.iter().map(with_slash).collect())
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
            let error = state(text).expect_err(text).to_string();
            assert!(error.contains("CLOSE_WAIT, FIN_WAIT1"), "{error}");
        }
    }

    #[test]
    fn durations_are_counted_in_states_that_sockets_stay_in() {
        for state in COUNTED {
            assert_eq!(counted_state(&state.name().to_lowercase()), Ok(state));
        }
        for text in ["TIME_WAIT", "CLOSE", "NEW_SYN_RECV", "nonsense"] {
            let error = counted_state(text).expect_err(text).to_string();
            assert!(error.contains("one of CLOSE_WAIT, "), "{error}");
        }
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
    fn families_have_several_names() {
        for text in ["4", "ipv4", "IPv4", "inet"] {
            assert_eq!(family(text), Ok(Family::Ipv4));
        }
        for text in ["6", "ipv6", "inet6"] {
            assert_eq!(family(text), Ok(Family::Ipv6));
        }
        let error = family("ipx").expect_err("ipx").to_string();
        for word in ["ipv4", "inet", "ipv6", "inet6"] {
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn a_misspelt_state_gets_a_proposal() {
        let error = state("CLOSED_WAIT").expect_err("there is none");
        assert!(
            error
                .to_string()
                .contains("; CLOSE_WAIT; or give one of CLOSE_WAIT, "),
            "{error}"
        );
    }

    #[test]
    fn namespaces_are_numbers_or_names_and_are_not_looked_up() {
        assert_eq!(namespace("4026531833"), Ok(Netns::Inode(4_026_531_833)));
        for text in ["blue", "/proc/1/ns/net", "-1", "99999999999"] {
            assert_eq!(namespace(text), Ok(Netns::Name(text.into())));
        }
        for text in ["", "0", "000"] {
            assert!(namespace(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn processes_have_numbers_that_the_kernel_can_give() {
        assert_eq!((pid("1"), pid("4194303")), (Ok(1), Ok(4_194_303)));
        for text in ["0", "4194304", "-1", "", "java", "99999999999"] {
            let error = pid(text).expect_err(text).to_string();
            assert!(error.contains("from 1 to 4194303"), "{error}");
        }
    }

    #[test]
    fn names_have_at_most_as_many_bytes_as_the_kernel_keeps() {
        for text in [
            "a",
            "with space",
            "123456789012345",
            "12345678901234\u{fffd}",
        ] {
            assert_eq!(comm(text), Ok(text.to_owned()));
        }
        assert!(comm("\u{e9}23456789012345").is_err());
        assert!(comm("").is_err_and(|error| error.why.contains("1 to 15 bytes")));
        for (long, kept) in [
            ("inventory-service-prod", "'inventory-servi'"),
            ("inventory-serv\u{e9}s", "'inventory-serv\u{fffd}'"),
        ] {
            let error = comm(long).expect_err(long).to_string();
            assert!(
                error.contains("15 bytes") && error.contains(kept),
                "{error}"
            );
            let kept = kept.trim_matches('\'');
            assert_eq!(
                comm(kept),
                Ok(kept.to_owned()),
                "what it proposes is accepted"
            );
        }
    }

    #[test]
    fn groups_are_read_with_or_without_the_mount_point() {
        for text in [
            "/sys/fs/cgroup/system.slice",
            "/system.slice/",
            "system.slice",
            "0::/system.slice",
            "/sys/fs/cgroup//./system.slice",
        ] {
            assert_eq!(cgroup(text), Ok("/system.slice".into()));
        }
        assert_eq!(cgroup("/"), Ok(String::new()));
        assert_eq!(cgroup("0::/"), Ok(String::new()));
        assert_eq!(cgroup("/sys/fs/cgroups"), Ok("/sys/fs/cgroups".into()));
        assert_eq!(cgroup("7:x"), Ok("/7:x".into()));
        for text in ["", "/a/../b", "0::/../b", "4:memory:/a", "9:name=systemd:/"] {
            assert!(cgroup(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_a_parser_panic(text in "\\PC{0,40}") {
            let _ = (state(&text), remote(&text));
            let _ = (family(&text), port(&text), cgroup(&text), counted_state(&text));
            let _ = (pid(&text), comm(&text), namespace(&text));
        }
    }
}
