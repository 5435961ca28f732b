//! Control groups, seen from the machine's cgroup namespace and from others; sockets of passed listeners.

mod activation;
mod outlook;
mod short_lived;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testbed::{Actor, Netns, Stage};

use self::outlook::Outlook;
use super::absent::leak;
use crate::{
    harness::{
        case::Cases,
        cgroup::Cgroup,
        verdict::{self, Ignored},
    },
    run::{hist, log, tool::Outcome},
};

pub fn add(cases: &mut Cases) {
    activation::add(cases);
    short_lived::add(cases);
    for outlook in Outlook::ALL {
        let name = format!("cgroup_namespace::{}", outlook.name());
        cases.add(&name, move || namespace(outlook));
        let name = format!("cgroup_namespace_sessions::{}", outlook.name());
        let sessions = cases.add(&name, move || sessions(outlook));
        // These differ in what leads to the machine's root, not in what a kernel can do.
        if !matches!(outlook, Outlook::Alone) {
            sessions.here();
        }
        let name = format!("cgroup_namespace_frozen::{}", outlook.name());
        cases.add(&name, move || frozen(outlook));
    }
    cases.add("cgroup_of_another_namespace_is_named", own_path);
}

/// The caveat about groups that cannot be reached.
const UNREACHED: &str = "unreached_control_groups";
/// What its text says.
const SAID: &str = "are from the root of tcptrace's cgroup namespace";

/// A group that a cgroup namespace begins at, one below it, and one outside.
struct Groups {
    other: Cgroup,
    pod: Cgroup,
    root: Cgroup,
}

impl Groups {
    fn new(name: &str) -> Result<Self> {
        let root = Cgroup::new(name)?;
        Ok(Self {
            pod: root.below("pod")?,
            other: Cgroup::new(&format!("{name}-other"))?,
            root,
        })
    }

    /// What is to be shown of the group below and of the one outside.
    fn shown(&self, outlook: Outlook) -> [Value; 2] {
        match outlook {
            Outlook::Alone => ["/pod".into(), Value::Null],
            _ => [self.pod.path.clone().into(), self.other.path.clone().into()],
        }
    }

    /// How to ask for the group below.
    fn asked(&self, outlook: Outlook) -> &str {
        match outlook {
            Outlook::Alone => "/pod",
            _ => &self.pod.path,
        }
    }
}

/// A process in each of the two groups.
struct Scene {
    inside: Actor,
    outside: Actor,
    stage: Stage,
}

impl Scene {
    fn new(groups: &Groups) -> Result<Self> {
        let stage = Stage::new()?;
        let inside = Actor::start(stage.netns(), "in-the-pod")?;
        let outside = Actor::start(stage.netns(), "out-of-it")?;
        groups.pod.take(inside.pid())?;
        groups.other.take(outside.pid())?;
        Ok(Self {
            inside,
            outside,
            stage,
        })
    }

    /// A socket of each in `CLOSE_WAIT`.
    fn leak(&mut self) -> Result<()> {
        leak(&mut self.stage, &mut self.inside)?;
        leak(&mut self.stage, &mut self.outside)
    }
}

/// Runs to its end in this outlook, in one network namespace.
fn run(groups: &Groups, outlook: Outlook, netns: &Netns, words: &str) -> Result<Outcome> {
    let tool = outlook.start(&groups.root, netns, words)?;
    tool.wait()?.success().with_context(|| words.to_owned())
}

/// The last line of JSON.
fn last(outcome: &Outcome) -> Result<Value> {
    let line = outcome.stdout.lines().last().context("no line")?;
    Ok(serde_json::from_str(line)?)
}

/// The caveats with this name.
fn caveats<'a>(report: &'a Value, name: &str) -> Vec<&'a Value> {
    let all = report["caveats"].as_array().into_iter().flatten();
    all.filter(|one| one["caveat"] == name).collect()
}

/// Where the machine's root cannot be reached, that is said once, and nowhere else.
fn says_where_paths_begin(report: &Value, outlook: Outlook) -> Result<()> {
    let said = caveats(report, UNREACHED);
    let texts = said.iter().filter_map(|one| one["text"].as_str());
    let right = texts.filter(|text| text.contains(SAID)).count();
    let wanted = usize::from(outlook == Outlook::Alone);
    ensure!(said.len() == wanted && right == wanted, "{report:#}");
    Ok(())
}

/// All that one value of each of these is, sorted.
fn all<'a>(list: &'a Value, of: impl Fn(&'a Value) -> &'a Value) -> Vec<Value> {
    let list = list.as_array().into_iter().flatten();
    let mut all: Vec<Value> = list.map(of).cloned().collect();
    all.sort_by_key(Value::to_string);
    all
}

fn sorted(mut values: Vec<Value>) -> Vec<Value> {
    values.sort_by_key(Value::to_string);
    values
}

/// Which of both is frozen is told where their groups can be reached, and elsewhere unknown.
fn frozen(outlook: Outlook) -> Result<()> {
    let name = format!("frozen-{}", outlook.name());
    let groups = Groups::new(&name).map_err(Ignored::because)?;
    let mut scene = Scene::new(&groups)?;
    scene.leak()?;
    for (group, of_inside) in [(&groups.pod, true), (&groups.other, false)] {
        let frozen = group.freeze().map_err(Ignored::because)?;
        let stuck = "stuck --once --json --older-than 0s";
        let look = last(&run(&groups, outlook, scene.stage.netns(), stuck)?)?;
        drop(frozen);
        let of = |comm: &str| {
            let all = look["groups"].as_array().into_iter().flatten();
            let found = all
                .filter(|one| one["comm"] == comm)
                .map(|one| &one["frozen"]);
            found.cloned().collect::<Vec<_>>()
        };
        let (inside, outside) = (of("in-the-pod"), of("out-of-it"));
        let told: [Vec<Value>; 2] = [vec![of_inside.into()], vec![(!of_inside).into()]];
        let right = match outlook {
            Outlook::Alone => [&inside, &outside]
                .into_iter()
                .flatten()
                .all(Value::is_null),
            _ => [&inside, &outside] == [&told[0], &told[1]],
        };
        ensure!(right, "{inside:?}, {outside:?}: {look:#}");
    }
    Ok(())
}

fn namespace(outlook: Outlook) -> Result<()> {
    let name = format!("ns-{}", outlook.name());
    let groups = Groups::new(&name).map_err(Ignored::because)?;
    let mut scene = Scene::new(&groups)?;
    scene.leak()?;
    let netns = scene.stage.netns();
    let run = |words: &str| last(&run(&groups, outlook, netns, words)?);
    let stuck = "stuck --once --json --older-than 0s";
    let [inside, outside] = groups.shown(outlook);
    let asked = groups.asked(outlook);

    let look = run(stuck)?;
    let shown = all(&look["sockets"], |one| &one["cgroup"]);
    ensure!(
        shown == sorted(vec![inside.clone(), outside.clone()]),
        "{look:#}"
    );
    says_where_paths_begin(&look, outlook)?;
    if outlook == Outlook::Alone {
        let count = &caveats(&look, UNREACHED)[0]["count"];
        // Other tests have sockets outside, too, but in other network namespaces.
        ensure!(*count == 1, "{look:#}");
    }

    let look = run(&format!("{stuck} --cgroup {asked}"))?;
    let shown = all(&look["sockets"], |one| &one["cgroup"]);
    ensure!(shown == [inside.clone()], "{look:#}");
    ensure!(caveats(&look, "no_such_cgroup").is_empty(), "{look:#}");
    says_where_paths_begin(&look, outlook)?;

    // The group outside: found, or it is said why not.
    let look = run(&format!("{stuck} --cgroup {}", groups.other.path))?;
    let found = look["sockets"].as_array().map_or(0, Vec::len);
    let absent = caveats(&look, "no_such_cgroup").len();
    let wanted = if outlook == Outlook::Alone {
        (0, 1)
    } else {
        (1, 0)
    };
    ensure!((found, absent) == wanted, "{look:#}");
    says_where_paths_begin(&look, outlook)?;

    let counts = run("states --once --json --by cgroup,port")?;
    let is_client = |one: &&Value| {
        let states = one["states"].as_array().into_iter().flatten();
        let mut leaked = states.filter(|state| state["state"] == "CLOSE_WAIT");
        leaked.any(|state| state["count"] == 1)
    };
    let counted = counts["groups"].as_array().into_iter().flatten();
    let keys = counted
        .filter(is_client)
        .map(|one| one["key"]["cgroup"].clone());
    let keys: Vec<Value> = keys.collect();
    let wanted = sorted(vec![inside, outside]);
    ensure!(sorted(keys) == wanted, "{counts:#}");
    says_where_paths_begin(&counts, outlook)?;

    let counts = run(&format!("states --once --json --cgroup {asked}"))?;
    ensure!(counts["sockets"] == 1, "{counts:#}");
    says_where_paths_begin(&counts, outlook)?;
    // What matters to nobody is not said.
    let counts = run("states --once --json")?;
    ensure!(caveats(&counts, UNREACHED).is_empty(), "{counts:#}");
    Ok(())
}

fn sessions(outlook: Outlook) -> Result<()> {
    let name = format!("ns-long-{}", outlook.name());
    let groups = Groups::new(&name).map_err(Ignored::because)?;
    let mut scene = Scene::new(&groups)?;
    // From before the start.
    scene.leak()?;
    let asked = groups.asked(outlook);
    let words = [
        "log --json".to_owned(),
        format!("log --json --cgroup {asked}"),
        "hist --json --by cgroup".to_owned(),
        format!("hist --json --cgroup {asked}"),
    ];
    let start = |words: &String| outlook.start(&groups.root, scene.stage.netns(), words);
    let mut tools = words.iter().map(start).collect::<Result<Vec<_>>>()?;
    for (tool, words) in tools.iter_mut().zip(&words) {
        tool.until_said(match &words[..4] {
            "hist" => hist::READY,
            _ => log::READY,
        })?;
    }
    scene.leak()?;
    let (inside, outside) = (scene.inside.pid(), scene.outside.pid());
    let mut outcomes = Vec::new();
    for tool in tools {
        outcomes.push(outlook.end(tool)?);
    }
    let other = format!("log --json --duration 1ms --cgroup {}", groups.other.path);
    outcomes.push(run(&groups, outlook, scene.stage.netns(), &other)?);
    let skipped = |one: &Outcome| one.stdout.contains(r#""schema":"tcptrace.lost/1""#);
    let skipped = outcomes.iter().filter(|one| skipped(one)).count() as u64;
    verdict::judge(
        skipped,
        logs(&groups, outlook, [inside, outside], &outcomes),
    )?;
    counted(&groups, outlook, &outcomes)
}

/// Lines of transitions into `CLOSE_WAIT`, or of sockets that are still in it: process and group. In a PID
/// namespace of its own, the tool has no numbers for these processes.
fn lines(outcome: &Outcome, schema: &str) -> Result<Vec<(Value, Value)>> {
    let mut found = Vec::new();
    for line in outcome.stdout.lines() {
        let line: Value = serde_json::from_str(line)?;
        let is_it = [&line["to"], &line["state"]].contains(&&Value::from("CLOSE_WAIT"));
        if line["schema"] == schema && is_it {
            found.push((line["comm"].clone(), line["cgroup"].clone()));
        }
    }
    Ok(found)
}

fn logs(groups: &Groups, outlook: Outlook, pids: [u32; 2], outcomes: &[Outcome]) -> Result<()> {
    let [all, filtered, .., other] = outcomes else {
        anyhow::bail!("too few");
    };
    let [inside, outside] = groups.shown(outlook);
    let [in_pod, out_of_it] = ["in-the-pod", "out-of-it"].map(Value::from);
    let numbered = pids.map(|pid| all.stdout.contains(&format!(r#""pid":{pid},"#)));
    ensure!(numbered == [outlook != Outlook::Alone; 2], "{all:?}");
    let entered = "tcptrace.transition/1";
    let both = lines(all, entered)?;
    ensure!(both.contains(&(in_pod.clone(), inside.clone())), "{all:?}");
    ensure!(both.contains(&(out_of_it, outside)), "{all:?}");
    let mine = lines(filtered, entered)?;
    ensure!(mine == [(in_pod.clone(), inside.clone())], "{filtered:?}");
    // Those from before the start, too: their owner is not known where no process can be seen, but their group is.
    let open = lines(filtered, "tcptrace.open/1")?;
    let unknown = (outlook == Outlook::Alone).then_some((Value::Null, Value::Null));
    let mine = [(in_pod, inside)];
    let is_mine = |one: &(Value, Value)| mine.iter().chain(&unknown).any(|mine| mine == one);
    ensure!(open.len() == 2 && open.iter().all(is_mine), "{filtered:?}");
    let from = if outlook == Outlook::Alone {
        "namespace"
    } else {
        "machine"
    };
    let from = format!(r#""cgroups_from":"{from}""#);
    ensure!(
        all.stdout
            .lines()
            .next()
            .is_some_and(|line| line.contains(&from)),
        "{all:?}"
    );
    for one in [all, filtered, other] {
        let said = one.stderr.matches(SAID).count();
        let wanted = usize::from(outlook == Outlook::Alone);
        ensure!(said == wanted, "{one:?}");
    }
    let absent = other.stderr.contains("there is no control group");
    ensure!(absent == (outlook == Outlook::Alone), "{other:?}");
    Ok(())
}

fn counted(groups: &Groups, outlook: Outlook, outcomes: &[Outcome]) -> Result<()> {
    let (by, filtered) = (last(&outcomes[2])?, last(&outcomes[3])?);
    let shown = all(&by["histograms"], |one| &one["key"]["cgroup"]);
    let wanted = sorted(groups.shown(outlook).to_vec());
    let skipped = u64::from(by["tracing"]["recursion_misses"] != 0);
    let so_far = &filtered["histograms"][0]["so_far"];
    let open = ["exact", "at_least"].map(|kind| so_far[kind]["count"].as_u64());
    let right = wanted.iter().all(|one| shown.contains(one)) && open == [Some(1), Some(1)];
    let right = right
        .then_some(())
        .with_context(|| format!("{by:#}\n{filtered:#}"));
    verdict::judge(skipped, right)?;
    for report in [&by, &filtered] {
        says_where_paths_begin(report, outlook)?;
    }
    // Elsewhere that depends on the kernel.
    let listed = !caveats(&filtered, "new_control_groups_left_out").is_empty();
    ensure!(listed || outlook != Outlook::Alone, "{filtered:#}");
    Ok(())
}

/// A path from the root of the namespace is refused with the one that is meant.
fn own_path() -> Result<()> {
    let groups = Groups::new("ns-path").map_err(Ignored::because)?;
    let netns = Netns::new()?;
    let words = "stuck --once --cgroup /pod";
    let outcome = Outlook::Remounted
        .start(&groups.root, &netns, words)?
        .wait()?;
    let meant = format!("give {}", groups.pod.path);
    let said = outcome.stderr.contains(&meant);
    ensure!(outcome.code()? == 2 && said, "{outcome:?}");
    Ok(())
}
