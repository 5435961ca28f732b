//! Who has a socket open: a pass over all descriptors adds sockets from before the start to the table, with a
//! process that has them open, and finds the processes that have taken sockets over.

use aya_ebpf::cty::c_void;
use tcptrace_common::{IPPROTO_MPTCP, IPPROTO_TCP, OwnerRecord};

use super::{
    owner,
    read_sock::{RawSock, ReadSock as _},
    table::{self, fill_in, hand_over, passes},
};
use crate::{file::socket_of_file, iterator::IteratorContext, settings::setting, sock::is_ip};

/// The passes at the start. Later ones find sockets in motion: they do not choose another owner, and do not add
/// sockets, which are new and have done nothing yet, or for which there is no room.
const FIRST_PASSES: u32 = 2;

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
    let pass = passes().current;
    if let Some(entry) = table::get(table, sock.0) {
        let [first, second, _] = &entry.owners;
        // With a descriptor, it has been accepted, by whichever process.
        let nobody = entry.handed_over == 0
            && (first.known_by == OwnerRecord::UNKNOWN
                || (first.known_by == OwnerRecord::LISTENER && setting!(track.sees_accept) != 0));
        // The longest-running of several holders: after a fork, the parent.
        let younger = pass <= FIRST_PASSES
            && entry.handed_over != 0
            && second.known_by == OwnerRecord::FD
            && second.started_ns > holder.started_ns;
        if nobody || younger {
            hand_over(entry, holder);
        }
        entry.found_with(holder, pass);
    } else if pass <= FIRST_PASSES
        && let Some(entry) = table::add(table, sock.0)
    {
        fill_in(entry, sock);
        hand_over(entry, holder);
        entry.owner_pass = pass;
    }
}
