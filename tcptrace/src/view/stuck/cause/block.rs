//! All that is known about why a group is stuck, as a block of labelled lines.

use crate::{
    model::{
        cause::{Cause, CauseName, DescriptorUse, Diagnosis, Evidence, KeepaliveSysctls, Leak},
        container,
        stuck::{
            group::{Group, Keepalive},
            snapshot::Snapshot,
        },
    },
    view::{
        Page,
        layout::wrap::wrap,
        parts::{age::age, clean::clean},
        stuck::{
            cause::{
                durations::ages,
                evidence,
                remedy::{meaning, remedy},
                would_tell::Tell,
            },
            groups::command,
            names::{connection_in_words, other_group, process_in_words},
            residue::sockets,
            rows::entries::Entry,
            sockets::namespace,
        },
    },
};

/// Characters of the longest label.
const LABEL: usize = 11;
/// Processes of one program that are named.
const NAMED: usize = 4;

/// The heading and the lines of the group with this number, fit for a terminal and no wider than the page; with
/// the namespace where groups are in more than one.
pub fn lines(
    number: usize,
    entry: &Entry<'_>,
    snapshot: &Snapshot,
    page: Page,
) -> (Vec<String>, Vec<String>) {
    let mut block = Block {
        lines: Vec::new(),
        page,
    };
    let group = entry.first();
    if entry.only().is_none() {
        block.several("processes", &processes(entry));
    }
    match group.diagnosis.as_deref() {
        Some(diagnosis) => diagnosed(&mut block, diagnosis, group, snapshot),
        None => {
            block.one("leak", "not asked: only what is in CLOSE_WAIT is explained");
            ages_of(&mut block, group, snapshot);
        }
    }
    let heading = clean(&heading(entry, snapshot));
    let heading = wrap(&format!("{number}. "), &heading, page);
    (heading, block.lines)
}

/// The processes of one program, of which the block is about the first.
fn processes(entry: &Entry<'_>) -> Vec<String> {
    let name = |group: &&Group| format!("{} {}", process_in_words(group), group.sockets);
    let named = entry.groups.iter().take(NAMED).map(name);
    let mut text = named.collect::<Vec<_>>().join(", ");
    match entry.groups.len().saturating_sub(NAMED) {
        0 => {}
        more => text.push_str(&format!(", and {more} more")),
    }
    let first = process_in_words(entry.first());
    vec![
        text,
        format!("what follows is of {first}; leak and cause of the others are the same"),
    ]
}

fn heading(entry: &Entry<'_>, snapshot: &Snapshot) -> String {
    let (group, all) = (entry.first(), entry.sockets());
    let who = match (&group.owner, entry.groups.len()) {
        (Some(owner), count @ 2..) => format!("{}, {count} processes", owner.comm),
        _ => process_in_words(group),
    };
    let connection = connection_in_words(group.role, entry.ends());
    let state = snapshot.watched.state.name();
    let mut text = match all {
        0 => format!(
            "{who}: {} {connection} dead in the network and still open, all out of {state}",
            sockets(entry.residue()),
        ),
        _ => format!("{who}: {} {connection} stuck in {state}", sockets(all)),
    };
    match all - entry.count(|group| group.stuck) {
        0 => {}
        may_be if may_be == all => text.push_str(", perhaps"),
        may_be => text.push_str(&format!(", {may_be} of them perhaps")),
    }
    let others = snapshot.groups.iter();
    if let Some(netns) = group.netns
        && others
            .filter_map(|other| other.netns)
            .any(|other| other != netns)
    {
        let netns = namespace(netns, snapshot);
        text.push_str(&format!(" (network namespace {netns})"));
    }
    text
}

fn diagnosed(block: &mut Block, diagnosis: &Diagnosis, group: &Group, snapshot: &Snapshot) {
    let words = |all: &[Evidence]| -> Vec<String> {
        let all = all.iter();
        all.map(|one| evidence::text(one, snapshot)).collect()
    };
    let because = words(&diagnosis.leak_because).join("; ");
    let leak = diagnosis.leak.name();
    match (because.is_empty(), diagnosis.leak) {
        (false, _) => block.one("leak", &format!("{leak}: {because}")),
        (true, Leak::Unknown) if diagnosis.causes.is_empty() => {
            block.one("leak", "unknown: nothing tells");
        }
        (true, _) => block.one("leak", leak),
    }
    let causes = diagnosis.causes.iter();
    let meanings = causes
        .clone()
        .map(|cause| format!("{}: {}", cause.name.name(), meaning(cause.name)));
    block.numbered("cause", "causes", &meanings.collect::<Vec<_>>());
    if let Some(other) = &diagnosis.follows_from {
        let other = other_group(other, snapshot);
        block.one("follows", &format!("from {other}: the fault is there"));
    }
    block.list("evidence", &all_evidence(diagnosis, snapshot));
    ages_of(block, group, snapshot);
    block.several("keepalive", &keepalive(diagnosis, group));
    if let Some(used) = diagnosis.beside.descriptors {
        block.one(
            "descriptors",
            &descriptors(used, diagnosis.beside.runs_out_ns),
        );
    }
    if let Some(growth) = diagnosis.beside.growth {
        block.one("growth", &evidence::growth(growth));
    }
    if diagnosis.beside.residue > 0 {
        let more = sockets(diagnosis.beside.residue);
        let text = format!("{more} more, dead in the network and still open: a descriptor each");
        block.one("residue", &text);
    }
    if let Some(name) = group.cgroup.as_deref().and_then(container::name) {
        block.one("in", &name);
    }
    if let Some(command) = command(group, snapshot, false) {
        block.one("command", &command);
    }
    let remedies = causes.map(|cause| remedy(cause, diagnosis, snapshot));
    block.numbered("remedy", "remedy", &remedies.collect::<Vec<_>>());
    let would_tell = diagnosis.would_tell.iter();
    let would_tell = would_tell.map(|one| Tell::of(*one, group, snapshot));
    block.commands("would tell", &would_tell.collect::<Vec<_>>());
}

/// The evidence of all causes, each piece once; of several causes with the numbers of those for which it
/// speaks, unless it speaks for all.
fn all_evidence(diagnosis: &Diagnosis, snapshot: &Snapshot) -> Vec<String> {
    let mut all: Vec<(&Evidence, Vec<String>)> = Vec::new();
    for (number, cause) in (1..).zip(&diagnosis.causes) {
        for evidence in &cause.evidence {
            match all.iter_mut().find(|(one, _)| *one == evidence) {
                Some((_, causes)) => causes.push(format!("{number}.")),
                None => all.push((evidence, vec![format!("{number}.")])),
            }
        }
    }
    let all = all.into_iter().map(|(one, causes)| {
        let text = evidence::text(one, snapshot);
        if causes.len() == diagnosis.causes.len() {
            text
        } else {
            format!("{text} (for {})", causes.join(" "))
        }
    });
    all.collect()
}

fn ages_of(block: &mut Block, group: &Group, snapshot: &Snapshot) {
    let oldest_ns = (snapshot.monotonic_ns).saturating_sub(group.oldest.moment_ns());
    let oldest = ages(oldest_ns, group.oldest_at_most_ns);
    let median = ages(group.median_ns, group.median_at_most_ns);
    let text = match group.sockets {
        1 => oldest,
        _ => format!("the oldest {oldest}, the one in the middle {median}"),
    };
    block.one("ages", &text);
}

/// On how many it is on, when it looks next, and what it can do.
fn keepalive(diagnosis: &Diagnosis, group: &Group) -> Vec<String> {
    let Keepalive { on, off, unknown } = group.keepalive;
    let of = on + off + unknown;
    let mut texts = Vec::new();
    if off > 0 {
        texts.push(format!(
            "off on {off} of {of}: only the process can end these sockets"
        ));
    }
    if on > 0 {
        let next = diagnosis
            .beside
            .next_probe_ns
            .map_or_else(String::new, |ns| {
                format!(
                    "; the next probe is due in {} at the earliest",
                    age(ns, true)
                )
            });
        texts.push(format!(
            "on for {on} of {of}: it ends a socket only when the peer is gone{next}"
        ));
    }
    if unknown > 0 {
        texts.push(format!("not known on {unknown} of {of}"));
    }
    let is_leased = |cause: &Cause| cause.name == CauseName::Leased;
    let sysctls = match diagnosis.beside.keepalive {
        // The remedy says the same.
        None if diagnosis.causes.iter().any(is_leased) => return texts,
        Some(KeepaliveSysctls {
            time_s,
            interval_s,
            probes,
        }) => format!(
            "net.ipv4.tcp_keepalive_time {time_s}, tcp_keepalive_intvl {interval_s} and \
             tcp_keepalive_probes {probes}"
        ),
        None => "net.ipv4.tcp_keepalive_*".into(),
    };
    texts.push(format!(
        "{sysctls} do nothing for a socket without SO_KEEPALIVE; with it they end the socket only when the \
         peer is gone, and leave residue: the descriptor stays open"
    ));
    texts
}

fn descriptors(used: DescriptorUse, runs_out_ns: Option<(u64, Option<u64>)>) -> String {
    let DescriptorUse { open, limit } = used;
    let percent = (open.saturating_mul(100)).checked_div(limit).unwrap_or(100);
    let mut text = match percent {
        0 => format!("{open} of {limit} (less than 1 %)"),
        percent => format!("{open} of {limit} ({percent} %)"),
    };
    if used.are_full() {
        text.push_str(": FULL. Nothing can be opened or accepted");
    } else if used.are_nearly_full() {
        text.push_str(": nearly full");
    }
    if let Some((least_ns, most_ns)) = runs_out_ns {
        let when = match ages(least_ns, most_ns) {
            bounds if bounds.starts_with("between") => bounds,
            one => format!("in {one}"),
        };
        text.push_str(&format!("; they run out {when} as the group grows"));
    }
    text
}

/// Lines behind labels.
struct Block {
    lines: Vec<String>,
    page: Page,
}

impl Block {
    /// A text behind its label.
    fn one(&mut self, label: &str, text: &str) {
        self.entry(label, "", text);
    }

    /// Texts below each other.
    fn several(&mut self, label: &str, texts: &[String]) {
        self.marked(label, texts, |_| String::new());
    }

    /// A list.
    fn list(&mut self, label: &str, texts: &[String]) {
        self.marked(label, texts, |_| "- ".to_owned());
    }

    /// Numbered texts, if there is more than one.
    fn numbered(&mut self, label: &str, of_several: &str, texts: &[String]) {
        match texts {
            [only] => self.one(label, only),
            texts => self.marked(of_several, texts, |index| format!("{}. ", index + 1)),
        }
    }

    /// A list with commands, which are not wrapped where a line of their own is enough for them.
    fn commands(&mut self, label: &str, all: &[Tell]) {
        for (index, tell) in all.iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            let before = self.lines.len();
            self.entry(label, "- ", &tell.line());
            if self.lines.len() == before + 1 || tell.commands.is_empty() {
                continue;
            }
            self.lines.truncate(before);
            self.entry(label, "- ", &format!("{}:", tell.what));
            for command in &tell.commands {
                self.entry("", "  ", command);
            }
        }
    }

    fn marked(&mut self, label: &str, texts: &[String], mark: impl Fn(usize) -> String) {
        for (index, text) in texts.iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            self.entry(label, &mark(index), text);
        }
    }

    fn entry(&mut self, label: &str, mark: &str, text: &str) {
        let first = format!("  {label:<LABEL$}  {mark}");
        let lines = wrap(&first, &clean(text), self.page);
        self.lines.extend(lines);
    }
}
