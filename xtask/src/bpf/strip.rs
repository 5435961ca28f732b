//! Removes the debug information from the object.
//!
//! It is four fifths of the file and the loader does not need it; BTF, which was made from it, stays. LLVM's and GNU's
//! tools are not used, because the first may be missing (or of any version) and the second refuse BPF.

use anyhow::{Context, Result, bail};
use object::{
    build::elf::{Builder, SectionData},
    elf,
};

/// The ELF object `data` without DWARF sections and references to them.
pub fn strip_debug(data: &[u8]) -> Result<Vec<u8>> {
    let mut builder = Builder::read(data).context("not an ELF object")?;
    if builder.header.e_machine != elf::EM_BPF {
        bail!("machine {} is not BPF", builder.header.e_machine);
    }
    for section in &mut builder.sections {
        section.delete = is_debug(&section.name);
    }
    // The compiler's name of its own input file is not useful.
    for symbol in &mut builder.symbols {
        symbol.delete |= symbol.st_type() == elf::STT_FILE;
    }
    // LLVM keeps the names of sections and symbols together; the writer needs them in separate sections.
    let names = builder.sections.add();
    names.name = b".shstrtab".as_slice().into();
    names.sh_type = elf::SHT_STRTAB;
    names.sh_addralign = 1;
    names.data = SectionData::SectionString;
    builder.delete_orphans();
    let mut stripped = Vec::new();
    builder
        .write(&mut stripped)
        .context("cannot write the object")?;
    Ok(stripped)
}

fn is_debug(section: &[u8]) -> bool {
    section.starts_with(b".debug_") || section.starts_with(b".rel.debug_")
}

#[cfg(test)]
mod tests {
    use super::{is_debug, strip_debug};

    #[test]
    fn keeps_btf_and_programs() {
        for kept in [
            ".BTF",
            ".BTF.ext",
            ".rel.BTF.ext",
            ".text",
            "raw_tp/x",
            ".symtab",
            "maps",
        ] {
            assert!(!is_debug(kept.as_bytes()), "{kept}");
        }
        for dropped in [".debug_info", ".rel.debug_info", ".debug_str"] {
            assert!(is_debug(dropped.as_bytes()), "{dropped}");
        }
    }

    #[test]
    fn refuses_what_is_no_bpf_object() {
        assert!(strip_debug(b"no ELF").is_err());
        let own = std::fs::read("/proc/self/exe").expect("can read this program");
        assert!(strip_debug(&own).is_err());
    }
}
