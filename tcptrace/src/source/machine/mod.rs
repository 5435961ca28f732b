//! Processes, namespaces, control groups, privileges, restrictions and clocks of this machine.

pub mod arguments;
pub mod cgroup;
pub mod clock;
pub mod freezer;
mod mountinfo;
pub mod netns;
pub mod pid_namespace;
pub mod presence;
pub mod privileges;
pub mod process;
pub mod recording;
pub mod restrictions;
pub mod sandbox;
pub mod threads;
pub mod time_namespace;
pub mod user_namespace;
