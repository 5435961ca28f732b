//! What is still open at the end of a log, on a screen: groups first, so that thousands of sockets do not push the
//! summary away.

use anstyle::Style;
use unicode_width::UnicodeWidthStr as _;

use crate::{
    model::{
        open_groups::{Group, Member, Named, OpenGroups, Opener, Users},
        socket::Role,
        stuck::group::Ends,
    },
    view::{
        Page,
        layout::{
            plain::ellipsis,
            table::{self, Column, before_pid, left, right},
            wrap::wrap,
        },
        log::pieces::{self, Limits},
        parts::age::age,
    },
};

/// Sockets that are listed below the groups.
const FEW: usize = 3;
/// Groups that are shown, and how many are on a small screen.
const GROUPS: usize = 20;
const FEW_GROUPS: usize = 3;
/// Lines of a screen that the rest takes: the summary, the headline, the heading; and the list.
const REST: usize = 12;
const LIST: usize = 6;
/// How long names and addresses may be, where there is less and less room. The kernel's names are not longer: only
/// those with escapes are.
const LENGTHS: [(usize, usize); 7] = [
    (15, 39),
    (15, 21),
    (15, 15),
    (15, 9),
    (8, 9),
    (8, 5),
    (5, 5),
];

/// Which sockets are listed one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// None: they are listed elsewhere.
    None,
    /// The oldest.
    Few,
    /// All.
    All,
}

/// The lines, with an empty one first; none if nothing is open. `heading`: the style of headings.
#[must_use]
pub fn lines(open: &OpenGroups, list: List, page: &Page, heading: Style) -> Vec<String> {
    if open.is_empty() {
        return Vec::new();
    }
    let height = page.height.unwrap_or(usize::MAX);
    let groups = groups(open, page, height, heading);
    let list = match list {
        List::All => sockets(open, None, page, heading),
        List::Few if height >= REST + LIST + groups.len() - 4 => {
            sockets(open, Some(FEW), page, heading)
        }
        List::Few | List::None => Vec::new(),
    };
    // A long list is above what matters more.
    let is_long = list.len() > LIST;
    let (first, second) = if is_long {
        (list, groups)
    } else {
        (groups, list)
    };
    [first, second].concat()
}

fn groups(open: &OpenGroups, page: &Page, height: usize, heading: Style) -> Vec<String> {
    let all = open.groups();
    let room = height.saturating_sub(REST).clamp(FEW_GROUPS, GROUPS);
    // A single one takes the line that would count it.
    let room = if all.len() == room + 1 {
        room + 1
    } else {
        room
    };
    let (shown, rest) = all.split_at(room.min(all.len()));
    let counts = open.counts();
    let several = counts.iter().filter(|(_, residue, _)| !residue).count() > 1;
    let rows = |limits: Limits| {
        let row = |group: &Group| {
            let mut ends = ends(group.role, group.ends, limits);
            let same = |other: &&Group| reads_as(other) == reads_as(group);
            if let Some(netns) = group.netns
                && all.iter().filter(same).count() > 1
            {
                ends.push_str(&format!(" netns {netns}"));
            }
            if several && !group.residue {
                ends = format!("{ends} {}", group.state.name());
            }
            vec![
                group.sockets.to_string(),
                age(group.oldest.0, group.oldest.1),
                opener(&group.opener, limits),
                users(&group.users, limits),
                with_residue(ends, group.residue),
            ]
        };
        shown.iter().map(row).collect()
    };
    let columns = [
        right("SOCKETS"),
        right("OLDEST").extra(4),
        left("OPENER").rank(1).name(before_pid),
        left("USER").rank(3).name(before_pid),
        left("CONNECTION").rank(2),
    ];
    let counts = counts.iter().map(|(state, residue, count)| match residue {
        true => format!("{count} residue"),
        false => format!("{count} in {}", state.name()),
    });
    let headline = counts.collect::<Vec<_>>().join(", ");
    let headline = wrap("Still open: ", &headline, *page);
    let mut lines = vec![String::new()];
    lines.extend(headline.iter().map(|line| bold(line, heading)));
    lines.push(String::new());
    lines.extend(fitting(&columns, rows, page, heading));
    if !rest.is_empty() {
        let sockets: usize = rest.iter().map(|group| group.sockets).sum();
        let mark = format!("{} ", ellipsis(page.ascii));
        let text = format!("{} more groups of {sockets} sockets", rest.len());
        lines.extend(wrap(&mark, &text, *page));
    }
    if open.more() > 0 {
        let text = format!("{} more sockets are in no group: too many", open.more());
        lines.extend(wrap("! ", &text, *page));
    }
    lines
}

/// What a row says beside figures and the namespace.
fn reads_as(group: &Group) -> (&Opener, &Users, Role, Ends, bool) {
    (
        &group.opener,
        &group.users,
        group.role,
        group.ends,
        group.residue,
    )
}

fn sockets(open: &OpenGroups, count: Option<usize>, page: &Page, heading: Style) -> Vec<String> {
    let oldest = open.oldest(count);
    let title = match oldest.len() as u64 {
        listed if listed < open.len() => {
            format!(
                "The oldest {listed} of {} (all: --all, or --json):",
                open.len()
            )
        }
        1 => "It is:".into(),
        listed => format!("All {listed}, the oldest first:"),
    };
    let rows = |limits: Limits| {
        let row = |one: &&Member| {
            vec![
                age(one.age.0, one.age.1),
                opener(&one.opener, limits),
                users(&one.users, limits),
                with_residue(whole_connection(one, limits), one.residue),
            ]
        };
        oldest.iter().map(row).collect()
    };
    let columns = [
        right("AGE").rank(1),
        left("OPENER").rank(3).name(before_pid),
        left("USER").rank(4).name(before_pid),
        left("CONNECTION").rank(2),
    ];
    let mut lines = vec![String::new()];
    lines.extend(wrap("", &title, *page));
    lines.extend(fitting(&columns, rows, page, heading));
    lines
}

/// The table with names and addresses as long as they can be: the numbers behind them stay whole.
fn fitting(
    columns: &[Column<'_>],
    rows: impl Fn(Limits) -> Vec<Vec<String>>,
    page: &Page,
    heading: Style,
) -> Vec<String> {
    let width = page.width.unwrap_or(usize::MAX);
    let mut lines = Vec::new();
    for (name, address) in LENGTHS {
        let limits = Limits {
            name,
            address,
            ascii: page.ascii,
        };
        lines = table::lines(columns, &rows(limits), *page);
        let named = |name: &str| lines.first().is_some_and(|heading| heading.contains(name));
        let fits = lines.iter().all(|line| line.width() <= width);
        if fits && ["OPENER", "USER", "CONNECTION"].into_iter().all(named) {
            break;
        }
    }
    if let Some(first) = lines.first_mut() {
        *first = bold(first, heading);
    }
    lines
}

fn bold(text: &str, heading: Style) -> String {
    format!("{heading}{text}{heading:#}")
}

fn with_residue(mut text: String, residue: bool) -> String {
    if residue {
        text.push_str(" residue");
    }
    text
}

fn opener(opener: &Opener, limits: Limits) -> String {
    match opener {
        Opener::Process(process) => one(process, limits),
        Opener::Nobody => "not accepted".into(),
        Opener::Unknown => "?".into(),
    }
}

/// Several processes of one program by its name and their number.
fn users(users: &Users, limits: Limits) -> String {
    let all = match users {
        Users::Opener => return "the opener".into(),
        Users::Unknown => return "?".into(),
        Users::These(all) => all,
    };
    if let [only] = &all[..] {
        return one(only, limits);
    }
    let mut by_name: Vec<(&str, usize)> = Vec::new();
    for (_, comm) in all {
        match by_name.iter_mut().find(|(known, _)| *known == &**comm) {
            Some((_, count)) => *count += 1,
            None => by_name.push((comm, 1)),
        }
    }
    let more = by_name.len().saturating_sub(2);
    let named = by_name.iter().take(2).map(|(comm, count)| {
        let name = text(|out| pieces::name(comm, limits, out));
        format!("{name} ({count})")
    });
    let mut named = named.collect::<Vec<_>>().join(", ");
    if more > 0 {
        named.push_str(&format!(", {more} more"));
    }
    named
}

fn one((pid, comm): &Named, limits: Limits) -> String {
    text(|out| pieces::named(*pid, comm, limits, out))
}

/// The port that matters: this machine's for servers, the peer's for all others.
fn ends(role: Role, ends: Ends, limits: Limits) -> String {
    text(|out| match ends {
        Ends::At { port, from, .. } => {
            out.push(b':');
            pieces::port(port, out);
            if let Some(from) = from.filter(|from| !from.is_unspecified()) {
                out.extend_from_slice(b" from ");
                pieces::host(from, limits, out);
            }
        }
        Ends::To(remote) => {
            out.extend_from_slice(match role {
                Role::Client => b"to ",
                _ => b"with ",
            });
            pieces::endpoint(remote, limits, out);
        }
    })
}

fn whole_connection(one: &Member, limits: Limits) -> String {
    text(|out| pieces::connection(one.role, one.local, one.remote, limits, out))
}

fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
#[path = "ends_tests.rs"]
mod tests;
