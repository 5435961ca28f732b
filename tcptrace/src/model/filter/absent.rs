//! What a filter names and nothing has.

/// Values of one filter that nothing has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absent {
    /// The values.
    pub values: Values,
    /// Where nothing has them.
    pub whole: Whole,
}

/// Values of one filter, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Values {
    /// Numbers of processes; with the process of which it is a thread, if it is one.
    Processes(Vec<(u32, Option<u32>)>),
    /// Names of processes: not yet fit for a terminal.
    Names(Vec<String>),
    /// Inode number of a network namespace.
    Netns(u32),
    /// Path of a control group, from the cgroup root.
    Cgroup(String),
}

/// Where nothing has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whole {
    /// On this machine, now.
    Machine,
    /// In the part of this machine that tcptrace can see.
    Visible,
    /// In a recording.
    Recording,
}

impl Absent {
    /// The option's long name without dashes.
    #[must_use]
    pub fn option(&self) -> &'static str {
        match self.values {
            Values::Processes(_) => "pid",
            Values::Names(_) => "comm",
            Values::Netns(_) => "netns",
            Values::Cgroup(_) => "cgroup",
        }
    }

    /// The first of the values.
    #[must_use]
    pub fn first(&self) -> String {
        match &self.values {
            Values::Processes(pids) => pids.first().map_or(0, |(pid, _)| *pid).to_string(),
            Values::Names(names) => names.first().cloned().unwrap_or_default(),
            Values::Netns(inode) => inode.to_string(),
            Values::Cgroup(path) => path.clone(),
        }
    }

    /// The values, as they are given.
    #[must_use]
    pub fn given(&self) -> String {
        match &self.values {
            Values::Processes(pids) => {
                let pids: Vec<_> = pids.iter().map(|(pid, _)| pid.to_string()).collect();
                pids.join(",")
            }
            Values::Names(names) => names.join(","),
            Values::Netns(_) | Values::Cgroup(_) => self.first(),
        }
    }

    /// The process that is meant, if the only number is that of one of its threads.
    #[must_use]
    pub fn thread_of(&self) -> Option<u32> {
        match &self.values {
            Values::Processes(pids) if pids.len() == 1 => pids[0].1,
            _ => None,
        }
    }

    /// How many values.
    #[must_use]
    pub fn count(&self) -> usize {
        match &self.values {
            Values::Processes(pids) => pids.len(),
            Values::Names(names) => names.len(),
            Values::Netns(_) | Values::Cgroup(_) => 1,
        }
    }
}
