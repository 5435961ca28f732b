//! What this kernel cannot do, where that excuses the tool.

use std::sync::OnceLock;

/// Whether the tool can learn how long a queue the listener had that a socket came from, which tells a server's socket
/// from a client's: it reads that where it finds the holders, in the kernel, if that can be done (from 5.11).
pub fn tells_backlogs() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| has("bpf_sock_from_file"))
}

/// Whether a program on a transition can ask for the socket's cookie (from 5.12). Without it, a socket is known by its
/// addresses alone.
pub fn tells_cookies() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| has("bpf_get_socket_ptr_cookie"))
}

/// Whether the kernel has a function of this name. One that does not list its functions excuses nothing.
fn has(function: &str) -> bool {
    let Ok(functions) = std::fs::read_to_string("/proc/kallsyms") else {
        return true;
    };
    let mut names = functions
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2));
    functions.is_empty() || names.any(|name| name == function)
}
