//! An iterator that the kernel runs for every descriptor.

use aya_ebpf::{cty::c_void, helpers::generated::bpf_sock_from_file};
use tcptrace_common::HolderRecord;

use super::record::{bytes, is_told, write};
use crate::{iterator::IteratorContext, memory::TypedPtr, settings::setting, sock::is_ip};

/// `int bpf_iter_task_file(struct bpf_iter_meta *meta, struct task_struct *task, u32 fd, struct file *file)`
/// (`kernel/bpf/task_iter.c`).
#[unsafe(link_section = "iter/task_file")]
#[unsafe(no_mangle)]
pub extern "C" fn each_file(ctx: *mut c_void) -> i32 {
    let context = IteratorContext::new(ctx);
    let task = context.task();
    let file = context.word(3) as *const u8;
    if task.0.is_null() || file.is_null() {
        return 0;
    }
    // SAFETY: the verifier checks that the argument is a `struct file *`.
    let socket = unsafe { bpf_sock_from_file(file.cast_mut().cast()) };
    if socket.is_null() {
        return 0;
    }
    let sock = TypedPtr(TypedPtr(socket.cast_const().cast()).load(setting!(task.socket_sk)));
    if sock.0.is_null() {
        return 0;
    }
    let state: u8 = sock.load(setting!(sock.skc_state));
    if !is_ip(sock.load(setting!(sock.skc_family)))
        || !is_told(state, sock.load(setting!(sock.sk_protocol)))
    {
        return 0;
    }
    let inode = TypedPtr(TypedPtr(file).load(setting!(task.file_inode)));
    write(
        context.seq(),
        &HolderRecord {
            inode: inode.load(setting!(task.inode_ino)),
            pid: task.load(setting!(task.task_tgid)),
            fd: context.word(2) as u32,
            backlog: sock.load(setting!(sock.sk_max_ack_backlog)),
            state: state.into(),
            comm: bytes(comm(task)),
        },
    );
    0
}

/// The name of the thread group's leader, which is the process's name.
#[inline(always)]
fn comm(task: TypedPtr) -> [u64; 2] {
    let leader = TypedPtr(task.load(setting!(task.task_group_leader)));
    let offset = setting!(task.task_comm);
    [leader.load(offset), leader.load(offset + 8)]
}
