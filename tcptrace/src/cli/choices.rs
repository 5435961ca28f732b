//! The values of options that offer a choice, each with its line of help.

use clap::{ValueEnum, builder::PossibleValue};

use crate::model::{
    hist::key::Part,
    request::{AcceptChoice, HookChoice, Sort, WalkChoice},
    states::report::By,
};

impl ValueEnum for Sort {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Sockets, Self::Age, Self::RecvQ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            Self::Sockets => "The largest group, and the oldest socket",
            Self::Age => "The group with the oldest socket, and the oldest socket",
            Self::RecvQ => "The group and the socket with the most unread bytes",
        };
        Some(PossibleValue::new(self.name()).help(help))
    }
}

impl ValueEnum for HookChoice {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Auto, Self::Btf, Self::Tracepoint]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            Self::Auto => "The cheapest hook that works: btf, otherwise tracepoint",
            Self::Btf => "`tp_btf` (Linux 5.8 or later with BTF)",
            Self::Tracepoint => "The classic tracepoint (needs tracefs, works without BTF)",
        };
        Some(PossibleValue::new(self.name()).help(help))
    }
}

impl ValueEnum for AcceptChoice {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Auto, Self::Fexit, Self::Syscall, Self::Listener]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            Self::Auto => "The first that works of fexit, syscall, listener",
            Self::Fexit => "The return of `inet_csk_accept` (trampolines)",
            Self::Syscall => {
                "The return of the accept system calls (tracefs and type information; not \
                 io_uring's accepts)"
            }
            Self::Listener => "Not detected: a connection belongs to the process that listens",
        };
        Some(PossibleValue::new(self.name()).help(help))
    }
}

impl ValueEnum for WalkChoice {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Auto, Self::Tasks, Self::Files, Self::Proc]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            Self::Auto => "The first that works of tasks, files, proc",
            Self::Tasks => "The kernel walks the descriptors of each thread (Linux 5.17 or later)",
            Self::Files => "The kernel runs a program for each descriptor (Linux 5.8 or later)",
            Self::Proc => "`sock_diag` in each namespace, and /proc/*/fd: slower, no residue",
        };
        Some(PossibleValue::new(self.name()).help(help))
    }
}

impl ValueEnum for By {
    fn value_variants<'a>() -> &'a [Self] {
        Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            Self::Comm => "The name of the process",
            Self::Pid => "The process",
            Self::Remote => "The remote address",
            Self::Port => {
                "The service's port: the remote port of a client, the local port of a server"
            }
            Self::Cgroup => "The control group that created the socket",
            Self::Container => "The container, pod or service, as the control group names it",
            Self::Netns => "The network namespace",
        };
        Some(PossibleValue::new(self.name()).help(help))
    }
}

impl ValueEnum for Part {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self::Comm,
            Self::Pid,
            Self::Remote,
            Self::Port,
            Self::Cgroup,
            Self::Netns,
            Self::Family,
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            Self::Comm => "The owner's name",
            Self::Pid => "The owner: one process with one name",
            Self::Remote => "The remote address",
            Self::Port => {
                "The service's port: the remote port of a client, the local port of a server"
            }
            Self::Cgroup => "The owner's control group",
            Self::Netns => "The network namespace",
            Self::Family => "The address family",
        };
        Some(PossibleValue::new(self.name()).help(help))
    }
}
