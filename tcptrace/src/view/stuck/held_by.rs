//! The holders of a socket, in one cell of a table.

use std::fmt::Write as _;

use crate::{
    model::{
        owner::{Holder, Listener},
        socket::Socket,
    },
    view::parts::clean::clean,
};

/// How many holders of one socket are named.
const NAMED_HOLDERS: usize = 3;

/// The process or processes in one cell of a table; `?` if unknown.
#[must_use]
pub fn held_by(socket: &Socket) -> String {
    let names = |holders: &[Holder]| {
        let shown = holders.iter().take(NAMED_HOLDERS);
        let name =
            |holder: &Holder| format!("{}[{}] fd {}", clean(&holder.comm), holder.pid, holder.fd);
        let mut text = shown.map(name).collect::<Vec<_>>().join(", ");
        if holders.len() > NAMED_HOLDERS {
            let _ = write!(text, " and {} more", holders.len() - NAMED_HOLDERS);
        }
        text
    };
    if socket.accepted() == Some(false) {
        return match socket.listener.as_ref().and_then(Listener::process) {
            Some((pid, comm)) => format!("never accepted by {}[{pid}]", clean(comm)),
            None => "never accepted".into(),
        };
    }
    match socket.holders.as_deref() {
        Some([]) if (socket.details.as_ref()).is_some_and(|details| details.inode == 0) => {
            "closed by its process".into()
        }
        Some(holders @ [_, ..]) => names(holders),
        holders => opened_by(socket).unwrap_or_else(|| match holders {
            Some(_) => "not found".into(),
            None => "?".into(),
        }),
    }
}

/// The owner according to a log, if no holder is known.
fn opened_by(socket: &Socket) -> Option<String> {
    let (pid, comm) = socket.process()?;
    let how = match socket.listener {
        Some(_) => "came in at",
        None => "opened by",
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
        let text = render(&fixtures::recorded(), Limit::None, &Page::UNLIMITED);
        insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string());
    }
}
