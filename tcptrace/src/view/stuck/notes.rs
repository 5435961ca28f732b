//! Notes on what a snapshot shows: not yet fit for a terminal.

use crate::{model::stuck::snapshot::Snapshot, view::stuck::residue};

/// The notes, in the order in which they are shown.
pub fn notes(snapshot: &Snapshot) -> Vec<String> {
    let remainders = remainders(snapshot).into_iter();
    remainders.chain(residue::note(snapshot)).collect()
}

/// Those beside text, where residue has a section of its own.
pub fn beside_text(snapshot: &Snapshot) -> Vec<String> {
    let remainders = remainders(snapshot).into_iter();
    let failed = residue::failed_connects(snapshot);
    remainders.chain(failed).collect()
}

/// The note about remainders: `tcp_time_wait` of `net/ipv4/tcp_minisocks.c` makes them.
fn remainders(snapshot: &Snapshot) -> Option<String> {
    let subject = match snapshot.remainders {
        0 => return None,
        1 => "1 is a remainder".to_owned(),
        count => format!("{count} are remainders"),
    };
    Some(format!(
        "{subject}: closed by the process, perhaps long before the first look; the kernel drops it when \
         the peer's FIN comes or tcp_fin_timeout is over"
    ))
}
