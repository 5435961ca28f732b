//! The current process, and whether the filter wants its sockets.

use core::mem::MaybeUninit;

use aya_ebpf::{
    helpers::{
        bpf_get_current_cgroup_id, bpf_get_current_pid_tgid,
        generated::{
            bpf_get_current_ancestor_cgroup_id, bpf_get_current_comm, bpf_get_current_task,
            bpf_get_current_task_btf,
        },
    },
    macros::map,
    maps::HashMap,
};
use tcptrace_common::{MAX_COMMS, OwnerRecord, TrackSettings};

use crate::{memory::peek, pids, settings::setting, typed::TypedPtr};

/// Processes whose sockets are wanted. The map is preallocated: up to 6.0 the kernel warns about
/// any other kind of map in a program on a classic tracepoint.
#[map]
pub static PIDS: HashMap<u32, u32> = HashMap::with_max_entries(1, 0);

/// The control groups that the filter wants, as of the start: for sockets from before the start.
#[map]
static CGROUPS: HashMap<u64, u32> = HashMap::with_max_entries(1, 0);

/// `PF_KTHREAD` of `include/linux/sched.h`.
const PF_KTHREAD: u32 = 0x0020_0000;

/// The process and the thread that make the current call; 0 outside of the PID namespace that tcptrace
/// runs in.
#[inline(always)]
fn ids() -> (u32, u32) {
    if setting!(task.numbers.namespace) != 0 {
        // SAFETY: the helper takes nothing.
        let task = unsafe { bpf_get_current_task() } as *const u8;
        return (pids::process(task), pids::thread(task));
    }
    let ids = bpf_get_current_pid_tgid();
    ((ids >> 32) as u32, ids as u32)
}

/// The process that makes the current call; none for a kernel thread, which works for others.
#[inline(always)]
pub fn current(known_by: u32) -> OwnerRecord {
    let (pid, tid) = ids();
    let mut owner = OwnerRecord {
        pid,
        tid,
        known_by,
        ..OwnerRecord::default()
    };
    if setting!(task.task_flags) == 0 {
        // Without type information: the thread's name, which is usually the process's.
        owner.comm = comm();
    } else if setting!(has_task_type) != 0 {
        // SAFETY: the helper takes nothing; the verifier knows its result's type.
        let task = TypedPtr(unsafe { bpf_get_current_task_btf() }.cast_const().cast());
        if task.load::<u32>(setting!(task.task_flags)) & PF_KTHREAD != 0 {
            return OwnerRecord::default();
        }
        if tid == pid && pid != 0 {
            let comm = setting!(task.task_comm);
            owner.comm = up_to_nul([task.load(comm), task.load(comm + 8)]);
            owner.started_ns = task.load(setting!(task.task_start_boottime));
        } else {
            describe(task.0, &mut owner);
        }
    } else {
        // SAFETY: the helper takes nothing.
        let task = unsafe { bpf_get_current_task() } as *const u8;
        if peek::<u32>(task, setting!(task.task_flags)) & PF_KTHREAD != 0 {
            return OwnerRecord::default();
        }
        describe(task, &mut owner);
    }
    // SAFETY: the helper takes nothing.
    owner.cgroup = unsafe { bpf_get_current_cgroup_id() };
    owner.wanted = u32::from(wanted(&owner) && current_in_cgroup());
    owner
}

/// The same for a call on a socket that may belong to `owner`, which then need not be looked up
/// again.
#[inline(always)]
pub fn caller(owner: &OwnerRecord) -> OwnerRecord {
    let (pid, tid) = ids();
    // A thread may have another name than its process, and a process may have executed another
    // program.
    if pid != 0 && pid == owner.pid && tid == pid && comm() == owner.comm {
        OwnerRecord {
            tid,
            known_by: OwnerRecord::FD,
            ..*owner
        }
    } else {
        current(OwnerRecord::FD)
    }
}

/// Whether this is a tcptrace, to which the end of a `close` has fallen that another process began: see
/// `own_comm` of the settings.
#[inline(always)]
pub fn only_looks(process: &OwnerRecord) -> bool {
    setting!(track.own_comm[0]) != 0
        && process.comm[0] == setting!(track.own_comm[0])
        && process.comm[1] == setting!(track.own_comm[1])
}

/// The name with zeros after its end: up to 5.16 the rest of an earlier name may follow it.
#[inline(always)]
fn up_to_nul(comm: [u64; 2]) -> [u64; 2] {
    let first = mask_to_nul(comm[0]);
    let second = if first == u64::MAX {
        mask_to_nul(comm[1])
    } else {
        0
    };
    [comm[0] & first, comm[1] & second]
}

/// Ones in all bytes before the first zero byte, in memory order on a little-endian machine.
#[inline(always)]
fn mask_to_nul(bytes: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    // The top bit of each zero byte, and possibly of bytes after it.
    let zeros = bytes.wrapping_sub(ONES) & !bytes & (ONES << 7);
    if zeros == 0 {
        return u64::MAX;
    }
    let lowest = zeros & zeros.wrapping_neg();
    (lowest >> 7) - 1
}

/// The name of the current thread.
#[inline(always)]
fn comm() -> [u64; 2] {
    let mut comm = MaybeUninit::<[u64; 2]>::uninit();
    // SAFETY: the helper writes this many bytes, even when it fails; it only fails for a size of 0.
    unsafe {
        bpf_get_current_comm(comm.as_mut_ptr().cast(), size_of::<[u64; 2]>() as u32);
        comm.assume_init()
    }
}

/// The process of `task`, which has a descriptor of the socket.
#[inline(always)]
pub fn holder(task: *const u8) -> OwnerRecord {
    let mut owner = OwnerRecord {
        pid: pids::process(task),
        known_by: OwnerRecord::FD,
        ..OwnerRecord::default()
    };
    describe(task, &mut owner);
    let groups = peek::<u64>(task, setting!(task.task_cgroups)) as *const u8;
    let group = peek::<u64>(groups, setting!(task.css_set_dfl_cgrp)) as *const u8;
    let node = peek::<u64>(group, setting!(task.cgroup_kn)) as *const u8;
    owner.cgroup = peek(node, setting!(task.kernfs_node_id));
    let in_cgroup = setting!(track.cgroup) == 0 || is_listed(owner.cgroup);
    owner.wanted = u32::from(wanted(&owner) && in_cgroup);
    owner
}

#[inline(always)]
fn describe(task: *const u8, owner: &mut OwnerRecord) {
    let leader = peek::<u64>(task, setting!(task.task_group_leader)) as *const u8;
    owner.comm = up_to_nul(peek(leader, setting!(task.task_comm)));
    owner.started_ns = peek(leader, setting!(task.task_start_boottime));
}

#[inline(always)]
fn wanted(owner: &OwnerRecord) -> bool {
    // SAFETY: only whether there is an entry matters.
    (setting!(track.by_pid) == 0 || unsafe { PIDS.get(owner.pid) }.is_some()) && comm_wanted(owner)
}

#[inline(always)]
fn comm_wanted(owner: &OwnerRecord) -> bool {
    let count = setting!(track.comm_count) as usize;
    if count == 0 {
        return true;
    }
    let mut index = 0;
    while index < MAX_COMMS {
        if index < count && owner.comm == setting!(track.comms[index]) {
            return true;
        }
        index += 1;
    }
    false
}

#[inline(always)]
fn current_in_cgroup() -> bool {
    let (wanted, level) = (setting!(track.cgroup), setting!(track.cgroup_level));
    if wanted != 0 && level == TrackSettings::BY_LIST {
        // SAFETY: the helper takes nothing.
        return is_listed(unsafe { bpf_get_current_cgroup_id() });
    }
    // SAFETY: the helper takes a number.
    wanted == 0 || unsafe { bpf_get_current_ancestor_cgroup_id(level as i32) } == wanted
}

/// Whether the control group was among the wanted ones at the start.
#[inline(always)]
fn is_listed(cgroup: u64) -> bool {
    // SAFETY: only whether there is an entry matters.
    unsafe { CGROUPS.get(cgroup) }.is_some()
}

/// Whether sockets with an unknown owner are wanted.
#[inline(always)]
pub fn unknown_wanted() -> bool {
    setting!(track.by_pid) == 0 && setting!(track.comm_count) == 0 && setting!(track.cgroup) == 0
}
