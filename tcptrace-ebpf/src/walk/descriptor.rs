//! One descriptor: whether it is a socket of interest.

use tcptrace_common::{
    AF_INET, AF_INET6, AF_UNIX, IPPROTO_MPTCP, IPPROTO_TCP, SocketRecord, TcpState,
};

use crate::{
    brief::write_brief,
    describe::describe,
    file::socket_of_file,
    memory::peek,
    output::{next_record, state},
    place::{CountedSocket, Place, count},
    settings::setting,
};

/// `SOCK_STREAM` of `include/linux/net.h`. A raw socket may have the protocol TCP, too.
const SOCK_STREAM: u16 = 1;

/// Bytes at the beginning of `struct sock_common`, which is read at once: family, state, namespace
/// and remote port lie there on every kernel so far.
const HEAD: usize = 64;

/// The beginning of a socket.
pub struct Head([u64; HEAD / 8]);

impl Head {
    #[inline(always)]
    fn read(sock: *const u8) -> Self {
        Self(peek(sock, 0))
    }

    /// The member at `offset`, which the caller knows to lie in the head or reads from the socket.
    #[inline(always)]
    pub fn get<T: Copy + Default>(&self, sock: *const u8, offset: u32) -> T {
        let offset = offset as usize;
        if offset + size_of::<T>() > HEAD {
            return peek(sock, offset as u32);
        }
        // SAFETY: within the array, as just checked; the offset is the kernel's, so it is aligned.
        unsafe { self.0.as_ptr().cast::<u8>().add(offset).cast::<T>().read() }
    }
}

/// The same as [`consider`], as a function that the verifier checks by itself, once, and not with each
/// state of the loop that calls it; therefore its arguments are numbers.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn consider_one(file: u64, fd: u64, leader: u64, ids: u64, counts: u64) -> u32 {
    let place = Place {
        leader,
        ids,
        counts: counts as u32,
    };
    consider(file as *const u8, fd as u32, &place);
    0
}

/// Counts the socket behind a descriptor, and writes a record if it is of interest.
#[inline(always)]
pub fn consider(file: *const u8, fd: u32, place: &Place) {
    let Some(sock) = socket_of_file(file) else {
        return;
    };
    let head = Head::read(sock);
    let family: u16 = head.get(sock, setting!(sock.skc_family));
    if family == AF_UNIX {
        return consider_unix(sock, fd, file, place);
    }
    if family != AF_INET && family != AF_INET6 {
        return;
    }
    let protocol: u16 = peek(sock, setting!(sock.sk_protocol));
    if (protocol != IPPROTO_TCP && protocol != IPPROTO_MPTCP)
        || peek::<u16>(sock, setting!(tcp.sk_type)) != SOCK_STREAM
    {
        return;
    }
    let Some(walk) = state() else {
        return;
    };
    let state: u8 = head.get(sock, setting!(sock.skc_state));
    if protocol == IPPROTO_TCP && place.counts != 0 {
        let socket = CountedSocket {
            sock: sock as u64,
            net: head.get(sock, setting!(sock.skc_net)),
            state,
            alone: peek::<u32>(file, setting!(tcp.file_count)) == setting!(tcp.file_count_one),
            ids: place.ids,
            fd,
        };
        count(walk, &socket);
    }
    if setting!(brief) != 0 {
        return write_brief(sock, &head, file, protocol, place);
    }
    // An MPTCP connection in another state tells whose its subflows are.
    let interesting = protocol == IPPROTO_MPTCP
        || setting!(watched_states) & (1 << (state & 31)) != 0
        || state == TcpState::Listen.number()
        // It was connected once, or tried to be: such a socket keeps its peer's port.
        || (state == TcpState::Close.number()
            && head.get::<u16>(sock, setting!(sock.skc_dport)) != 0);
    if !interesting {
        return;
    }
    let Some(record) = next_record(walk) else {
        return;
    };
    // SAFETY: the entry is in the map, and one reader at a time runs a walk.
    let record: &mut SocketRecord = unsafe { &mut *record };
    describe(sock, record);
    describe_holder(fd, file, place, record);
}

/// Writes a record of a Unix socket in which descriptors wait, if the walk is about these.
#[inline(always)]
fn consider_unix(sock: *const u8, fd: u32, file: *const u8, place: &Place) {
    let offset = setting!(tcp.unix_descriptors);
    if offset != 0
        && let Some(walk) = state()
        && walk.unix != 0
        && peek::<u32>(sock, offset) != 0
        && let Some(record) = next_record(walk)
    {
        // SAFETY: the entry is in the map, and one reader at a time runs a walk.
        let record: &mut SocketRecord = unsafe { &mut *record };
        record.sock = sock as u64;
        record.family = AF_UNIX;
        record.protocol = 0;
        describe_holder(fd, file, place, record);
    }
}

#[inline(always)]
fn describe_holder(fd: u32, file: *const u8, place: &Place, record: &mut SocketRecord) {
    let inode = peek::<u64>(file, setting!(task.file_inode)) as *const u8;
    record.inode = peek(inode, setting!(task.inode_ino));
    let socket = peek::<u64>(file, setting!(task.file_private_data)) as *const u8;
    record.socket_state = peek::<u32>(socket, setting!(tcp.socket_state)) as u8;
    record.comm = peek(place.leader as *const u8, setting!(task.task_comm));
    record.pid = (place.ids >> 32) as u32;
    record.tid = place.ids as u32;
    record.fd = fd;
}
