//! Every count is of the sockets that pass the filter.

use anyhow::{Result, ensure};
use testbed::{Family, Order, Side, Stage};

use crate::{
    harness::{case::Cases, place::Place},
    run::{summary::Summary, tool::Tool},
};

pub fn add(cases: &mut Cases) {
    cases.add("younger_pass_the_filter", younger).here();
    cases.add("entered_and_left_pass_the_filter", entered_and_left);
}

const SERVERS: usize = 5;
const CLIENTS: usize = 2;

fn younger() -> Result<()> {
    let mut stage = Stage::new()?;
    stage.server_leak(Family::Ipv4, SERVERS)?;
    stage.client_leak(Family::Ipv4, CLIENTS)?;
    let netns = stage.netns().inode();
    let of = |pid: u32, threshold: &'static str| {
        let pid = pid.to_string();
        Tool::look(
            Place::AsIs,
            netns,
            &["--older-than", threshold, "--pid", &pid],
        )
    };
    let (client, server) = (of(stage.client.pid(), "1h")?, of(stage.server.pid(), "1h")?);
    ensure!(
        (client.younger, server.younger) == (CLIENTS, SERVERS),
        "{} and {}",
        client.younger,
        server.younger
    );
    let listed = of(stage.client.pid(), "0s")?;
    ensure!(listed.stuck == CLIENTS, "{listed:#?}");
    Ok(())
}

/// The kernel side does not know the processes, and so its own counts are of all of them.
fn entered_and_left() -> Result<()> {
    let mut stage = Stage::new()?;
    stage.client_leak(Family::Ipv4, 1)?;
    let client = stage.client.pid().to_string();
    let mut tool = Tool::watch(Place::Btf, stage.netns().inode(), &["--pid", &client])?;
    tool.fresh()?;
    stage.server_leak(Family::Ipv4, SERVERS)?;
    let pairs = stage.connect(Family::Ipv4, CLIENTS)?;
    stage.leak(&pairs, Side::Client)?;
    let shown = tool.fresh()?;
    ensure!(shown.sockets.len() == 1 + CLIENTS, "{shown:#?}");
    let fds = pairs.iter().map(|pair| pair.client.fd).collect();
    stage.client.tell(&Order::Close { fds })?;
    tool.until("one", |snapshot| snapshot.sockets.len() == 1)?;
    let summary = tool.end()?.stderr;
    let wanted = Summary {
        entered: format!("≥{CLIENTS}"),
        left: format!("≥{CLIENTS}"),
        still: "1".into(),
        most: (1 + CLIENTS).to_string(),
        before: "1".into(),
    };
    let found = Summary::of(&summary)?;
    ensure!(found == wanted, "{found:?}, not {wanted:?}: {summary}");
    Ok(())
}
