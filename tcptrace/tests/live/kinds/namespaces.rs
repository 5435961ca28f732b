//! Network namespaces to which no process's first thread leads.

use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use rustix::thread::CapabilitySet;
use testbed::{Actor, Keeper, Netns, Order, Reply, clock::patience};

use crate::{
    harness::{case::Cases, place::Place, verdict::Ignored},
    run::{
        hist,
        line::Open,
        log::LogTool,
        snapshot::{Snapshot, Socket},
        tool::Tool,
    },
    stuck::walk::ways::WAYS,
};

pub fn add(cases: &mut Cases) {
    for (name, keeper) in KEEPERS {
        cases.add(&format!("namespace_kept_by_{name}"), move || {
            sees_all(keeper)
        });
    }
    cases.add("namespace_that_cannot_be_entered", cannot_be_entered);
}

/// What leads to it; `None`: a mount in another mount namespace.
const KEEPERS: [(&str, Option<Keeper>); 4] = [
    ("a_socket", Some(Keeper::Socket)),
    ("a_thread", Some(Keeper::Thread)),
    ("a_descriptor", Some(Keeper::Descriptor)),
    ("a_mount", None),
];

/// Makes the namespace with its socket; returns both inode numbers.
fn leak(actor: &mut Actor, keeper: Option<Keeper>) -> Result<(u64, u64)> {
    let order = match keeper {
        Some(keeper) => Order::LeakElsewhere { keeper },
        None => Order::LeakAtAMount,
    };
    match actor.tell(&order)? {
        Reply::Elsewhere(netns, inode) => Ok((netns, inode)),
        Reply::Error(error) => {
            let error = std::io::Error::from_raw_os_error(error);
            Err(Ignored::because(format!("no io_uring: {error}")))
        }
        other => bail!("the answer is {other:?}"),
    }
}

/// Without the right to enter it: the walk shows what has a descriptor, and the caveat how much that is.
fn cannot_be_entered() -> Result<()> {
    let home = Netns::new()?;
    let mut actor = Actor::start(&home, "keeper")?;
    let (netns, inode) = leak(&mut actor, Some(Keeper::Socket))?;
    let netns_text = netns.to_string();
    let words = [
        "stuck",
        "--once",
        "--json",
        "--older-than",
        "0s",
        "--netns",
        &netns_text,
    ];
    let outcome = Tool::start_without(CapabilitySet::SYS_ADMIN, &words)?.wait()?;
    let look = &outcome.success()?.snapshots()?[0];
    ensure!(
        look.sockets.iter().any(|one| one.inode == Some(inode)),
        "{look:#?}"
    );
    let mut caveats = look.caveats.iter();
    let caveat = caveats.find(|one| one.caveat == "unentered_namespaces");
    let caveat = caveat.with_context(|| format!("{:?}", look.caveats))?;
    ensure!(caveat.count == Some(1), "{caveat:?}");
    ensure!(caveat.text.contains("1 TCP socket"), "{caveat:?}");
    let look = &Tool::start(Place::AsIs, &words)?
        .wait()?
        .success()?
        .snapshots()?[0];
    ensure!(
        !look.has_caveat("unentered_namespaces"),
        "{:?}",
        look.caveats
    );
    Ok(())
}

fn sees_all(keeper: Option<Keeper>) -> Result<()> {
    let home = Netns::new()?;
    // One actor for each: a mount namespace is the whole process's.
    let (mut first, mut second) = (
        Actor::start(&home, "keeper")?,
        Actor::start(&home, "keeper")?,
    );
    let (netns, inode) = leak(&mut first, keeper)?;
    for way in WAYS {
        let words = ["--walk", way];
        let Some(look) = look_by(&words, |look| shows(look, netns, inode))? else {
            continue; // this kernel does not have it
        };
        ensure!(shows(&look, netns, inode), "way {way}: {:?}", look.caveats);
    }
    // A socket alone is found by the walk, whatever happens. What else leads to a namespace is searched for where numbers
    // differ, and those do anyway while other tests run. So these sessions are told what to look for.
    let wanted = format!("--netns {netns}");
    let filter = match keeper {
        Some(Keeper::Socket) => "",
        _ => &wanted,
    };
    let words = |words: &str| -> Vec<String> {
        let all = format!("{words} {filter}");
        all.split_whitespace().map(String::from).collect()
    };
    let log_words = words("--json --state CLOSE_WAIT");
    let log_words: Vec<&str> = log_words.iter().map(String::as_str).collect();
    let log = LogTool::start(Place::AsIs, &log_words)?;
    let hist = hist::start_all(Place::AsIs, &[format!("--json --by netns {filter}")])?;
    let stuck_words = words("stuck --json --older-than 0s --interval 300ms");
    let stuck_words: Vec<&str> = stuck_words.iter().map(String::as_str).collect();
    let mut tool = Tool::start(Place::AsIs, &stuck_words)?;
    tool.fresh()?;
    let mut all = vec![netns];
    if keeper == Some(Keeper::Socket) {
        all.push(leak(&mut second, keeper)?.0);
    }
    let look = tool.fresh()?;
    for (index, wanted) in all.iter().enumerate() {
        let mut of_it = look.sockets.iter().filter(|one| one.netns == Some(*wanted));
        let age = if index == 0 { "at_least" } else { "exact" };
        let right = of_it.next().is_some_and(|one| one.age == age) && of_it.next().is_none();
        ensure!(right, "{wanted}: {:#?}", look.sockets);
    }
    let log = log.end()?;
    for wanted in &all {
        let of_it = |one: &&Open| one.subject.netns == Some(*wanted);
        let count = log.open.iter().filter(of_it).count();
        ensure!(count == 1, "the log has {count} of {wanted}");
    }
    let reports = hist::end_all(Place::AsIs, hist)?;
    for wanted in &all {
        let is_it = |key: &serde_json::Value| key["netns"] == *wanted;
        let mut all = reports[0].histograms.iter();
        let one = all.find(|one| one.key.as_ref().is_some_and(is_it));
        let count = one.map(|one| one.so_far.exact.count + one.so_far.at_least.count);
        ensure!(count == Some(1), "hist has {count:?} of {wanted}");
    }
    Ok(())
}

fn shows(look: &Snapshot, netns: u64, inode: u64) -> bool {
    let is_it = |one: &Socket| one.netns == Some(netns) && one.inode == Some(inode);
    look.sockets.iter().any(is_it)
}

/// A look at the whole machine that shows it, if there is one among several: other tests make the kernel's numbers
/// differ. `None` if this kernel does not have the way.
fn look_by(more: &[&str], shows: impl Fn(&Snapshot) -> bool) -> Result<Option<Snapshot>> {
    let words = ["stuck", "--once", "--json", "--older-than", "0s"];
    let words = [&words, more].concat();
    let start = Instant::now();
    loop {
        let outcome = Tool::start(Place::AsIs, &words)?.wait()?;
        if outcome.code()? != 0 {
            return Ok(None);
        }
        let look = outcome.snapshots()?.swap_remove(0);
        if shows(&look) || start.elapsed() > patience() {
            return Ok(Some(look));
        }
    }
}
