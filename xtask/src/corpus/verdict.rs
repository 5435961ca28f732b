//! What tcptrace said, and whether it is true.

use serde_json::Value;

use crate::corpus::case::Truth;

/// How an answer compares with the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leak {
    /// `yes` or `no`, as it is.
    Right,
    /// `unknown`.
    Open,
    /// `yes`, and it is none.
    False,
    /// `no`, or nothing at all, and it is one.
    AllClear,
}

/// Where the true cause stands among those that are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rank {
    /// First.
    First,
    /// Behind another one.
    Named,
    /// Not there.
    Absent,
}

/// What was said about the group in question.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// Its sockets that are stuck.
    pub sockets: u64,
    /// `yes`, `no`, `unknown`; empty where the group is not shown.
    pub leak: String,
    /// The causes, best first.
    pub causes: Vec<String>,
    /// The evidence of the first.
    pub evidence: Vec<String>,
    /// Why the leak is not another answer.
    pub because: Vec<String>,
    /// What would tell more.
    pub would_tell: Vec<String>,
    /// The role and port of the group that it follows from.
    pub follows_from: Option<String>,
    /// Dead sockets of the process.
    pub residue: usize,
}

impl Said {
    /// What a look says about the group of the truth. Several processes of one name may have one: the largest counts.
    pub fn of(look: &Value, truth: &Truth) -> Self {
        let groups = list(&look["groups"]);
        let is = |group: &&Value| {
            let port = match &*truth.role {
                "client" => &group["remote"]["port"],
                _ => &group["local"]["port"],
            };
            group["role"] == *truth.role
                && port.as_u64() == Some(truth.port.into())
                && is_of(group, &truth.process)
        };
        let size = |group: &&Value| group["stuck"].as_u64().unwrap_or(0);
        let mut said = groups
            .iter()
            .filter(is)
            .max_by_key(size)
            .map_or_else(Self::default, |group| Self::of_group(group, groups));
        let holds = |entry: &&Value| {
            list(&entry["holders"])
                .iter()
                .any(|holder| holder["comm"] == *truth.process)
        };
        said.residue = list(&look["residue"]).iter().filter(holds).count();
        said
    }

    fn of_group(group: &Value, groups: &[Value]) -> Self {
        let diagnosis = &group["diagnosis"];
        let causes = list(&diagnosis["causes"]);
        Self {
            sockets: group["stuck"].as_u64().unwrap_or(0),
            leak: diagnosis["leak"].as_str().unwrap_or_default().into(),
            causes: causes
                .iter()
                .filter_map(|cause| cause["cause"].as_str().map(String::from))
                .collect(),
            evidence: causes
                .first()
                .map_or_else(Vec::new, |cause| texts(&cause["evidence"])),
            because: texts(&diagnosis["leak_because"]),
            would_tell: texts(&diagnosis["would_tell"]),
            follows_from: follows(&diagnosis["follows_from"], groups),
            residue: 0,
        }
    }

    /// Whether its answer about the leak is true.
    pub fn leak(&self, truth: &Truth) -> Leak {
        match (&*self.leak, truth.leak) {
            ("yes", true) | ("no", false) => Leak::Right,
            ("yes", false) => Leak::False,
            ("no", true) => Leak::AllClear,
            // A group of residue alone is no row in JSON: its list is the answer.
            ("", true) if truth.residue > 0 && self.residue >= truth.residue => Leak::Open,
            ("", true) => Leak::AllClear,
            ("", false) => Leak::Right,
            _ => Leak::Open,
        }
    }

    /// Where the true cause stands. Traffic that is not shown needs no cause.
    pub fn rank(&self, truth: &Truth) -> Rank {
        if self.leak.is_empty() && !truth.leak {
            return Rank::First;
        }
        match self.causes.iter().position(|cause| *cause == truth.cause) {
            Some(0) => Rank::First,
            Some(_) => Rank::Named,
            None => Rank::Absent,
        }
    }

    /// `yes leased, idle_pooled`.
    pub fn words(&self) -> String {
        match &*self.leak {
            "" if self.residue > 0 => format!("nothing stuck, {} residue", self.residue),
            "" => "nothing stuck".into(),
            leak => format!("{leak}: {}", self.causes.join(", ")),
        }
    }
}

/// Whether a process of this name holds the group, or may.
fn is_of(group: &Value, process: &str) -> bool {
    let candidates = list(&group["candidates"]);
    group["comm"] == *process
        || candidates
            .iter()
            .any(|candidate| candidate["comm"] == *process)
}

/// `client 9090`: the group that another one follows from.
fn follows(from: &Value, groups: &[Value]) -> Option<String> {
    let pid = from.get("pid")?;
    let end = ["remote", "local"]
        .into_iter()
        .find(|end| !from[end].is_null());
    let is = |group: &&Value| group["pid"] == *pid && end.is_none_or(|end| group[end] == from[end]);
    let group = groups.iter().find(is)?;
    let role = group["role"].as_str()?;
    let port = match role {
        "client" => &group["remote"]["port"],
        _ => &group["local"]["port"],
    };
    Some(format!("{role} {port}"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn texts(value: &Value) -> Vec<String> {
    list(value)
        .iter()
        .filter_map(|text| text.as_str().map(String::from))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Leak, Rank, Said};
    use crate::corpus::case::Truth;

    fn truth(leak: bool) -> Truth {
        Truth {
            process: "shop".into(),
            role: "client".into(),
            port: 8080,
            cause: "leased".into(),
            leak,
            sockets: 1,
            residue: 0,
            why: String::new(),
            hidden: None,
            follows_from: None,
        }
    }

    fn look(leak: &str, causes: &[&str]) -> serde_json::Value {
        let causes: Vec<_> = causes
            .iter()
            .map(|cause| json!({"cause": cause, "evidence": []}))
            .collect();
        json!({"groups": [
            {"comm": "other", "role": "client", "remote": {"port": 8080}, "stuck": 900,
             "diagnosis": {"leak": "no", "causes": []}},
            {"comm": "shop", "role": "client", "remote": {"port": 8080}, "stuck": 9,
             "diagnosis": {"leak": leak, "causes": causes}},
        ], "residue": []})
    }

    #[test]
    fn a_wrong_answer_is_never_taken_for_an_open_one() {
        for (said, leak, wanted) in [
            ("yes", true, Leak::Right),
            ("no", true, Leak::AllClear),
            ("unknown", true, Leak::Open),
            ("yes", false, Leak::False),
            ("no", false, Leak::Right),
            ("unknown", false, Leak::Open),
        ] {
            let truth = truth(leak);
            assert_eq!(
                Said::of(&look(said, &[]), &truth).leak(&truth),
                wanted,
                "{said} {leak}"
            );
        }
        let nothing = json!({"groups": [], "residue": []});
        assert_eq!(
            Said::of(&nothing, &truth(true)).leak(&truth(true)),
            Leak::AllClear
        );
        assert_eq!(
            Said::of(&nothing, &truth(false)).leak(&truth(false)),
            Leak::Right
        );
    }

    #[test]
    fn the_place_of_the_true_cause_counts() {
        for (causes, wanted) in [
            (&["leased", "idle_pooled"][..], Rank::First),
            (&["idle_pooled", "leased"], Rank::Named),
            (&["churn"], Rank::Absent),
            (&[], Rank::Absent),
        ] {
            let truth = truth(true);
            assert_eq!(
                Said::of(&look("unknown", causes), &truth).rank(&truth),
                wanted,
                "{causes:?}"
            );
        }
    }
}
