//! Sockets, processes and namespaces that disappear while the tool looks.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use testbed::{Family, Stage};

use crate::{
    harness::{
        case::Cases,
        place::{BOTH, Place},
    },
    run::tool::Tool,
    stuck::holders,
};

pub fn add(cases: &mut Cases) {
    cases.add_in(BOTH, "vanishing_mid_look", mid_look);
}

/// The tool looks at all namespaces all the time, while whole stages appear and disappear.
fn mid_look(place: Place) -> Result<()> {
    let mut arguments = vec![
        "stuck",
        "--json",
        "--older-than",
        "0s",
        "--interval",
        "10ms",
    ];
    arguments.extend(place.arguments());
    let mut tool = Tool::start(place, &arguments)?;
    tool.fresh()?;
    let start = Instant::now();
    let mut rounds = 0;
    while rounds < 5 || start.elapsed() < Duration::from_secs(1) {
        let mut stage = Stage::new()?;
        stage.server_leak(Family::Ipv4, 5)?;
        stage.never_accepted(Family::Ipv6, 2)?;
        holders::child_only(&mut stage, Family::Mapped, 2)?;
        let netns = stage.netns().inode();
        if rounds % 2 == 0 {
            tool.until("one of nine", |s| {
                s.sockets.iter().any(|socket| socket.netns == Some(netns))
            })?;
        }
        drop(stage);
        rounds += 1;
    }
    // It is still running, and it still sees what is there.
    let mut stage = Stage::new()?;
    let truths = stage.client_leak(Family::Ipv4, 3)?;
    let snapshot = tool.fresh()?;
    let found = |cookie| {
        snapshot
            .sockets
            .iter()
            .any(|socket| socket.cookie == cookie)
    };
    ensure!(
        truths.iter().all(|truth| found(truth.cookie)),
        "{truths:#?} in {snapshot:#?}"
    );
    tool.end()?;
    Ok(())
}
