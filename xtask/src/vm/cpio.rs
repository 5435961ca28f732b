//! Writing an initramfs: a cpio archive of the kind "newc", as the kernel's documentation
//! (driver-api/early-userspace/buffer-format) describes it.
//!
//! Written here and not by `cpio`, because a device node in it would need root first in a folder.

use std::io::{self, Write};

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const CHARACTER_DEVICE: u32 = 0o020_600;

/// An archive being written.
pub struct Archive<W> {
    to: W,
    entries: u32,
}

impl<W: Write> Archive<W> {
    /// An empty archive.
    pub fn new(to: W) -> Self {
        Self { to, entries: 0 }
    }

    /// A folder. It must come before what is in it.
    pub fn directory(&mut self, path: &str) -> io::Result<()> {
        self.entry(path, DIRECTORY, (0, 0), &[])
    }

    /// A file that root may run.
    pub fn file(&mut self, path: &str, content: &[u8]) -> io::Result<()> {
        self.entry(path, PROGRAM, (0, 0), content)
    }

    /// A character device.
    pub fn device(&mut self, path: &str, major: u32, minor: u32) -> io::Result<()> {
        self.entry(path, CHARACTER_DEVICE, (major, minor), &[])
    }

    /// Ends the archive.
    pub fn finish(mut self) -> io::Result<W> {
        self.entry("TRAILER!!!", 0, (0, 0), &[])?;
        self.to.flush()?;
        Ok(self.to)
    }

    fn entry(
        &mut self,
        path: &str,
        mode: u32,
        device: (u32, u32),
        content: &[u8],
    ) -> io::Result<()> {
        let name = path.trim_start_matches('/');
        let size = u32::try_from(content.len())
            .map_err(|_| io::Error::other(format!("{path} is too large")))?;
        // Inode numbers of their own, or the kernel takes entries for hard links of one another.
        self.entries += 1;
        let name_size = u32::try_from(name.len() + 1).map_err(io::Error::other)?;
        let (major, minor) = device;
        // Inode, mode, owner, group, links, time, size, the file system's device, this device, name, checksum.
        let fields = [
            self.entries,
            mode,
            0,
            0,
            1,
            0,
            size,
            0,
            0,
            major,
            minor,
            name_size,
            0,
        ];
        let mut header = String::from("070701");
        for field in fields {
            header.push_str(&format!("{field:08X}"));
        }
        header.push_str(name);
        header.push('\0');
        self.padded(header.as_bytes())?;
        self.padded(content)
    }

    fn padded(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.to.write_all(bytes)?;
        self.to
            .write_all(&[0; 3][..bytes.len().next_multiple_of(4) - bytes.len()])
    }
}

#[cfg(test)]
mod tests {
    use super::Archive;

    #[test]
    fn an_archive_is_what_the_kernel_expects() {
        let mut archive = Archive::new(Vec::new());
        archive.directory("/bin").expect("memory takes it");
        archive.file("/bin/a", b"hello").expect("memory takes it");
        archive
            .device("/dev/console", 5, 1)
            .expect("memory takes it");
        let bytes = archive.finish().expect("memory takes it");
        assert_eq!(bytes.len() % 4, 0);
        let field =
            |entry: usize, index: usize| &bytes[entry + 6 + 8 * index..entry + 14 + 8 * index];

        assert_eq!(&bytes[..6], b"070701");
        assert_eq!(field(0, 1), b"000041ED");
        assert_eq!(&bytes[110..114], b"bin\0");

        // Header and name are padded together.
        let file = 116;
        assert_eq!(field(file, 0), b"00000002");
        assert_eq!(field(file, 1), b"000081ED");
        assert_eq!(field(file, 6), b"00000005");
        assert_eq!(&bytes[file + 110..file + 116], b"bin/a\0");
        assert_eq!(&bytes[file + 116..file + 124], b"hello\0\0\0");

        let device = file + 124;
        assert_eq!(field(device, 1), b"00002180");
        assert_eq!(
            (field(device, 9), field(device, 10)),
            (&b"00000005"[..], &b"00000001"[..])
        );
        assert!(bytes.windows(11).any(|window| window == b"TRAILER!!!\0"));
    }
}
