//! The holders of a socket, in one cell of a table.

use std::fmt::Write as _;

use crate::{
    model::{
        owner::{Holder, Listener, Via},
        socket::Socket,
    },
    view::parts::{candidates::one_process_of, clean::clean},
};

/// How many holders of one socket are named, and how many where there is little room.
pub const NAMED_HOLDERS: [usize; 2] = [3, 1];
/// What a socket says that no process has any more.
pub const CLOSED: &str = "closed by its process";
/// What a socket says that only processes have that tcptrace cannot see.
pub const OUTSIDE: &str = "outside this PID namespace";

/// The process or processes in one cell of a table, at most so many `named`; `?` if unknown.
#[must_use]
pub fn held_by(socket: &Socket, named: usize) -> String {
    let names = |holders: &[Holder]| {
        let shown = holders.iter().take(named);
        let name = |holder: &Holder| {
            let process = format!("{}[{}]", clean(&holder.comm), holder.pid);
            match (holder.via, holder.fd, holder.tid) {
                (Via::Descriptor, Some(fd), None) => format!("{process} fd {fd}"),
                (Via::Descriptor, Some(fd), Some(tid)) => {
                    format!("{process} thread {tid} fd {fd}")
                }
                (via, ..) => format!("{process} {}", without_descriptor(via)),
            }
        };
        let mut text = shown.map(name).collect::<Vec<_>>().join(", ");
        if holders.len() > named {
            let _ = write!(text, " and {} more", holders.len() - named);
        }
        text
    };
    if socket.accepted() == Some(false) {
        let candidates = socket.candidates();
        return match socket.listener.as_ref().and_then(Listener::process) {
            Some((pid, comm)) => format!("never accepted by {}[{pid}]", clean(comm)),
            None if candidates.is_empty() => "never accepted".into(),
            None => format!("never accepted by {}", one_process_of(&candidates)),
        };
    }
    match socket.holders.as_deref() {
        Some([]) if socket.is_closed() => CLOSED.into(),
        Some(holders @ [_, ..]) => names(holders),
        holders => opened_by(socket).unwrap_or_else(|| match holders {
            _ if socket.held_outside => OUTSIDE.into(),
            Some(_) => "not found".into(),
            None => "?".into(),
        }),
    }
}

/// How a process holds a socket without a descriptor.
fn without_descriptor(via: Via) -> &'static str {
    match via {
        Via::Descriptor => "by a descriptor",
        Via::IoUring => "in an io_uring",
        Via::Mapping => "in a mapping",
        Via::InFlight => "in a message not received",
    }
}

/// The owner according to a log, if no holder is known.
fn opened_by(socket: &Socket) -> Option<String> {
    let (pid, comm) = socket.process()?;
    let how = match (&socket.listener, &socket.user) {
        (Some(_), _) => "came in at",
        (None, Some(_)) => "used by",
        (None, None) => "opened by",
    };
    Some(format!("{how} {}[{pid}]", clean(comm)))
}

#[cfg(test)]
mod tests {
    use crate::{
        fixtures,
        view::{
            Page,
            stuck::text::{Limit, render},
        },
    };

    #[test]
    fn a_recording_names_openers_and_listeners() {
        let text = render(&fixtures::recorded(), Limit::None, false, &Page::UNLIMITED);
        insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string());
    }
}
