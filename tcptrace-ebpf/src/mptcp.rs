//! MPTCP: a process has one socket for a connection; beneath it are TCP sockets, its subflows, which
//! no process has.

use crate::{memory::peek, settings::setting};

/// The name of the protocol on top of a subflow (`subflow_ulp_ops`, `net/mptcp/subflow.c`), NUL-padded.
const NAME: u64 = u64::from_ne_bytes(*b"mptcp\0\0\0");

/// Whether a TCP socket is a subflow. A connection that comes in at an MPTCP listener counts as one
/// until its handshake is complete: then the kernel knows whether the peer speaks MPTCP.
#[inline(always)]
pub fn is_subflow(sock: *const u8) -> bool {
    let offset = setting!(sock.icsk_ulp_ops);
    if offset == 0 {
        return false;
    }
    let operations = peek::<u64>(sock, offset) as *const u8;
    !operations.is_null() && peek::<u64>(operations, setting!(sock.ulp_name)) == NAME
}

/// The connection that a subflow belongs to; 0 if it has none.
#[inline(always)]
pub fn connection(subflow: *const u8) -> *const u8 {
    let context = peek::<u64>(subflow, setting!(sock.icsk_ulp_data)) as *const u8;
    peek::<u64>(context, setting!(sock.subflow_conn)) as *const u8
}
