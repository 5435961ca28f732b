//! The kernel members that the programs read, looked up in the running kernel's type information.

use tcptrace_common::{EntryOffsets, PidNumbers, SockOffsets, TaskOffsets, TcpOffsets};

use crate::source::bpf::types::btf::{Btf, Struct};

/// A member that this kernel lacks, or that has another size than the programs read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("struct {owner} has no member {member} of {bytes} bytes")]
pub struct MissingMember {
    owner: &'static str,
    member: &'static str,
    bytes: u32,
}

/// A struct whose members are looked up; a kernel without it has none of them.
#[derive(Clone, Copy)]
struct Owner<'a> {
    name: &'static str,
    found: Option<Struct<'a>>,
}

impl Owner<'_> {
    fn offset(&self, member: &'static str, bytes: u32) -> Result<u32, MissingMember> {
        let found = self.found.and_then(|found| found.member(member));
        found
            .filter(|found| found.bytes == Some(bytes))
            .map(|found| found.offset)
            .ok_or(MissingMember {
                owner: self.name,
                member,
                bytes,
            })
    }

    /// The offset of a member of any size, or 0 where the kernel lacks it.
    fn at(&self, member: &'static str) -> u32 {
        let found = self.found.and_then(|found| found.member(member));
        found.map_or(0, |found| found.offset)
    }

    /// The offset, or 0 where the kernel lacks the member.
    fn maybe(&self, member: &'static str, bytes: u32) -> u32 {
        self.offset(member, bytes).unwrap_or(0)
    }
}

/// The structs that the programs read, found in one pass.
macro_rules! owners {
    ($($name:ident),+ $(,)?) => {
        /// The structs that the programs read.
        #[allow(missing_debug_implementations)]
        pub struct Owners<'a> {
            $($name: Owner<'a>,)+
        }

        impl<'a> Owners<'a> {
            /// Finds all of them in one pass.
            #[must_use]
            pub fn find(btf: &'a Btf<'a>) -> Self {
                let [$($name),+] = btf.structures([$(stringify!($name)),+]);
                Self {
                    $($name: Owner { name: stringify!($name), found: $name },)+
                }
            }
        }
    };
}

owners!(
    cgroup,
    css_set,
    fdtable,
    file,
    files_struct,
    inet_connection_sock,
    inet_sock,
    inode,
    kernfs_node,
    mptcp_sock,
    mptcp_subflow_context,
    net,
    pid,
    pid_namespace,
    request_sock,
    scm_fp_list,
    sk_buff,
    sock,
    sock_common,
    socket,
    task_struct,
    tcp_sock,
    tcp_ulp_ops,
    unix_skb_parms,
    unix_sock,
    upid,
);

/// Members of `struct sock`.
///
/// # Errors
/// When one is missing or has another size.
pub fn sock(owners: &Owners<'_>) -> Result<SockOffsets, MissingMember> {
    let common = |member, bytes| owners.sock_common.offset(member, bytes);
    let sock = &owners.sock;
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
        net_inum: owners.net.offset("ns.inum", 4)?,
        sk_protocol: sock.offset("sk_protocol", 2)?,
        sk_max_ack_backlog: sock.offset("sk_max_ack_backlog", 4)?,
        ..SockOffsets::default()
    })
}

/// Adds the members that tell a subflow of MPTCP from a TCP socket, if the kernel has all of them.
pub fn add_mptcp(owners: &Owners<'_>, sock: &mut SockOffsets) {
    let icsk = &owners.inet_connection_sock;
    let way = [
        icsk.maybe("icsk_ulp_ops", 8),
        icsk.maybe("icsk_ulp_data", 8),
        owners.tcp_ulp_ops.maybe("name", 16),
        owners.mptcp_subflow_context.maybe("conn", 8),
    ];
    if !way.contains(&0) {
        [
            sock.icsk_ulp_ops,
            sock.icsk_ulp_data,
            sock.ulp_name,
            sock.subflow_conn,
        ] = way;
        sock.mptcp_first = owners.mptcp_sock.maybe("first", 8);
    }
}

/// Members that are read when a socket enters the watched state: all of them, or none.
#[must_use]
pub fn entry(owners: &Owners<'_>) -> EntryOffsets {
    let (icsk, tcp) = (&owners.inet_connection_sock, &owners.tcp_sock);
    let all = || {
        Ok::<_, MissingMember>(EntryOffsets {
            icsk_lrcvtime: icsk.offset("icsk_ack.lrcvtime", 4)?,
            lsndtime: tcp.offset("lsndtime", 4)?,
            bytes_received: tcp.offset("bytes_received", 8)?,
            bytes_acked: tcp.offset("bytes_acked", 8)?,
            rcv_nxt: tcp.offset("rcv_nxt", 4)?,
            copied_seq: tcp.offset("copied_seq", 4)?,
        })
    };
    all().unwrap_or_default()
}

/// Members on the way from a task to its sockets.
///
/// # Errors
/// When one is missing or has another size.
pub fn task(owners: &Owners<'_>) -> Result<TaskOffsets, MissingMember> {
    let task = |member, bytes| owners.task_struct.offset(member, bytes);
    let (table, file, socket) = (&owners.fdtable, &owners.file, &owners.socket);
    Ok(TaskOffsets {
        task_pid: task("pid", 4)?,
        task_tgid: task("tgid", 4)?,
        task_comm: task("comm", 16)?,
        task_files: task("files", 8)?,
        task_group_leader: task("group_leader", 8)?,
        files_fdt: owners.files_struct.offset("fdt", 8)?,
        fdt_fd: table.offset("fd", 8)?,
        fdt_max_fds: table.offset("max_fds", 4)?,
        file_private_data: file.offset("private_data", 8)?,
        file_inode: file.offset("f_inode", 8)?,
        inode_ino: owners.inode.offset("i_ino", 8)?,
        socket_file: socket.offset("file", 8)?,
        socket_sk: socket.offset("sk", 8)?,
        numbers: numbers(owners).unwrap_or_default(),
        ..TaskOffsets::default()
    })
}

/// Where the numbers of a task are, those of the initial PID namespace first; the namespace itself is not
/// filled in.
fn numbers(owners: &Owners<'_>) -> Result<PidNumbers, MissingMember> {
    let Owners { pid, upid, .. } = owners;
    upid.offset("nr", 4)?;
    let numbers = pid.at("numbers");
    Ok(PidNumbers {
        thread_pid: owners.task_struct.offset("thread_pid", 8)?,
        pid_level: pid.offset("level", 4)?,
        number: numbers + upid.at("nr"),
        number_ns: numbers + upid.offset("ns", 8)?,
        ns_inum: owners.pid_namespace.offset("ns.inum", 4)?,
        ..PidNumbers::default()
    })
}

/// Adds the members that only tracking reads. If the kernel lacks one, tracking works with less; a
/// path of several members is only used if all of them exist.
pub fn add_tracking(owners: &Owners<'_>, sock: &mut SockOffsets, task: &mut TaskOffsets) {
    let Owners {
        sock_common,
        task_struct,
        ..
    } = owners;
    sock.skc_cookie = sock_common.maybe("skc_cookie", 8);
    sock.sk_socket = owners.sock.maybe("sk_socket", 8);
    sock.inet_sport = owners.inet_sock.maybe("inet_sport", 2);
    sock.tsq_node = owners.tcp_sock.maybe("tsq_node", 16);
    let at_end = [
        owners.sock.maybe("sk_err", 4),
        sock_common.maybe("skc_flags", 8),
        owners.sock.maybe("sk_lock.owned", 4),
        owners.sock.maybe("sk_shutdown", 1),
    ];
    if !at_end.contains(&0) && sock.sk_socket != 0 {
        [
            sock.sk_err,
            sock.skc_flags,
            sock.sk_lock_owned,
            sock.sk_shutdown,
        ] = at_end;
    }
    let way = TaskOffsets {
        task_flags: task_struct.maybe("flags", 4),
        task_start_boottime: task_struct.maybe("start_boottime", 8),
        task_cgroups: task_struct.maybe("cgroups", 8),
        css_set_dfl_cgrp: owners.css_set.maybe("dfl_cgrp", 8),
        cgroup_kn: owners.cgroup.maybe("kn", 8),
        kernfs_node_id: owners.kernfs_node.maybe("id", 8),
        ..*task
    };
    if way.task_flags != 0 && way.task_start_boottime != 0 {
        *task = way;
    }
}

/// Members that only the walk over descriptors reads. If the kernel lacks one, it says less.
///
/// # Errors
/// When one is missing without which the walk cannot tell what is a TCP connection.
pub fn tcp(owners: &Owners<'_>, sock: &mut SockOffsets) -> Result<TcpOffsets, MissingMember> {
    let Owners {
        sock_common: common,
        sock: whole,
        inet_connection_sock: icsk,
        tcp_sock: tcp,
        mptcp_sock: mptcp,
        request_sock: request,
        file,
        ..
    } = owners;
    sock.skc_cookie = common.maybe("skc_cookie", 8);
    sock.inet_sport = owners.inet_sock.maybe("inet_sport", 2);
    add_mptcp(owners, sock);
    let cgroup = match whole.maybe("sk_cgrp_data.cgroup", 8) {
        // Up to 5.15.
        0 => whole.maybe("sk_cgrp_data.val", 8),
        offset => offset,
    };
    let (keepalive_timer, keepalive_expires) =
        match icsk.maybe("icsk_keepalive_timer.entry.pprev", 8) {
            // Up to 6.18.
            0 => (
                whole.maybe("sk_timer.entry.pprev", 8),
                whole.maybe("sk_timer.expires", 8),
            ),
            offset => (offset, icsk.maybe("icsk_keepalive_timer.expires", 8)),
        };
    // From 6.13 on a count that begins at 0 (`include/linux/file_ref.h`).
    let (file_count, file_count_one) = match file.offset("f_ref.refcnt.counter", 8) {
        Ok(offset) => (offset, 0),
        Err(_) => (file.offset("f_count.counter", 8)?, 1),
    };
    Ok(TcpOffsets {
        skc_flags: common.maybe("skc_flags", 8),
        sk_type: whole.offset("sk_type", 2)?,
        sk_err: whole.maybe("sk_err", 4),
        sk_uid: whole.maybe("sk_uid", 4),
        sk_ack_backlog: whole.offset("sk_ack_backlog", 4)?,
        sk_cgroup: cgroup,
        cgroup_kn: owners.cgroup.maybe("kn", 8),
        kernfs_node_id: owners.kernfs_node.maybe("id", 8),
        socket_state: owners.socket.offset("state", 4)?,
        keepalive_timer,
        icsk_pending: icsk.maybe("icsk_pending", 1),
        icsk_lrcvtime: icsk.maybe("icsk_ack.lrcvtime", 4),
        icsk_accept_head: icsk.maybe("icsk_accept_queue.rskq_accept_head", 8),
        request_next: request.maybe("dl_next", 8),
        request_sk: request.maybe("sk", 8),
        request_listener: common.maybe("skc_listener", 8),
        rcv_nxt: tcp.maybe("rcv_nxt", 4),
        copied_seq: tcp.maybe("copied_seq", 4),
        write_seq: tcp.maybe("write_seq", 4),
        snd_una: tcp.maybe("snd_una", 4),
        snd_nxt: tcp.maybe("snd_nxt", 4),
        rcv_tstamp: tcp.maybe("rcv_tstamp", 4),
        tcp_mstamp: tcp.maybe("tcp_mstamp", 8),
        bytes_received: tcp.maybe("bytes_received", 8),
        bytes_acked: tcp.maybe("bytes_acked", 8),
        bytes_sent: tcp.maybe("bytes_sent", 8),
        bytes_retrans: tcp.maybe("bytes_retrans", 8),
        file_count,
        file_count_one,
        unix_descriptors: owners.unix_sock.maybe("scm_stat.nr_fds.counter", 4),
        sk_receive_queue: whole.maybe("sk_receive_queue.next", 8),
        skb_descriptors: match (
            owners.sk_buff.maybe("cb", 48),
            owners.unix_skb_parms.offset("fp", 8),
        ) {
            (cb @ 1.., Ok(fp)) => cb + fp,
            _ => 0,
        },
        scm_count: owners.scm_fp_list.maybe("count", 2),
        scm_files: owners.scm_fp_list.at("fp"),
        mptcp_server_side: mptcp.maybe("pm.server_side", 1),
        mptcp_extra_subflows: match mptcp.maybe("pm.extra_subflows", 1) {
            // Up to 6.17.
            0 => mptcp.maybe("pm.subflows", 1),
            offset => offset,
        },
        mptcp_bytes_received: mptcp.maybe("bytes_received", 8),
        mptcp_bytes_consumed: mptcp.maybe("bytes_consumed", 8),
        mptcp_write_seq: mptcp.maybe("write_seq", 8),
        mptcp_snd_una: mptcp.maybe("snd_una", 8),
        icsk_queue_length: icsk.maybe("icsk_accept_queue.qlen.counter", 4),
        icsk_backoff: icsk.maybe("icsk_backoff", 1),
        keepalive_expires,
        lsndtime: tcp.maybe("lsndtime", 4),
        data_segs_in: tcp.maybe("data_segs_in", 4),
        data_segs_out: tcp.maybe("data_segs_out", 4),
    })
}
