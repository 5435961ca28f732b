//! Finds calls that the compiler inserts: if it cannot exclude that source and destination of a copy overlap, it calls
//! `memmove`, which on BPF is a loop over single bytes. In the path of every transition, one such call costs a tenth of
//! the total time.

use anyhow::{Context, Result, ensure};
use object::build::elf::{Builder, SectionData};

/// The functions that the compiler may call.
const LOOPS: [&[u8]; 5] = [b"memcpy", b"memmove", b"memset", b"memcmp", b"bcmp"];

/// Fails if a program of the ELF object `data` calls one.
pub fn refuse(data: &[u8]) -> Result<()> {
    let builder = Builder::read(data).context("not an ELF object")?;
    for section in &builder.sections {
        let SectionData::Relocation(relocations) = &section.data else {
            continue;
        };
        for symbol in relocations
            .iter()
            .filter_map(|relocation| relocation.symbol)
        {
            let name = &builder.symbols.get(symbol).name;
            ensure!(
                !LOOPS.contains(&&**name),
                "a program in {} calls {name}, a loop over bytes: copy with `copy_nonoverlapping`, or word by word",
                section.name,
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use object::build::elf::{Builder, SectionData};

    use super::refuse;
    use crate::workspace::Workspace;

    #[test]
    fn a_call_is_told_by_its_name() {
        let workspace = Workspace::current().expect("the tests run in one");
        let [(_, path), _] = workspace.bpf_objects();
        let data = fs::read(path).expect("it is committed");
        refuse(&data).expect("it calls none");
        // Gives a symbol that a program refers to another name.
        let mut builder = Builder::read(&*data).expect("it is an object");
        let referred = (builder.sections.iter())
            .find_map(|section| match &section.data {
                SectionData::Relocation(relocations) => relocations.first()?.symbol,
                _ => None,
            })
            .expect("programs refer to maps");
        builder.symbols.get_mut(referred).name = b"memmove".as_slice().into();
        let mut renamed = Vec::new();
        builder.write(&mut renamed).expect("it can be written");
        let error = refuse(&renamed).expect_err("it seems to call one");
        assert!(error.to_string().contains("calls memmove"), "{error}");
    }
}
