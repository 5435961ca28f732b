//! What the kernel keeps of sockets that their process has closed.

use anyhow::{Result, ensure};
use testbed::{Family, Order, Side, Stage, state::FIN_WAIT2};

use crate::{
    harness::{case::Cases, place::Place},
    run::tool::Tool,
    stuck::walk::ways::look_in_all,
};

pub fn add(cases: &mut Cases) {
    cases.add("remainders_in_all_ways", in_all_ways);
    cases.add("remainders_are_named_in_text", in_text);
    cases.add("states_that_are_no_sockets_are_refused", refused);
}

const COUNT: usize = 5;

/// Clients in FIN_WAIT2: as many that keep their socket as that close it. All are in FIN_WAIT2 before
/// any is closed: a busy machine may acknowledge a FIN late.
fn half_closed() -> Result<Stage> {
    let mut stage = Stage::new()?;
    let kept = stage.connect(Family::Ipv4, COUNT)?;
    let closed = stage.connect(Family::Mapped, COUNT)?;
    for pairs in [&kept, &closed] {
        stage.leak(pairs, Side::Server)?;
        for pair in pairs {
            let (fd, state) = (pair.client.fd, FIN_WAIT2);
            stage.client.time(&Order::Await { fd, state })?;
        }
    }
    let fds = closed.iter().map(|pair| pair.client.fd).collect();
    stage.client.tell(&Order::Close { fds })?;
    Ok(stage)
}

fn in_all_ways() -> Result<()> {
    let stage = half_closed()?;
    let netns = stage.netns().inode();
    for way in ["auto", "proc"] {
        let words = ["--state", "FIN_WAIT2", "--walk", way];
        let look = Tool::look(Place::AsIs, netns, &words)?;
        let remainders = look.sockets.iter().filter(|one| one.remainder);
        ensure!(remainders.clone().count() == COUNT, "{:#?}", look.sockets);
        for one in remainders {
            let nobody = one.holders.as_ref().is_some_and(Vec::is_empty) && one.held == "none";
            ensure!(nobody && one.age == "at_least", "{one:#?}");
        }
        ensure!(look.sockets.len() == 2 * COUNT, "{:#?}", look.sockets);
        let notes = look.notes.join("\n");
        ensure!(notes.contains("5 are remainders"), "{notes}");
    }
    // In another state they do not count.
    for (way, look) in look_in_all(netns)? {
        ensure!(look.sockets.len() == 2 * COUNT, "way {way}");
        ensure!(!look.sockets.iter().any(|one| one.remainder), "way {way}");
    }
    Ok(())
}

fn in_text() -> Result<()> {
    let stage = half_closed()?;
    let netns = stage.netns().inode().to_string();
    let words = [
        "--once",
        "--state",
        "FIN_WAIT2",
        "--older-than",
        "0s",
        "--netns",
        &netns,
    ];
    let text = Tool::start(Place::AsIs, &words)?.wait()?.success()?.stdout;
    ensure!(
        text.contains("5 are remainders: closed by the process"),
        "{text}"
    );
    // Each socket, and their group.
    ensure!(
        text.matches("closed by its process").count() == COUNT + 1,
        "{text}"
    );
    Ok(())
}

/// The refusal says where to look instead.
fn refused() -> Result<()> {
    for state in ["TIME_WAIT", "SYN_RECV", "LISTEN", "CLOSE"] {
        let outcome = Tool::start(Place::AsIs, &["--once", "--state", state])?.wait()?;
        ensure!(outcome.code()? == 2, "{state}: {}", outcome.stderr);
        ensure!(
            outcome.stderr.contains("tcptrace states"),
            "{state}: {}",
            outcome.stderr
        );
    }
    Ok(())
}
