//! The kernel members that the programs read, looked up in the running kernel's type information.

use tcptrace_common::{SockOffsets, TaskOffsets};

use crate::source::bpf::types::btf::Btf;

/// A member that this kernel lacks, or that has another size than the programs read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("struct {owner} has no member {member} of {bytes} bytes")]
pub struct MissingMember {
    owner: &'static str,
    member: &'static str,
    bytes: u32,
}

fn offset(
    btf: &Btf<'_>,
    owner: &'static str,
    member: &'static str,
    bytes: u32,
) -> Result<u32, MissingMember> {
    btf.member(owner, member)
        .filter(|found| found.bytes == Some(bytes))
        .map(|found| found.offset)
        .ok_or(MissingMember {
            owner,
            member,
            bytes,
        })
}

/// Members of `struct sock`.
///
/// # Errors
/// When one is missing or has another size.
pub fn sock(btf: &Btf<'_>) -> Result<SockOffsets, MissingMember> {
    let common = |member, bytes| offset(btf, "sock_common", member, bytes);
    Ok(SockOffsets {
        skc_family: common("skc_family", 2)?,
        skc_state: common("skc_state", 1)?,
        skc_num: common("skc_num", 2)?,
        skc_dport: common("skc_dport", 2)?,
        skc_daddr: common("skc_daddr", 4)?,
        skc_rcv_saddr: common("skc_rcv_saddr", 4)?,
        skc_v6_daddr: common("skc_v6_daddr", 16)?,
        skc_v6_rcv_saddr: common("skc_v6_rcv_saddr", 16)?,
        skc_bound_dev_if: common("skc_bound_dev_if", 4)?,
        skc_net: common("skc_net", 8)?,
        net_inum: offset(btf, "net", "ns.inum", 4)?,
        sk_protocol: offset(btf, "sock", "sk_protocol", 2)?,
        sk_max_ack_backlog: offset(btf, "sock", "sk_max_ack_backlog", 4)?,
        ..SockOffsets::default()
    })
}

/// Members on the way from a task to its sockets.
///
/// # Errors
/// When one is missing or has another size.
pub fn task(btf: &Btf<'_>) -> Result<TaskOffsets, MissingMember> {
    let task = |member, bytes| offset(btf, "task_struct", member, bytes);
    Ok(TaskOffsets {
        task_pid: task("pid", 4)?,
        task_tgid: task("tgid", 4)?,
        task_comm: task("comm", 16)?,
        task_files: task("files", 8)?,
        task_group_leader: task("group_leader", 8)?,
        files_fdt: offset(btf, "files_struct", "fdt", 8)?,
        fdt_fd: offset(btf, "fdtable", "fd", 8)?,
        fdt_max_fds: offset(btf, "fdtable", "max_fds", 4)?,
        file_private_data: offset(btf, "file", "private_data", 8)?,
        file_inode: offset(btf, "file", "f_inode", 8)?,
        inode_ino: offset(btf, "inode", "i_ino", 8)?,
        socket_file: offset(btf, "socket", "file", 8)?,
        socket_sk: offset(btf, "socket", "sk", 8)?,
        ..TaskOffsets::default()
    })
}

/// Adds the members that only tracking reads. If the kernel lacks one, tracking works with less; a
/// path of several members is only used if all of them exist.
pub fn add_tracking(btf: &Btf<'_>, sock: &mut SockOffsets, task: &mut TaskOffsets) {
    let found = |owner, member, bytes| offset(btf, owner, member, bytes).unwrap_or(0);
    sock.skc_cookie = found("sock_common", "skc_cookie", 8);
    sock.sk_socket = found("sock", "sk_socket", 8);
    sock.inet_sport = found("inet_sock", "inet_sport", 2);
    sock.tsq_node = found("tcp_sock", "tsq_node", 16);
    let way = TaskOffsets {
        task_flags: found("task_struct", "flags", 4),
        task_start_boottime: found("task_struct", "start_boottime", 8),
        task_cgroups: found("task_struct", "cgroups", 8),
        css_set_dfl_cgrp: found("css_set", "dfl_cgrp", 8),
        cgroup_kn: found("cgroup", "kn", 8),
        kernfs_node_id: found("kernfs_node", "id", 8),
        ..*task
    };
    if way.task_flags != 0 && way.task_start_boottime != 0 {
        *task = way;
    }
}
