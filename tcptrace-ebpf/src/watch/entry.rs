//! What the kernel knows about a connection when it enters the watched state.

use aya_ebpf::helpers::generated::bpf_jiffies64;
use tcptrace_common::{IPPROTO_TCP, KnownAtEntry, TcpState};

use crate::{memory::peek, settings::setting};

/// A bit for each state of a connection that is made and not over. In the others the times and numbers are not
/// filled in yet, or are those of the listener that it was copied from (`inet_csk_clone_lock`,
/// `net/ipv4/inet_connection_sock.c`).
const CONNECTED: u32 = 1 << TcpState::Established as u32
    | 1 << TcpState::FinWait1 as u32
    | 1 << TcpState::FinWait2 as u32
    | 1 << TcpState::CloseWait as u32
    | 1 << TcpState::LastAck as u32
    | 1 << TcpState::Closing as u32;

/// What is known of a socket that leaves the state `from`. The members are read as raw memory: they lie beyond
/// `struct sock`, and both hooks do it alike.
#[inline(always)]
pub fn known(sock: *const u8, protocol: u16, from: i32) -> KnownAtEntry {
    let mut known = KnownAtEntry::default();
    if setting!(entry.lsndtime) == 0
        || protocol != IPPROTO_TCP
        || CONNECTED & (1 << (from as u32 & 31)) == 0
    {
        return known;
    }
    // SAFETY: the helper takes nothing and only reads a clock.
    let jiffies = unsafe { bpf_jiffies64() } as u32;
    let data: u32 = peek(sock, setting!(entry.icsk_lrcvtime));
    let sent: u32 = peek(sock, setting!(entry.lsndtime));
    let received: u32 = peek(sock, setting!(entry.rcv_nxt));
    let read: u32 = peek(sock, setting!(entry.copied_seq));
    known.bytes_received = peek(sock, setting!(entry.bytes_received));
    known.bytes_acked = peek(sock, setting!(entry.bytes_acked));
    known.ticks_since_data = jiffies.wrapping_sub(data);
    known.ticks_since_sent = jiffies.wrapping_sub(sent);
    known.unread = received.wrapping_sub(read);
    known.known = 1;
    known
}
