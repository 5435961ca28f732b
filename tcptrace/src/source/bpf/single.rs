//! Loading one program of an object with as little as it takes: its maps, its functions' types and
//! itself.
//!
//! aya would probe the kernel's features and parse its type information first, which takes several
//! times as long as all of this.

use std::{
    collections::{HashMap, HashSet},
    io,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
};

use aya::Pod;
use aya_obj::{
    EbpfSectionKind, Function, Object,
    btf::BtfFeatures,
    generated::bpf_prog_type::{BPF_PROG_TYPE_RAW_TRACEPOINT, BPF_PROG_TYPE_TRACING},
};

use crate::source::bpf::{
    mapping::Mapping,
    syscall::{self, NewProgram},
};

/// What a program is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An iterator; the id of the kernel's function that stands for what it iterates over.
    Iterator(u32),
    /// A raw tracepoint's program, to be run without attaching it.
    RawTracepoint,
}

/// A program to be loaded.
pub struct Single<'a> {
    /// The object that it is in.
    pub object: &'a [u8],
    /// Its name.
    pub name: &'static str,
    /// How many entries maps get; others get what the object says.
    pub sizes: Vec<(&'static str, u32)>,
    /// Maps whose memory this process shares.
    pub shared: &'a [&'static str],
}

/// A loaded program with its maps.
pub struct Loaded {
    /// The program.
    pub program: OwnedFd,
    /// The memory of the shared maps, by name.
    memory: HashMap<&'static str, Mapping>,
    /// Maps that only the program uses live as long as it does.
    _maps: Vec<OwnedFd>,
}

impl Loaded {
    /// The memory of the shared map with this name.
    ///
    /// # Errors
    /// When it is not one of them.
    pub fn memory(&mut self, name: &str) -> io::Result<&mut Mapping> {
        (self.memory.get_mut(name)).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Takes the memory of that map out: it may be read while other maps are written.
    ///
    /// # Errors
    /// As [`Self::memory`].
    pub fn take_memory(&mut self, name: &str) -> io::Result<Mapping> {
        (self.memory.remove(name)).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// An object with its maps, before the settings are known.
pub struct Prepared<'a> {
    single: Single<'a>,
    object: Object,
    maps: HashMap<String, OwnedFd>,
    memory: HashMap<&'static str, Mapping>,
}

impl<'a> Single<'a> {
    /// Reads the object and creates its maps.
    ///
    /// # Errors
    /// When the kernel refuses a map.
    pub fn prepare(self) -> io::Result<Prepared<'a>> {
        let object = Object::parse(self.object).map_err(io::Error::other)?;
        let mut maps = HashMap::new();
        for (name, map) in &object.maps {
            if map.section_kind() != EbpfSectionKind::Rodata {
                maps.insert(name.clone(), self.create_map(name, map)?);
            }
        }
        let memory = self.map_memory(&object, &maps)?;
        Ok(Prepared {
            single: self,
            object,
            maps,
            memory,
        })
    }

    fn entries(&self, name: &str, map: &aya_obj::Map) -> u32 {
        let given = self.sizes.iter().find(|(known, _)| *known == name);
        given.map_or(map.max_entries(), |(_, entries)| *entries)
    }

    fn create_map(&self, name: &str, map: &aya_obj::Map) -> io::Result<OwnedFd> {
        syscall::create_map(map, self.entries(name, map), map.map_flags())
    }

    fn map_memory(
        &self,
        object: &Object,
        maps: &HashMap<String, OwnedFd>,
    ) -> io::Result<HashMap<&'static str, Mapping>> {
        let mut memory = HashMap::new();
        for name in self.shared {
            let (Some(map), Some(fd)) = (object.maps.get(*name), maps.get(*name)) else {
                return Err(io::ErrorKind::NotFound.into());
            };
            let length = map.value_size() as usize * self.entries(name, map) as usize;
            memory.insert(*name, Mapping::shared(fd, length)?);
        }
        Ok(memory)
    }
}

impl Prepared<'_> {
    /// Loads the program with these settings.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub fn load(mut self, kind: Kind, settings: &impl Pod) -> io::Result<Loaded> {
        self.object
            .patch_map_data([("SETTINGS", (bytes_of(settings), true))].into())
            .map_err(io::Error::other)?;
        for (name, map) in &self.object.maps {
            if map.section_kind() == EbpfSectionKind::Rodata {
                let fd = self.single.create_map(name, map)?;
                syscall::fill_and_freeze(fd.as_fd(), map.data())?;
                self.maps.insert(name.clone(), fd);
            }
        }
        let function = self.relocate()?;
        let types = types_of_functions(&mut self.object)?;
        let (kind, iterates) = match kind {
            Kind::Iterator(id) => (BPF_PROG_TYPE_TRACING, Some(id)),
            Kind::RawTracepoint => (BPF_PROG_TYPE_RAW_TRACEPOINT, None),
        };
        let program = syscall::load_program(&NewProgram {
            kind,
            iterates,
            function: &function,
            types: types.as_fd(),
            license: &self.object.license,
        })?;
        Ok(Loaded {
            program,
            memory: self.memory,
            _maps: self.maps.into_values().collect(),
        })
    }

    /// The program with the maps' descriptors and its functions put in.
    fn relocate(&mut self) -> io::Result<Function> {
        let functions = self.object.functions.keys();
        let sections: HashSet<usize> = functions.map(|(section, _)| *section).collect();
        let definitions = self.object.maps.clone();
        let known = definitions.iter().filter_map(|(name, map)| {
            let fd = self.maps.get(name)?;
            Some((name.as_str(), fd.as_raw_fd(), map))
        });
        self.object
            .relocate_maps(known, &sections)
            .map_err(io::Error::other)?;
        self.object
            .relocate_calls(&sections)
            .map_err(io::Error::other)?;
        let found = self.object.programs.get(self.single.name);
        let function = found.and_then(|found| self.object.functions.get(&found.function_key()));
        function
            .cloned()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn bytes_of<T: Pod>(value: &T) -> &[u8] {
    // SAFETY: plain data, as its `Pod` says.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }
}

/// The types of the object's functions, without what a kernel might not know: the kernel wants them
/// of a program with a callback.
fn types_of_functions(object: &mut Object) -> io::Result<OwnedFd> {
    let features = BtfFeatures::new(true, true, true, true, false, false, false, false);
    let types = object
        .fixup_and_sanitize_btf(&features)
        .map_err(io::Error::other)?;
    let types = types.ok_or(io::ErrorKind::NotFound)?;
    syscall::load_types(&types.to_bytes())
}
