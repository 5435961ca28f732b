//! The capabilities of the calling thread.

use rustix::{
    io,
    thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities},
};

use crate::model::sandbox::Capability;

/// Keeps these, as far as there are, and nothing else; returns those that there are. None can be passed on over
/// an `execve`: the ambient ones fall with the inheritable ones.
///
/// # Errors
/// When the kernel refuses.
pub fn keep(kept: &[Capability]) -> io::Result<Vec<Capability>> {
    let held = capabilities(None)?;
    let wanted = kept.iter().copied().map(bit);
    let wanted = wanted.fold(CapabilitySet::empty(), CapabilitySet::union);
    let sets = CapabilitySets {
        effective: held.effective & wanted,
        permitted: held.permitted & wanted,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets)?;
    let stays = |one: &Capability| sets.effective.contains(bit(*one));
    Ok(kept.iter().copied().filter(stays).collect())
}

fn bit(capability: Capability) -> CapabilitySet {
    match capability {
        Capability::Bpf => CapabilitySet::BPF,
        Capability::Perfmon => CapabilitySet::PERFMON,
        Capability::SysAdmin => CapabilitySet::SYS_ADMIN,
        Capability::SysPtrace => CapabilitySet::SYS_PTRACE,
        Capability::NetAdmin => CapabilitySet::NET_ADMIN,
        Capability::DacReadSearch => CapabilitySet::DAC_READ_SEARCH,
        Capability::DacOverride => CapabilitySet::DAC_OVERRIDE,
    }
}
