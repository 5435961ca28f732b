//! The descriptors in the messages of a Unix socket: sockets on their way are in no table.

use aya_ebpf::{cty::c_void, programs::RawTracePointContext};

use crate::{file::socket_of_file, memory::peek, output::message_step, settings::setting};

/// Most descriptors in one message (`SCM_MAX_FD`, `include/net/scm.h`).
const MAX_DESCRIPTORS: u64 = 253;

/// Reads one descriptor of one message: the arguments are the address of the Unix socket, that of the
/// message, or 0 for the first one, and the number of the descriptor in it. The user side runs it, it
/// is never attached.
///
/// It runs as a program on `TP_PROTO(struct pt_regs *regs, long ret)` (`sys_exit`,
/// `include/trace/events/syscalls.h`), with any numbers as arguments. Two programs must not share a
/// section: the loader would give the kernel the types of both.
#[unsafe(link_section = "raw_tp/sys_exit")]
#[unsafe(no_mangle)]
pub extern "C" fn messages(ctx: *mut c_void) -> i32 {
    let ctx = RawTracePointContext::new(ctx);
    let (sock, at, number): (u64, u64, u64) = (ctx.arg(0), ctx.arg(1), ctx.arg(2));
    let Some(step) = message_step() else {
        return 0;
    };
    // SAFETY: the entry is in the map; only one such program runs at a time.
    let step = unsafe { &mut *step };
    let queue = sock.wrapping_add(setting!(tcp.sk_receive_queue).into());
    // `next` is the first member of a message and of the queue (`struct sk_buff_list`).
    let message = match at {
        0 => peek::<u64>(queue as *const u8, 0),
        at => at,
    } as *const u8;
    let list = peek::<u64>(message, setting!(tcp.skb_descriptors)) as *const u8;
    // Behind the last message stands the queue itself, which has no descriptors.
    let count = if list.is_null() || message as u64 == queue {
        0
    } else {
        peek::<u16>(list, setting!(tcp.scm_count))
    };
    let place = setting!(tcp.scm_files) + (number.min(MAX_DESCRIPTORS) * 8) as u32;
    let file = peek::<u64>(list, place) as *const u8;
    step.inode = if number < count.into() && socket_of_file(file).is_some() {
        let inode = peek::<u64>(file, setting!(task.file_inode)) as *const u8;
        peek(inode, setting!(task.inode_ino))
    } else {
        0
    };
    step.descriptors = count.into();
    step.next = peek(message, 0);
    step.queue = queue;
    step.first = peek(queue as *const u8, 0);
    0
}
