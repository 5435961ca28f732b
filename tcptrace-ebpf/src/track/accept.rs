//! Who accepts a connection.
//!
//! The kernel's function returns the new socket. If functions cannot be hooked, the results of the
//! system calls are used: these are descriptors, which are looked up in the table of the process.

use aya_ebpf::{
    EbpfContext,
    helpers::generated::{bpf_get_current_task, bpf_get_current_task_btf},
    macros::{fexit, tracepoint},
    programs::{FExitContext, TracePointContext},
};
use tcptrace_common::{IPPROTO_MPTCP, IPPROTO_TCP, OwnerRecord};

use super::{
    owner,
    read_sock::{RawSock, ReadSock as _},
    table::{self, Table, fill_in, hand_over},
};
use crate::{
    file::socket_of_file,
    memory::peek,
    mptcp::{connection, is_subflow},
    settings::setting,
    sock::is_ip,
    typed::TypedPtr,
};

/// `struct syscall_trace_exit { struct trace_entry ent; int nr; long ret; }`
/// (`kernel/trace/trace.h`): the result follows the common header (8 bytes) and the number of the
/// call, which is padded.
const SYSCALL_RESULT: u32 = 16;

/// Up to 6.9: `struct sock *inet_csk_accept(struct sock *sk, int flags, int *err, bool kern)`
/// (`net/ipv4/inet_connection_sock.c`); the result follows the arguments.
#[fexit(function = "inet_csk_accept")]
pub fn accept_of_four(ctx: FExitContext) -> i32 {
    accepted(table::table!(), ctx.arg::<u64>(4) as *const u8);
    0
}

/// From 6.10 on: `struct sock *inet_csk_accept(struct sock *sk, struct proto_accept_arg *arg)`;
/// likewise.
#[fexit(function = "inet_csk_accept")]
pub fn accept_of_two(ctx: FExitContext) -> i32 {
    accepted(table::table!(), ctx.arg::<u64>(2) as *const u8);
    0
}

/// Also attached to `sys_exit_accept`, whose record is the same: see [`SYSCALL_RESULT`].
#[tracepoint(category = "syscalls", name = "sys_exit_accept4")]
pub fn accept_syscall(ctx: TracePointContext) -> u32 {
    descriptor_accepted(&ctx, table::growing());
    0
}

/// The same for the preallocated table.
#[tracepoint(category = "syscalls", name = "sys_exit_accept4")]
pub fn accept_syscall_preallocated(ctx: TracePointContext) -> u32 {
    descriptor_accepted(&ctx, table::preallocated());
    0
}

#[inline(always)]
fn descriptor_accepted(ctx: &TracePointContext, table: &Table) {
    let descriptor: i64 = peek(ctx.as_ptr().cast_const().cast(), SYSCALL_RESULT);
    if descriptor < 0 {
        return;
    }
    let (slots, count) = descriptors();
    if descriptor >= i64::from(count) {
        return;
    }
    let slot = slots.wrapping_add(descriptor as u64 * 8) as *const u8;
    let file = peek::<u64>(slot, 0) as *const u8;
    if !file.is_null()
        && let Some(sock) = socket_of_file(file)
    {
        accepted(table, sock);
    }
}

/// The address of the current process's descriptors, and their maximum number.
#[inline(always)]
fn descriptors() -> (u64, u32) {
    if setting!(has_task_type) != 0 {
        // SAFETY: the helper takes nothing; the verifier knows its result's type.
        let task = TypedPtr(unsafe { bpf_get_current_task_btf() }.cast_const().cast());
        let files = TypedPtr(task.load(setting!(task.task_files)));
        let table = TypedPtr(files.load(setting!(task.files_fdt)));
        return (
            table.load(setting!(task.fdt_fd)),
            table.load(setting!(task.fdt_max_fds)),
        );
    }
    // SAFETY: the helper takes nothing.
    let task = unsafe { bpf_get_current_task() } as *const u8;
    let files = peek::<u64>(task, setting!(task.task_files)) as *const u8;
    let table = peek::<u64>(files, setting!(task.files_fdt)) as *const u8;
    (
        peek(table, setting!(task.fdt_fd)),
        peek(table, setting!(task.fdt_max_fds)),
    )
}

/// Records that the current process has accepted the socket.
#[inline(always)]
fn accepted(table: &Table, sock: *const u8) {
    if sock.is_null() {
        return;
    }
    // The kernel's function returns the subflow; what the process gets is the connection.
    let sock = match is_subflow(sock) {
        true => connection(sock),
        false => sock,
    };
    if let Some(entry) = table::get(table, sock) {
        // Another thread may have put another socket at that descriptor in the meantime.
        if entry.handed_over == 0 {
            hand_over(entry, &owner::current(OwnerRecord::ACCEPT));
        }
        return;
    }
    let sock = RawSock(sock);
    let protocol = sock.protocol();
    if !is_ip(sock.family()) || (protocol != IPPROTO_TCP && protocol != IPPROTO_MPTCP) {
        return;
    }
    // It came in before the start, or its first transition was missed.
    if let Some(entry) = table::add(table, sock.0) {
        fill_in(entry, &sock);
        hand_over(entry, &owner::current(OwnerRecord::ACCEPT));
    }
}
