//! Network namespaces to which no process's first thread leads.

use anyhow::{Result, bail, ensure};
use testbed::{Actor, Keeper, Netns, Order, Reply};

use crate::{
    harness::{case::Cases, place::Place, verdict::Ignored},
    run::{hist, log::LogTool, tool::Tool},
    stuck::walk::ways::WAYS,
};

pub fn add(cases: &mut Cases) {
    for (name, keeper) in KEEPERS {
        cases.add(&format!("namespace_kept_by_{name}"), move || {
            sees_all(keeper)
        });
    }
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

fn sees_all(keeper: Option<Keeper>) -> Result<()> {
    let home = Netns::new()?;
    // One actor for each: a mount namespace is the whole process's.
    let (mut first, mut second) = (
        Actor::start(&home, "keeper")?,
        Actor::start(&home, "keeper")?,
    );
    let (netns, inode) = leak(&mut first, keeper)?;
    for way in WAYS {
        let words = [
            "stuck",
            "--once",
            "--json",
            "--older-than",
            "0s",
            "--walk",
            way,
        ];
        let outcome = Tool::start(Place::AsIs, &words)?.wait()?;
        if outcome.code()? != 0 {
            continue; // this kernel does not have it
        }
        let look = &outcome.snapshots()?[0];
        let mut sockets = look.sockets.iter();
        let found = sockets.find(|one| one.netns == Some(netns) && one.inode == Some(inode));
        ensure!(found.is_some(), "way {way}: not seen: {:?}", look.caveats);
    }
    // Without a filter: the namespace is not known before. Sockets of other tests come along.
    let log = LogTool::start(Place::AsIs, &["--json", "--state", "CLOSE_WAIT"])?;
    let hist = hist::start_all(Place::AsIs, &["--json --by netns".into()])?;
    let mut tool = Tool::start(
        Place::AsIs,
        &[
            "stuck",
            "--json",
            "--older-than",
            "0s",
            "--interval",
            "300ms",
        ],
    )?;
    tool.fresh()?;
    let (later, _) = leak(&mut second, keeper)?;
    let look = tool.fresh()?;
    let of = |wanted: u64| {
        look.sockets
            .iter()
            .filter(move |one| one.netns == Some(wanted))
    };
    ensure!(of(netns).count() == 1, "not seen: {:?}", look.caveats);
    ensure!(
        of(later).any(|one| one.age == "exact"),
        "not exact: {:?}",
        look.caveats
    );
    let log = log.end()?;
    for wanted in [netns, later] {
        let open = log
            .open
            .iter()
            .filter(|one| one.subject.netns == Some(wanted));
        ensure!(open.count() == 1, "the log does not have {wanted}");
    }
    let reports = hist::end_all(Place::AsIs, hist)?;
    for wanted in [netns, later] {
        let is_it = |key: &serde_json::Value| key["netns"] == wanted;
        let mut all = reports[0].histograms.iter();
        let one = all.find(|one| one.key.as_ref().is_some_and(is_it));
        let count = one.map(|one| one.so_far.exact.count + one.so_far.at_least.count);
        ensure!(count == Some(1), "hist has {count:?} of {wanted}");
    }
    Ok(())
}
