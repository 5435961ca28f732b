//! Why the sockets of a group are stuck, in JSON.

use serde::Serialize;

use crate::{
    model::{
        cause::{DescriptorUse, Evidence, FollowsFrom, Growth},
        stuck::{group::Group, snapshot::Snapshot},
    },
    view::stuck::{
        cause::{evidence, remedy::remedy, would_tell::Tell},
        json::ends::{EndpointRecord, LocalRecord, ends},
    },
};

/// A diagnosis.
#[derive(Serialize)]
pub struct DiagnosisRecord {
    leak: &'static str,
    causes: Vec<CauseRecord>,
    leak_because: Vec<String>,
    follows_from: Option<FollowsRecord>,
    would_tell: Vec<String>,
    growth: Option<GrowthRecord>,
    next_probe_ns: Option<u64>,
    runs_out_ns: Option<(u64, Option<u64>)>,
}

#[derive(Serialize)]
struct CauseRecord {
    cause: &'static str,
    evidence: Vec<String>,
    remedy: String,
}

#[derive(Serialize)]
struct FollowsRecord {
    pid: u32,
    remote: Option<EndpointRecord>,
    local: Option<LocalRecord>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum GrowthRecord {
    None,
    Steady { sockets: usize, within_ns: u64 },
    Plateau { for_ns: u64 },
    Sawtooth { falls: usize },
    Shrinks,
}

/// The descriptors of a process.
#[derive(Serialize)]
pub struct DescriptorsRecord {
    open: u64,
    limit: u64,
}

/// How many descriptors the group's process has, if that was looked up.
pub fn descriptors(group: &Group) -> Option<DescriptorsRecord> {
    let DescriptorUse { open, limit } = group.diagnosis.as_ref()?.beside.descriptors?;
    Some(DescriptorsRecord { open, limit })
}

/// The diagnosis of a group.
pub fn diagnosis_record(group: &Group, snapshot: &Snapshot) -> Option<DiagnosisRecord> {
    let diagnosis = group.diagnosis.as_deref()?;
    let texts = |all: &[Evidence]| {
        let all = all.iter();
        all.map(|one| evidence::text(one, snapshot)).collect()
    };
    let would_tell = diagnosis.would_tell.iter();
    Some(DiagnosisRecord {
        leak: diagnosis.leak.name(),
        causes: (diagnosis.causes.iter())
            .map(|cause| CauseRecord {
                cause: cause.name.name(),
                evidence: texts(&cause.evidence),
                remedy: remedy(cause, diagnosis, snapshot),
            })
            .collect(),
        leak_because: texts(&diagnosis.leak_because),
        follows_from: diagnosis.follows_from.map(follows_record),
        would_tell: would_tell
            .map(|one| Tell::of(*one, group, snapshot).line())
            .collect(),
        growth: diagnosis.beside.growth.map(growth_record),
        next_probe_ns: diagnosis.beside.next_probe_ns,
        runs_out_ns: diagnosis.beside.runs_out_ns,
    })
}

fn follows_record(other: FollowsFrom) -> FollowsRecord {
    let (local, remote) = ends(other.ends);
    FollowsRecord {
        pid: other.pid,
        remote,
        local,
    }
}

fn growth_record(growth: Growth) -> GrowthRecord {
    match growth {
        Growth::None => GrowthRecord::None,
        Growth::Steady { sockets, within_ns } => GrowthRecord::Steady { sockets, within_ns },
        Growth::Plateau { for_ns } => GrowthRecord::Plateau { for_ns },
        Growth::Sawtooth { falls } => GrowthRecord::Sawtooth { falls },
        Growth::Shrinks => GrowthRecord::Shrinks,
    }
}
