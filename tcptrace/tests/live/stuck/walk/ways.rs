//! The ways to find sockets and their holders. `auto` chooses one, so each is forced here: all of them must see the
//! same.

use anyhow::{Result, bail, ensure};
use testbed::{Family, Order, Stage, Truth};

use crate::{
    harness::{case::Cases, place::Place, tolerance::let_them_age, verdict::Ignored},
    run::{snapshot::Snapshot, tool::Tool},
    stuck::{
        check::{self, Age},
        holders,
    },
};

pub fn add(cases: &mut Cases) {
    for way in WAYS {
        cases.add(&format!("walk_by_{way}"), move || sees_all(way));
    }
}

pub const WAYS: [&str; 3] = ["tasks", "files", "proc"];

fn sees_all(way: &'static str) -> Result<()> {
    works(way)?;
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode();
    let before = leaks(&mut stage)?;
    reset_one(&mut stage)?;
    let_them_age();
    let walk = ["--walk", way];
    let mut tool = Tool::watch(Place::AsIs, netns, &walk)?;
    let look = tool.fresh()?;
    check::exactly(&look, &[(&before, Age::AtLeast)])?;
    residue_as_said(&look, way)?;
    let mut after = leaks(&mut stage)?;
    // The last ones: whoever accepts takes these first.
    for family in Family::ALL {
        after.extend(stage.never_accepted(family, 2)?);
    }
    let look = tool.fresh()?;
    check::exactly(&look, &[(&before, Age::AtLeast), (&after, Age::Exact)])?;
    residue_as_said(&look, way)?;
    tool.end()?;
    let_them_age();
    let look = Tool::look(Place::AsIs, netns, &walk)?;
    check::exactly(&look, &[(&before, Age::AtLeast), (&after, Age::AtLeast)])?;
    residue_as_said(&look, way)
}

/// Ignores the test with the tool's own words if this kernel does not have this way.
pub fn works(way: &str) -> Result<()> {
    match refusal(way)? {
        None => Ok(()),
        Some(said) if way == "proc" => bail!("it needs nothing of the kernel: {said}"),
        Some(said) => Err(Ignored::because(said)),
    }
}

/// What the tool says if this kernel does not have this way.
fn refusal(way: &str) -> Result<Option<String>> {
    let words = ["stuck", "--once", "--json", "--walk", way];
    let outcome = Tool::start(Place::AsIs, &words)?.wait()?;
    let refused = outcome.code()? != 0;
    Ok(refused.then(|| outcome.stderr.trim().to_owned()))
}

/// Looks at the sockets in a namespace in every way that this kernel has.
pub fn look_in_all(netns: u64) -> Result<Vec<(&'static str, Snapshot)>> {
    let mut looks = Vec::new();
    for way in WAYS {
        if refusal(way)?.is_none() {
            looks.push((way, Tool::look(Place::AsIs, netns, &["--walk", way])?));
        }
    }
    Ok(looks)
}

/// Sockets of servers and of clients, of every family, that are held in all ways in which a descriptor can hold them.
fn leaks(stage: &mut Stage) -> Result<Vec<Truth>> {
    let mut all = Vec::new();
    for family in Family::ALL {
        all.extend(stage.server_leak(family, 2)?);
        all.extend(stage.client_leak(family, 2)?);
    }
    all.extend(holders::child_and_parent(stage, Family::Ipv4, 1)?);
    all.extend(holders::child_only(stage, Family::Ipv6, 1)?);
    all.extend(holders::twice(stage, Family::Mapped, 1)?);
    Ok(all)
}

/// Leaves one socket of the server dead and open.
fn reset_one(stage: &mut Stage) -> Result<()> {
    for pair in stage.connect(Family::Ipv4, 1)? {
        let fds = vec![pair.client.fd];
        stage.client.tell(&Order::Reset { fds })?;
        stage.server.time(&Order::Await {
            fd: pair.server.fd,
            state: testbed::state::CLOSE,
        })?;
    }
    Ok(())
}

/// The dead socket is shown, or it is said that it could not be.
fn residue_as_said(look: &Snapshot, way: &str) -> Result<()> {
    let (seen, said) = (
        look.residue.as_ref().map(Vec::len),
        look.has_caveat("residue_not_looked_for"),
    );
    let expected = match way {
        "proc" => (None, true),
        _ => (Some(1), false),
    };
    ensure!(
        (seen, said) == expected,
        "{seen:?} dead, caveats {:?}",
        look.caveats
    );
    Ok(())
}
