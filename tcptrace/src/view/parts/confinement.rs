//! What a command has given up, in words.

use crate::model::sandbox::{Capability, Confinement, Landlock};

/// What holds, and what does not and why: not yet fit for a terminal.
#[must_use]
pub fn text(confinement: &Confinement) -> String {
    let capabilities = match &confinement.capabilities {
        Ok(none) if none.is_empty() => "no capability is kept".to_owned(),
        Ok(kept) => {
            let names: Vec<_> = kept.iter().copied().map(Capability::name).collect();
            format!("kept: {}", names.join(", "))
        }
        Err(reason) => format!("capabilities could not be given up ({reason})"),
    };
    let holds = |name: &str, held: &Result<(), String>| match held {
        Ok(()) => format!("{name} holds"),
        Err(reason) => format!("no {name} ({reason})"),
    };
    let mut parts = vec![
        capabilities,
        holds("no_new_privs", &confinement.no_new_privs),
        holds("seccomp", &confinement.seccomp),
    ];
    parts.extend(confinement.landlock.as_ref().map(|held| match held {
        Ok(Landlock::Whole) => "Landlock holds".to_owned(),
        Ok(Landlock::Part) => "Landlock holds, as far as this kernel has it".to_owned(),
        Err(reason) => format!("no Landlock ({reason})"),
    }));
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_is_said_and_what_does_not() {
        let all = Confinement {
            capabilities: Ok(vec![Capability::Bpf, Capability::SysPtrace]),
            no_new_privs: Ok(()),
            seccomp: Ok(()),
            landlock: None,
        };
        let nothing = Confinement {
            capabilities: Ok(Vec::new()),
            seccomp: Err("not permitted".into()),
            landlock: Some(Err("this kernel has none".into())),
            ..all.clone()
        };
        insta::assert_snapshot!([text(&all), text(&nothing)].join("\n"));
    }
}
