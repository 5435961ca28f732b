//! Choices as words, each with its line of help.

use clap::{ValueEnum, builder::PossibleValue};

use crate::model::{
    hist::key::Part,
    request::{AcceptChoice, HookChoice},
};

impl ValueEnum for HookChoice {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Auto, Self::Btf, Self::Tracepoint]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            Self::Auto => "The cheaper one that works: btf, else tracepoint",
            Self::Btf => "`tp_btf` (Linux 5.8 or later with BTF)",
            Self::Tracepoint => "The classic tracepoint (needs tracefs; works without BTF)",
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
            Self::Auto => "The first that works: fexit, else syscall, else listener",
            Self::Fexit => "The return of `inet_csk_accept` (trampolines)",
            Self::Syscall => {
                "The return of the accept system calls (tracefs and type information; not \
                 io_uring's accepts)"
            }
            Self::Listener => "Not at all: a connection counts as its listener's",
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
            Self::Pid => "The owner: one process, under one name",
            Self::Remote => "The remote address",
            Self::Port => {
                "The port connected to: the remote one of a client, the local one of a server"
            }
            Self::Cgroup => "The owner's control group",
            Self::Netns => "The network namespace",
            Self::Family => "The address family",
        };
        Some(PossibleValue::new(self.name()).help(help))
    }
}
