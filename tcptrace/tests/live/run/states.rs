//! What `tcptrace states --json` writes: the part that scripts may rely on.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::{harness::place::Place, run::tool::Tool};

/// A line: the numbers at one moment.
#[derive(Debug, Clone, Deserialize)]
pub struct States {
    pub schema: String,
    pub by: Vec<String>,
    pub sockets: u64,
    pub states: Vec<State>,
    pub not_sockets: Vec<NoSocket>,
    pub residue: u64,
    pub groups: Vec<Group>,
}

/// How many are in a state.
#[derive(Debug, Clone, Deserialize)]
pub struct State {
    pub state: String,
    pub count: u64,
    pub change: Option<i64>,
}

/// How many there are of what is no socket.
#[derive(Debug, Clone, Deserialize)]
pub struct NoSocket {
    pub kind: String,
    pub count: u64,
}

/// The same of what has the same key.
#[derive(Debug, Clone, Deserialize)]
pub struct Group {
    pub key: Value,
    pub sockets: u64,
    pub states: Vec<State>,
    pub not_sockets: Vec<NoSocket>,
    pub residue: u64,
}

impl States {
    /// Counts in one namespace once.
    pub fn look(netns: u64, more: &[&str]) -> Result<Self> {
        let netns = netns.to_string();
        let mut words = vec!["states", "--once", "--json", "--netns", &netns];
        words.extend(more);
        let outcome = Tool::start(Place::AsIs, &words)?.wait()?.success()?;
        parse(&outcome.stdout)
    }

    /// How many are in a state.
    pub fn of(&self, state: &str) -> u64 {
        count(&self.states, state)
    }

    /// How many there are of what is no socket.
    pub fn no_sockets(&self, kind: &str) -> u64 {
        let found = self.not_sockets.iter().find(|one| one.kind == kind);
        found.map_or(0, |one| one.count)
    }
}

impl Group {
    /// How many are in a state.
    pub fn of(&self, state: &str) -> u64 {
        count(&self.states, state)
    }
}

fn count(states: &[State], state: &str) -> u64 {
    let found = states.iter().find(|one| one.state == state);
    found.map_or(0, |one| one.count)
}

/// The numbers in a line.
pub fn parse(line: &str) -> Result<States> {
    let states: States = serde_json::from_str(line).with_context(|| line.to_owned())?;
    ensure!(states.schema == "tcptrace.states/1", "{}", states.schema);
    ensure!(states.states.len() == 11, "not every state: {states:?}");
    Ok(states)
}
