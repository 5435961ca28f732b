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
    pub name: &'a str,
    /// What it is.
    pub kind: Kind,
    /// How many entries maps get; others get what the object says.
    pub sizes: &'a [(&'static str, u32)],
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
}

impl Single<'_> {
    /// Loads the program with these settings.
    ///
    /// # Errors
    /// When the kernel refuses a map or the program.
    pub fn load(&self, settings: &impl Pod) -> io::Result<Loaded> {
        let mut object = Object::parse(self.object).map_err(io::Error::other)?;
        object
            .patch_map_data([("SETTINGS", (bytes_of(settings), true))].into())
            .map_err(io::Error::other)?;
        let maps = self.create_maps(&object)?;
        let memory = self.map_memory(&object, &maps)?;
        let function = self.relocate(&mut object, &maps)?;
        let types = types_of_functions(&mut object)?;
        let (kind, iterates) = match self.kind {
            Kind::Iterator(id) => (BPF_PROG_TYPE_TRACING, Some(id)),
            Kind::RawTracepoint => (BPF_PROG_TYPE_RAW_TRACEPOINT, None),
        };
        let program = syscall::load_program(&NewProgram {
            kind,
            iterates,
            function: &function,
            types: types.as_fd(),
            license: &object.license,
        })?;
        Ok(Loaded {
            program,
            memory,
            _maps: maps.into_values().collect(),
        })
    }

    fn entries(&self, name: &str, map: &aya_obj::Map) -> u32 {
        let given = self.sizes.iter().find(|(known, _)| *known == name);
        given.map_or(map.max_entries(), |(_, entries)| *entries)
    }

    fn create_maps(&self, object: &Object) -> io::Result<HashMap<String, OwnedFd>> {
        let mut created = HashMap::new();
        for (name, map) in &object.maps {
            let fd = syscall::create_map(map, self.entries(name, map), map.map_flags())?;
            if map.section_kind() == EbpfSectionKind::Rodata {
                syscall::fill_and_freeze(fd.as_fd(), map.data())?;
            }
            created.insert(name.clone(), fd);
        }
        Ok(created)
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

    /// The program with the maps' descriptors and its functions put in.
    fn relocate(
        &self,
        object: &mut Object,
        maps: &HashMap<String, OwnedFd>,
    ) -> io::Result<Function> {
        let sections: HashSet<usize> = object
            .functions
            .keys()
            .map(|(section, _)| *section)
            .collect();
        let definitions = object.maps.clone();
        let known = definitions.iter().filter_map(|(name, map)| {
            let fd = maps.get(name)?;
            Some((name.as_str(), fd.as_raw_fd(), map))
        });
        object
            .relocate_maps(known, &sections)
            .map_err(io::Error::other)?;
        object.relocate_calls(&sections).map_err(io::Error::other)?;
        let found = object.programs.get(self.name);
        let function = found.and_then(|found| object.functions.get(&found.function_key()));
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
