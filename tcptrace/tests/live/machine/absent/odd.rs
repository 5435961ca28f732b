//! What is easily taken for absent: threads, zombies, and what tcptrace cannot see.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    sync::mpsc::channel,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use rustix::mount::{MountFlags, mount};
use testbed::{Actor, Keeper, Netns, Order, Reply, Stage, clock::patience};

use super::{LOOKS, NOBODY, SESSIONS, caveats, ended, has_no_caveat, leak, refused, run};
use crate::{
    harness::{
        case::Cases,
        cgroup::Cgroup,
        place::{Place, private_mounts},
        verdict::{self, Ignored},
    },
    run::{
        log::LogTool,
        tool::{KilledWhenDropped, Tool, binary},
    },
};

pub fn add(cases: &mut Cases) {
    cases
        .add("filter_of_a_thread_or_zombie", threads_and_zombies)
        .here();
    cases
        .add("filter_of_hidden_processes", hidden_processes)
        .here();
    cases.add("filter_of_a_hidden_namespace", hidden_namespace);
    cases
        .add("filter_of_a_control_group", control_groups)
        .here();
    cases
        .add("filter_of_a_name_cut_in_a_letter", cut_name)
        .here();
}

/// A child that has ended and that nobody has waited for.
fn zombie() -> Result<Child> {
    let child = Command::new("true").stdin(Stdio::null()).spawn()?;
    let stat = format!("/proc/{}/stat", child.id());
    let start = Instant::now();
    while !fs::read_to_string(&stat)?.contains(") Z ") {
        ensure!(start.elapsed() < patience(), "it does not end");
        thread::sleep(Duration::from_millis(1));
    }
    Ok(child)
}

fn threads_and_zombies() -> Result<()> {
    let (told, tid) = channel();
    let (end, ends) = channel::<()>();
    let work = move || {
        let _ = told.send(rustix::thread::gettid().as_raw_nonzero().get());
        // Until the other end is dropped.
        let _ = ends.recv();
    };
    let thread = thread::Builder::new()
        .name("thread-of-tests".into())
        .spawn(work)?;
    let tid = tid.recv()?.to_string();
    let mut zombie = KilledWhenDropped(zombie()?);
    let pid = zombie.0.id().to_string();
    for look in LOOKS {
        has_no_caveat(&run(look, &["--comm", "thread-of-tests"])?)?;
        has_no_caveat(&run(look, &["--pid", &pid])?)?;
        let thread_of = format!("{tid} is a thread of process {}", std::process::id());
        refused(&run(look, &["--pid", &tid])?, "pid", &thread_of)?;
    }
    zombie.0.wait()?;
    for look in LOOKS {
        refused(
            &run(look, &["--pid", &pid])?,
            "pid",
            &format!("no process {pid}"),
        )?;
    }
    drop(end);
    thread
        .join()
        .map_err(|_| anyhow::anyhow!("the thread panicked"))
}

/// Where `/proc` may hide processes, nothing is certain.
fn hidden_processes() -> Result<()> {
    for (words, name) in [
        (["--pid", &ended()?.to_string()], "no_such_process"),
        (["--comm", NOBODY], "no_such_name"),
    ] {
        for look in LOOKS {
            let mut command = Command::new(binary());
            command.args(look.split(' ')).args(words);
            let hide = || {
                private_mounts()?;
                let options = Some(c"hidepid=2");
                Ok(mount(
                    c"proc",
                    c"/proc",
                    c"proc",
                    MountFlags::empty(),
                    options,
                )?)
            };
            // SAFETY: between fork and exec, the closure only makes system calls, on constant strings. It allocates
            // nothing and takes no lock.
            unsafe { command.pre_exec(hide) };
            let outcome = Tool::start_command(command)?.wait()?.success()?;
            let all = caveats(&outcome, name)?;
            ensure!(all.len() == 1 && all[0].len() == 1, "{outcome:?}");
            ensure!(all[0][0].1.contains("does not see all"), "{outcome:?}");
        }
    }
    Ok(())
}

/// A namespace to which only a descriptor leads exists.
fn hidden_namespace() -> Result<()> {
    let home = Netns::new()?;
    let mut actor = Actor::start(&home, "keeper")?;
    let keeper = Keeper::Descriptor;
    let netns = match actor.tell(&Order::LeakElsewhere { keeper })? {
        Reply::Elsewhere(netns, _) => netns.to_string(),
        Reply::Error(error) => {
            let error = std::io::Error::from_raw_os_error(error);
            return Err(Ignored::because(format!("no io_uring: {error}")));
        }
        other => bail!("the answer is {other:?}"),
    };
    // Nothing in it passes.
    for look in LOOKS {
        has_no_caveat(&run(look, &["--netns", &netns, "--remote", "192.0.2.1"])?)?;
    }
    Ok(())
}

/// However it is given, it is the same group; one without processes exists, too.
fn control_groups() -> Result<()> {
    let group = Cgroup::new("absent").map_err(Ignored::because)?;
    let path = &group.path;
    let mut stage = Stage::new()?;
    let mut inside = Actor::start(stage.netns(), "inside-group")?;
    for look in LOOKS {
        has_no_caveat(&run(look, &["--cgroup", path])?)?;
    }
    group.take(inside.pid())?;
    leak(&mut stage, &mut inside)?;
    let netns = stage.netns().inode();
    let mount = group.mount().display().to_string();
    for given in [
        path.clone(),
        path.trim_start_matches('/').to_owned(),
        format!("0::{path}"),
        format!("{mount}{path}/"),
    ] {
        let look = Tool::look(Place::AsIs, netns, &["--cgroup", &given])?;
        ensure!(look.sockets.len() == 1, "{given}: {look:#?}");
    }
    for command in LOOKS.iter().chain(&SESSIONS) {
        let file = format!("{mount}{path}/cgroup.procs");
        refused(
            &run(command, &["--cgroup", &file])?,
            "cgroup",
            "it is a file",
        )?;
    }
    drop(inside);
    Ok(())
}

/// The kernel keeps 15 bytes, the last of which is half a letter. What is shown, and what an error proposes, matches.
fn cut_name() -> Result<()> {
    const LONG: &str = "inventory-serv\u{e9}s";
    const SHOWN: &str = "inventory-serv\u{fffd}";
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode();
    let mut actor = Actor::start(stage.netns(), LONG)?;
    let outcome = run("log", &["--comm", LONG])?;
    refused(&outcome, "comm", &format!("try: --comm '{SHOWN}'"))?;
    let log = LogTool::watch(Place::Btf, netns, &["--comm", SHOWN])?;
    leak(&mut stage, &mut actor)?;
    let log = log.end()?.lossless()?;
    let mut lines = log.transitions.iter();
    let seen = lines.any(|line| line.to == "CLOSE_WAIT" && line.subject.pid == Some(actor.pid()));
    let skipped = log.skipped();
    let found = match seen {
        true => Ok(()),
        false => Err(anyhow::anyhow!("not in the log: {log:#?}")),
    };
    verdict::judge(skipped, found)?;
    let look = Tool::look(Place::AsIs, netns, &["--comm", SHOWN])?;
    ensure!(
        look.sockets.len() == 1 && !look.has_caveat("no_such_name"),
        "{look:#?}"
    );
    refused_by_hist(SHOWN)
}

/// Only the kernel could apply it, and it knows the bytes.
fn refused_by_hist(name: &str) -> Result<()> {
    let outcome = run("hist", &["--comm", name])?;
    let said = outcome.stderr.contains("which bytes");
    ensure!(outcome.code()? == 2 && said, "{outcome:?}");
    Ok(())
}
