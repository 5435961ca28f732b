//! The file with the kernel's type information.

use std::{
    fs::File,
    io::{self, Read as _},
};

use crate::source::bpf::{mapping::Mapping, types::btf::Btf};

const PATH: &str = "/sys/kernel/btf/vmlinux";
/// sysfs gives no more than a page for each read.
const PIECE: usize = 4096;

/// The file's content.
pub enum BtfFile {
    /// In the page cache (6.16 and later).
    Mapped(Mapping),
    /// A copy.
    Read(Vec<u8>),
}

impl BtfFile {
    /// Opens the running kernel's.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn open() -> Result<Self, String> {
        open().map_err(|error| format!("{PATH}: {error}"))
    }

    /// The types in it.
    ///
    /// # Errors
    /// When it is not type information of this machine.
    pub fn parse(&self) -> Result<Btf<'_>, String> {
        let data = match self {
            Self::Mapped(mapping) => mapping.bytes(),
            Self::Read(data) => data,
        };
        Btf::parse(data).map_err(|error| format!("{PATH}: {error}"))
    }
}

fn open() -> io::Result<BtfFile> {
    let mut file = File::open(PATH)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(0);
    if let Ok(mapping) = Mapping::private(&file, length) {
        return Ok(BtfFile::Mapped(mapping));
    }
    let mut data = Vec::with_capacity(length + PIECE);
    file.read_to_end(&mut data)?;
    Ok(BtfFile::Read(data))
}
