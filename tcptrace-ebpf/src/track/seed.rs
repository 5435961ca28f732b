//! Sockets from before the start: an iterator over descriptors adds each one to the table, with a
//! process that has it open.

use aya_ebpf::cty::c_void;
use tcptrace_common::{IPPROTO_MPTCP, IPPROTO_TCP, OwnerRecord};

use super::{
    owner,
    read_sock::{RawSock, ReadSock as _},
    table::{self, fill_in, hand_over},
};
use crate::{file::socket_of_file, iterator::IteratorContext, sock::is_ip};

/// `int bpf_iter_task_file(struct bpf_iter_meta *meta, struct task_struct *task, u32 fd, struct file *file)`
/// (`kernel/bpf/task_iter.c`).
#[unsafe(link_section = "iter/task_file")]
#[unsafe(no_mangle)]
pub extern "C" fn seed(ctx: *mut c_void) -> i32 {
    let context = IteratorContext::new(ctx);
    let (task, file) = (context.task(), context.word(3) as *const u8);
    if task.is_null() || file.is_null() {
        return 0;
    }
    let Some(sock) = socket_of_file(file) else {
        return 0;
    };
    let sock = RawSock(sock);
    let protocol = sock.protocol();
    if !is_ip(sock.family()) || (protocol != IPPROTO_TCP && protocol != IPPROTO_MPTCP) {
        return 0;
    }
    hold(&sock, &owner::holder(task));
    0
}

#[inline(always)]
fn hold(sock: &RawSock, holder: &OwnerRecord) {
    let table = table::table!();
    if let Some(entry) = table::get(table, sock.0) {
        let [first, second] = &entry.owners;
        // The longest-running of several holders: after a fork, the parent.
        let nobody = entry.handed_over == 0 && first.known_by == OwnerRecord::UNKNOWN;
        let younger = entry.handed_over != 0
            && second.known_by == OwnerRecord::FD
            && second.started_ns > holder.started_ns;
        if nobody || younger {
            hand_over(entry, holder);
        }
    } else if let Some(entry) = table::add(table, sock.0) {
        fill_in(entry, sock);
        hand_over(entry, holder);
    }
}
