//! Processes, namespaces, control groups, privileges, restrictions and clocks of this machine.

pub mod arguments;
pub mod cgroup;
pub mod clock;
pub mod netns;
pub mod presence;
pub mod privileges;
pub mod process;
pub mod recording;
pub mod restrictions;
