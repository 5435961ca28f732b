//! From an open file to its socket.

use crate::{memory::peek, settings::setting};

/// The `struct sock` of an open file, if it is a socket.
#[inline(always)]
pub fn socket_of_file(file: *const u8) -> Option<*const u8> {
    let socket = peek::<u64>(file, setting!(task.file_private_data)) as *const u8;
    if socket.is_null() {
        return None;
    }
    let (back, sock) = file_and_sock(socket);
    // A socket points back to its file; other private data does not.
    (back == file as u64 && !sock.is_null()).then_some(sock)
}

/// `socket->file` and `socket->sk`, which are adjacent on every kernel so far.
#[inline(always)]
fn file_and_sock(socket: *const u8) -> (u64, *const u8) {
    let (file, sk) = (setting!(task.socket_file), setting!(task.socket_sk));
    if sk == file + 8 {
        let [file, sk] = peek::<[u64; 2]>(socket, file);
        (file, sk as *const u8)
    } else {
        (peek(socket, file), peek::<u64>(socket, sk) as *const u8)
    }
}
