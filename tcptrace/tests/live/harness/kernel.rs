//! What this kernel cannot do. Tests accept less from the tool then.

use std::sync::OnceLock;

/// Whether a program on a transition can read the socket's cookie (from 5.12). Otherwise a socket is identified by
/// its addresses only.
pub fn tells_cookies() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| has("bpf_get_socket_ptr_cookie"))
}

/// Whether the kernel has a function with this name. If the kernel does not list its functions, tests
/// expect all of them.
fn has(function: &str) -> bool {
    let Ok(functions) = std::fs::read_to_string("/proc/kallsyms") else {
        return true;
    };
    let mut names = functions
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2));
    functions.is_empty() || names.any(|name| name == function)
}
