//! One line of a log, as `docs/json.md` describes it, and its meaning.

use tcptrace_common::{Ending, TcpState};

use crate::{
    model::{
        log_line::{EndFields, Fields, Head, HolderFields, Kind, UserFields},
        names::UNKNOWN,
        owner::{Holder, KnownBy, Listener, Owner, Process, Via},
        recording::RecordingHeader,
        socket::{Endpoint, Family, Identity, Precision, Protocol, Role, Since, Socket},
        transition::{Loss, Record, StateDuration, StillOpen, Transition},
    },
    source::recording::{
        header,
        values::{moment, named, short, state},
    },
};

/// A name has 15 bytes in the kernel; each byte that is not UTF-8 is shown as three.
const LONGEST_COMM: usize = 64;
/// `PATH_MAX`, likewise.
const LONGEST_PATH: usize = 3 * 4096;
/// Processes that may accept one connection.
const MOST_CANDIDATES: usize = 4096;

/// The meaning of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A record.
    Record(Box<Record>),
    /// A header: where, when and with which filters the following records were made.
    Header(Box<RecordingHeader>),
}

/// Reads one line. `None` means a kind of log line that this program does not know.
///
/// # Errors
/// Says why it is not a line of a log. The text may quote the line: it is not yet fit for a
/// terminal.
pub fn read(line: &[u8]) -> Result<Option<Line>, String> {
    let line = std::str::from_utf8(line).map_err(|error| error.to_string())?;
    // Serde also accepts arrays for structs.
    if !line.trim_start().starts_with('{') {
        return Err("not a JSON object".into());
    }
    let head: Head = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let parse = match Kind::from_name(&head.schema) {
        Some(Kind::Header) => {
            let header = header::read(line)?;
            return Ok(Some(Line::Header(Box::new(header))));
        }
        Some(Kind::Transition) => transition,
        Some(Kind::StillOpen) => still_open,
        Some(Kind::Loss) => loss,
        None => return unknown(&head.schema).map(|()| None),
    };
    let fields = serde_json::from_str(line).map_err(|error| error.to_string())?;
    fits(&fields)?;
    let record = parse(fields)?;
    Ok(Some(Line::Record(Box::new(record))))
}

/// Checks that texts and lists are no longer than a log writes them: what is kept of a recording is bounded by
/// number.
fn fits(fields: &Fields) -> Result<(), String> {
    let opener = fields.opener.as_ref().map(|one| &one.comm);
    let user = fields.user.as_ref().map(|one| &one.comm);
    let caller = fields.caller.as_ref().map(|one| &one.comm);
    let holders = fields.holders.iter().flatten().map(|one| &one.comm);
    let candidates = fields.candidates.iter().flatten();
    if candidates.clone().count() > MOST_CANDIDATES {
        return Err(format!("more than {MOST_CANDIDATES} `candidates`"));
    }
    let comms = [Some(&fields.comm), opener, user, caller];
    let comms = comms.into_iter().flatten().chain(holders);
    for comm in comms.chain(candidates.map(|one| &one.comm)).flatten() {
        short("comm", comm, LONGEST_COMM)?;
    }
    (fields.cgroup.as_ref()).map_or(Ok(()), |path| short("cgroup", path, LONGEST_PATH))
}

/// Other versions of known kinds cannot be read; unknown kinds of lines can be left out.
fn unknown(schema: &str) -> Result<(), String> {
    fn kind(schema: &str) -> Option<&str> {
        schema.rsplit_once('/').map(|(kind, _)| kind)
    }
    let mut known = Kind::ALL.iter().map(|known| kind(known.name()));
    match kind(schema) {
        wanted @ Some(_) if known.any(|known| known == wanted) => Err(format!(
            "schema {schema}: this program only knows version 1"
        )),
        Some(kind) if kind.starts_with("tcptrace.") => Ok(()),
        _ => Err(format!("schema {schema} is not one of a log")),
    }
}

fn transition(fields: Fields) -> Result<Record, String> {
    let (time, monotonic_ns) = moment(fields.time.as_deref(), fields.monotonic_ns)?;
    let word = fields.duration.as_deref();
    let duration = match (word.and_then(Precision::from_name), fields.duration_ns) {
        (Some(_), Some(ns)) if ns > monotonic_ns => {
            return Err("`duration_ns` begins before the machine was started".into());
        }
        (Some(Precision::Exact), Some(ns)) => StateDuration::Exact(ns),
        (Some(Precision::AtLeast), Some(ns)) => StateDuration::AtLeast(ns),
        (None, None) if word.is_none_or(|word| word == UNKNOWN) => StateDuration::Unknown,
        (_, ns) => {
            return Err(format!(
                "`duration` {word:?} does not match `duration_ns` {ns:?}"
            ));
        }
    };
    let from = state("from", fields.from.as_deref())?;
    let to = state("to", fields.to.as_deref())?;
    let (opener, user) = owners(&fields)?;
    Ok(Record::Transition(Transition {
        time,
        monotonic_ns,
        from,
        to,
        ending: ending(&fields, from, to)?,
        duration,
        socket: identity(&fields)?,
        caller: fields.caller.as_ref().map(|caller| Process {
            pid: caller.pid,
            tid: caller.tid,
            comm: caller.comm.clone().unwrap_or_default().into(),
            started_ns: None,
        }),
        opener,
        user,
    }))
}

/// How the stay in the state that it left ended. Recordings of earlier versions do not say: there a call
/// of a process tells.
fn ending(fields: &Fields, from: TcpState, to: TcpState) -> Result<Ending, String> {
    let word = fields.ended.as_deref();
    if let Some(ending) = named("ended", word, Ending::from_name)? {
        return Ok(ending);
    }
    Ok(match (fields.still_open, &fields.caller) {
        (Some(true), _) => Ending::ResetStillOpen,
        (_, Some(_)) => Ending::Closed,
        (_, None) => Ending::by_states(from.number().into(), to.number().into()),
    })
}

fn still_open(fields: Fields) -> Result<Record, String> {
    let (time, monotonic_ns) = moment(fields.time.as_deref(), fields.monotonic_ns)?;
    let age_ns = fields.age_ns.ok_or("no `age_ns`")?;
    let entered_ns = monotonic_ns.checked_sub(age_ns);
    let entered_ns = entered_ns.ok_or("`age_ns` begins before the machine was started")?;
    let age = fields.age.as_deref();
    let since = match age.and_then(Precision::from_name) {
        Some(Precision::Exact) => Since::Exact(entered_ns),
        Some(Precision::AtLeast) => Since::AtLatest(entered_ns),
        None => return Err(format!("`age` is {age:?}")),
    };
    let holders = fields.holders.as_ref().map(|holders| {
        let holder = |holder: &HolderFields| Holder {
            pid: holder.pid,
            tid: holder.tid,
            fd: holder.fd,
            // Older recordings have descriptors only.
            via: (holder.via.as_deref())
                .and_then(Via::from_name)
                .unwrap_or(Via::Descriptor),
            comm: holder.comm.clone().unwrap_or_default().into(),
        };
        holders.iter().map(holder).collect()
    });
    let state = state("state", fields.state.as_deref())?;
    let was_in = named("was_in", fields.was_in.as_deref(), |name| {
        TcpState::ALL.into_iter().find(|state| state.name() == name)
    })?;
    let residue_of = was_in.filter(|_| fields.residue == Some(true));
    let earliest_ns = (fields.age_at_most_ns).map(|ns| monotonic_ns.saturating_sub(ns));
    let listener = several(&fields);
    let (opener, user) = match listener {
        Some(_) => (None, None),
        None => owners(&fields)?,
    };
    let mut socket = Socket::logged(identity(&fields)?, state, since, opener);
    (socket.user, socket.holders) = (user, holders);
    if listener.is_some() {
        (socket.listener, socket.cgroup) = (listener, fields.cgroup.map(Into::into));
    }
    // Recordings of earlier versions do not have it.
    socket.earliest_ns = earliest_ns;
    Ok(Record::StillOpen(StillOpen {
        time,
        monotonic_ns,
        socket,
        residue_of,
    }))
}

#[allow(clippy::needless_pass_by_value)] // as the others
fn loss(fields: Fields) -> Result<Record, String> {
    let (time, monotonic_ns) = moment(fields.time.as_deref(), fields.monotonic_ns)?;
    Ok(Record::Loss(Loss {
        time,
        monotonic_ns,
        transitions: fields.transitions.unwrap_or(0),
        sockets: fields.sockets.unwrap_or(0),
        runs: fields.runs.unwrap_or(0),
    }))
}

fn identity(fields: &Fields) -> Result<Identity, String> {
    let local = end("local", fields.local.as_ref())?;
    let remote = end("remote", fields.remote.as_ref())?;
    let family = named("family", fields.family.as_deref(), Family::from_name)?;
    let family = family.unwrap_or(Family::of(local.address));
    if [local, remote].map(|end| Family::of(end.address)) != [family; 2] {
        return Err("addresses of another family than `family`".into());
    }
    let protocol = named("protocol", fields.protocol.as_deref(), Protocol::from_name)?;
    let role = named("role", fields.role.as_deref(), Role::from_name)?;
    Ok(Identity {
        protocol: protocol.unwrap_or(Protocol::Tcp),
        family,
        local,
        remote,
        netns: fields.netns,
        cookie: fields.cookie,
        role: role.unwrap_or(Role::Unknown),
    })
}

/// Where it waits, if several processes may accept it.
fn several(fields: &Fields) -> Option<Listener> {
    let candidates = fields.candidates.as_ref().filter(|all| !all.is_empty())?;
    let holder = |one: &UserFields| {
        Some(Holder {
            pid: one.pid?,
            tid: None,
            fd: None,
            via: Via::Descriptor,
            comm: one.comm.clone().unwrap_or_default().into(),
        })
    };
    Some(Listener {
        holders: Some(candidates.iter().filter_map(holder).collect()),
        opener: None,
        queued: None,
        backlog: None,
    })
}

/// Who opened it, and who has taken it over.
fn owners(fields: &Fields) -> Result<(Option<Owner>, Option<Owner>), String> {
    let now = owner(fields)?;
    if fields.user.is_none() {
        return Ok((now, None));
    }
    let opener = fields.opener.as_ref().map(|opener| {
        Ok::<_, String>(Owner {
            process: Process {
                pid: opener.pid,
                tid: None,
                comm: opener.comm.clone().unwrap_or_default().into(),
                started_ns: None,
            },
            known_by: named("known_by", Some(&opener.known_by), KnownBy::from_name)?
                .ok_or("an `opener` without `known_by`")?,
            cgroup: None,
        })
    });
    Ok((opener.transpose()?, now))
}

/// Who uses it.
fn owner(fields: &Fields) -> Result<Option<Owner>, String> {
    let known_by = fields.owner.as_deref().filter(|name| *name != UNKNOWN);
    let Some(known_by) = named("owner", known_by, KnownBy::from_name)? else {
        return Ok(None);
    };
    if fields.pid.is_none() && fields.comm.is_none() {
        return Err("an `owner` without `pid` and `comm`".into());
    }
    Ok(Some(Owner {
        process: Process {
            pid: fields.pid,
            tid: fields.tid,
            comm: fields.comm.clone().unwrap_or_default().into(),
            started_ns: fields.started_ns,
        },
        known_by,
        cgroup: fields.cgroup.as_deref().map(Into::into),
    }))
}

fn end(name: &str, end: Option<&EndFields>) -> Result<Endpoint, String> {
    let end = end.ok_or_else(|| format!("no `{name}`"))?;
    Ok(Endpoint {
        address: end.address,
        port: end.port.unwrap_or(0),
    })
}
