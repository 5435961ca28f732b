//! Examining the machine: what it allows is tried, not derived from the kernel's version.

use crate::{
    model::finding::{Finding, explain},
    source::{
        bpf::types::TypeInfo,
        doctor::{machine, programs},
        machine::{pid_namespace, restrictions, time_namespace},
    },
};

/// Examines everything that matters. What others depend on comes first.
#[must_use]
pub fn all() -> Vec<Finding> {
    restrictions::lift_memory_limit();
    // The others read it.
    let proc = pid_namespace::own_proc();
    let mut findings = vec![machine::kernel(), machine::capabilities()];
    findings.extend(machine::time_namespace());
    if time_namespace::check().is_err() {
        // Without threads nothing else can be tried.
        return findings;
    }
    let types = TypeInfo::read();
    findings.push(machine::pid_namespace(&proc));
    findings.push(machine::lockdown());
    findings.push(programs::type_information(&types));
    let types = types.ok();
    findings.push(programs::tracefs());
    findings.extend(programs::hooks(types.as_ref()));
    findings.extend(programs::holders());
    findings.extend(programs::accepting());
    findings.extend([
        programs::map_size(types.as_ref()),
        machine::limits(),
        machine::sock_diag(),
        machine::namespaces(),
        machine::cgroups(),
    ]);
    findings.extend(machine::sysctls());
    explain(&mut findings);
    findings
}
