//! The one file of a log (`-o`). Its folder may be anybody's, such as a home or `/tmp`.

use std::{
    ffi::OsString,
    fs::{File, Metadata},
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{FileTypeExt as _, MetadataExt as _},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, fcntl_setfl, fstat, open, openat, statat},
    io::Errno,
    process::geteuid,
};

use crate::sink::open::{APPEND, create, kind, lock, names, refusal, refused};

/// Where the file is: its folder, opened once, and its name in it.
#[derive(Debug)]
pub struct Output {
    folder: OwnedFd,
    name: OsString,
}

/// What was opened.
#[derive(Debug)]
pub enum Opened {
    /// A regular file, locked.
    File(File),
    /// A device, or a FIFO that has a reader.
    Stream(File),
}

impl Output {
    /// Opens the folder of the file.
    ///
    /// # Errors
    /// When there is no such folder.
    pub fn new(path: &Path) -> io::Result<Self> {
        let name = path.file_name();
        let name = name.ok_or_else(|| refused("it is no name of a file"))?;
        let parent = path.parent().filter(|parent| *parent != Path::new(""));
        let parent = parent.map_or_else(|| PathBuf::from("."), Path::to_owned);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self {
            folder: open(&parent, flags, Mode::empty())?,
            name: name.to_owned(),
        })
    }

    /// Opens the file, or makes it; what is in it stays. `None`: it is a FIFO that nobody reads yet.
    ///
    /// # Errors
    /// When it is a link, or not what a log may be written to.
    pub fn open(&self) -> io::Result<Option<Opened>> {
        loop {
            // Looked at before it is opened: opening a device may do something.
            let status = statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW);
            let file = match status {
                Ok(_) => match self.existing()? {
                    Some(file) => file,
                    None => return Ok(None),
                },
                Err(Errno::NOENT) => match create(&self.folder, &self.name) {
                    Ok(file) => Opened::File(file),
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                    Err(error) => return Err(error),
                },
                Err(error) => return Err(error.into()),
            };
            if let Opened::File(file) = &file {
                lock(file)?;
            }
            return Ok(Some(file));
        }
    }

    /// Opens what is there.
    fn existing(&self) -> io::Result<Option<Opened>> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let found = File::from(openat(&self.folder, &self.name, flags, Mode::empty())?);
        let status = found.metadata()?;
        let is_stream = self.takes(&status)?;
        let flags = match is_stream {
            true => APPEND.difference(OFlags::RDWR) | OFlags::WRONLY,
            false => APPEND,
        };
        let file = match openat(&self.folder, &self.name, flags, Mode::empty()) {
            Err(Errno::NXIO) if status.file_type().is_fifo() => return Ok(None),
            file => File::from(file?),
        };
        let now = file.metadata()?;
        if (now.dev(), now.ino()) != (status.dev(), status.ino()) {
            return Err(refused("it was replaced while tcptrace opened it"));
        }
        if !is_stream {
            return Ok(Some(Opened::File(file)));
        }
        // From now on a slow reader is waited for.
        fcntl_setfl(&file, OFlags::APPEND)?;
        Ok(Some(Opened::Stream(file)))
    }

    /// Whether it is a stream, if it may be written to.
    fn takes(&self, status: &Metadata) -> io::Result<bool> {
        let kind_of = status.file_type();
        if kind_of.is_file() {
            return match refusal(status) {
                Some(why) => Err(refused(why)),
                None => Ok(false),
            };
        }
        if kind_of.is_char_device() || (kind_of.is_fifo() && !self.is_planted(status)?) {
            return Ok(true);
        }
        let more = match () {
            () if kind_of.is_fifo() => " of somebody else, in a folder that others can write to",
            () if kind_of.is_symlink() => ", which tcptrace does not follow",
            () if kind_of.is_dir() => "; for a file for each process, use --dir",
            () => "",
        };
        Err(refused(format!("it is {}{more}", kind(status))))
    }

    /// Whether somebody who does not own the folder may have put it there: the kernel's rule of
    /// `fs.protected_fifos`.
    fn is_planted(&self, status: &Metadata) -> io::Result<bool> {
        let folder = fstat(&self.folder)?;
        let is_shared = folder.st_mode & 0o022 != 0;
        Ok(is_shared && status.uid() != geteuid().as_raw() && status.uid() != folder.st_uid)
    }

    /// Whether the name still means this file.
    pub fn names(&self, file: &File) -> bool {
        names(&self.folder, &self.name, file)
    }
}
