//! Processes, namespaces, control groups, privileges and clocks of this machine.

pub mod cgroup;
pub mod clock;
pub mod netns;
pub mod privileges;
pub mod process;
