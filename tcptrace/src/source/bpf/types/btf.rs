//! The kernel's own type information (`/sys/kernel/btf/vmlinux`), asked for member offsets.
//!
//! aya parses all of it into owned types (tens of ms and of MiB) and keeps members private; btf-rs
//! is LGPL. This module only needs one pass that remembers where each type begins, and
//! [`Btf::slim`], which gives aya the few types that it asks for.
//!
//! Format: `Documentation/bpf/btf.rst`, `include/uapi/linux/btf.h`.

use bytes::{Buf, BufMut};

const MAGIC: u16 = 0xeb9f;
const HEADER_BYTES: usize = 24;
const TYPE_BYTES: usize = 12;
/// Types do not nest this deep; the limit ends a loop in broken data.
const MAX_DEPTH: u32 = 32;

/// An error in the type information.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BtfError {
    /// The data does not begin as BTF of this machine's byte order does.
    #[error("it does not begin with the magic number of BTF")]
    Magic,
    /// A length in it points past its end.
    #[error("it is truncated")]
    Truncated,
    /// A kind of type that this program does not know, so that its length is unknown.
    #[error("it contains a type of the unknown kind {0}")]
    Kind(u32),
}

/// Kinds of types, `BTF_KIND_…`.
mod kind {
    pub const INT: u32 = 1;
    pub const PTR: u32 = 2;
    pub const ARRAY: u32 = 3;
    pub const STRUCT: u32 = 4;
    pub const UNION: u32 = 5;
    pub const ENUM: u32 = 6;
    pub const FWD: u32 = 7;
    pub const TYPEDEF: u32 = 8;
    pub const VOLATILE: u32 = 9;
    pub const CONST: u32 = 10;
    pub const RESTRICT: u32 = 11;
    pub const FUNC: u32 = 12;
    pub const FUNC_PROTO: u32 = 13;
    pub const VAR: u32 = 14;
    pub const DATASEC: u32 = 15;
    // 16 is `FLOAT`.
    pub const DECL_TAG: u32 = 17;
    pub const TYPE_TAG: u32 = 18;
    pub const ENUM64: u32 = 19;
}

/// A borrowed view of BTF data.
pub struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Where in `types` each type begins; the type with id `n` is at index `n - 1`.
    starts: Vec<u32>,
    /// Where each struct begins.
    structs: Vec<u32>,
}

/// A struct of the kernel.
#[derive(Clone, Copy)]
pub struct Struct<'a> {
    btf: &'a Btf<'a>,
    ty: Type,
}

impl Struct<'_> {
    /// The member that `path` leads to: names joined by dots, where members of anonymous structs and
    /// unions belong to the struct around them, as in C.
    #[must_use]
    pub fn member(&self, path: &str) -> Option<Member> {
        self.btf.member_of(self.ty, path)
    }
}

/// A member of a struct.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Bytes from the start of the outermost struct.
    pub offset: u32,
    /// Its size in bytes; `None` for a bit field.
    pub bytes: Option<u32>,
}

#[derive(Clone, Copy)]
struct Type {
    start: usize,
    name: u32,
    info: u32,
    size_or_type: u32,
}

impl Type {
    fn kind(self) -> u32 {
        self.info >> 24 & 0x1f
    }
    fn count(self) -> usize {
        (self.info & 0xffff) as usize
    }
}

impl<'a> Btf<'a> {
    /// Finds the types in `data`.
    ///
    /// # Errors
    /// When `data` is not BTF, is cut off, or holds a kind of type that is newer than this program.
    pub fn parse(data: &'a [u8]) -> Result<Self, BtfError> {
        let mut header = data.get(..HEADER_BYTES).ok_or(BtfError::Truncated)?;
        if header.get_u16_ne() != MAGIC {
            return Err(BtfError::Magic);
        }
        header.advance(2);
        let body = header.get_u32_ne() as usize;
        let mut section = || {
            let (offset, length) = (header.get_u32_ne() as usize, header.get_u32_ne() as usize);
            let start = body.checked_add(offset)?;
            data.get(start..start.checked_add(length)?)
        };
        let types = section().ok_or(BtfError::Truncated)?;
        let strings = section().ok_or(BtfError::Truncated)?;
        let mut btf = Self {
            types,
            strings,
            starts: Vec::with_capacity(types.len() / 20),
            structs: Vec::with_capacity(types.len() / 250),
        };
        let mut start = 0;
        while let Some(info) = types.get(start + 4..start + 8) {
            let info = info.try_into().map_or(0, u32::from_ne_bytes);
            #[allow(clippy::cast_possible_truncation)] // the section's length is a u32
            btf.starts.push(start as u32);
            let kind = (info >> 24 & 0x1f) as usize;
            if kind == kind::STRUCT as usize {
                #[allow(clippy::cast_possible_truncation)] // as above
                btf.structs.push(start as u32);
            }
            let (fixed, of_each) = (FIXED_BYTES[kind], BYTES_OF_EACH[kind]);
            if fixed == UNKNOWN {
                return Err(BtfError::Kind(info >> 24 & 0x1f));
            }
            start +=
                TYPE_BYTES + usize::from(fixed) + usize::from(of_each) * (info & 0xffff) as usize;
        }
        if start == types.len() {
            Ok(btf)
        } else {
            Err(BtfError::Truncated)
        }
    }

    #[inline]
    fn read(&self, start: usize) -> Option<Type> {
        let bytes = self.types.get(start..start + TYPE_BYTES)?;
        let word = |at: usize| {
            let word = bytes[at..at + 4].try_into();
            word.map(u32::from_ne_bytes)
        };
        Some(Type {
            start,
            name: word(0).ok()?,
            info: word(4).ok()?,
            size_or_type: word(8).ok()?,
        })
    }

    fn by_id(&self, id: u32) -> Option<Type> {
        let index = (id as usize).checked_sub(1)?;
        self.read(*self.starts.get(index)? as usize)
    }

    fn name(&self, offset: u32) -> &'a [u8] {
        let rest = self.strings.get(offset as usize..).unwrap_or_default();
        rest.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    fn is_named(&self, offset: u32, name: &str) -> bool {
        self.strings
            .get(offset as usize..)
            .and_then(|rest| rest.strip_prefix(name.as_bytes()))
            .is_some_and(|rest| rest.first() == Some(&0))
    }

    fn types(&self) -> impl Iterator<Item = Type> + '_ {
        self.starts
            .iter()
            .filter_map(|start| self.read(*start as usize))
    }

    /// How many types there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.starts.len()
    }

    /// Whether the kernel has a struct of this name.
    #[must_use]
    pub fn has_struct(&self, name: &str) -> bool {
        self.structure(name).is_some()
    }

    /// How many parameters the kernel's function `name` takes.
    #[must_use]
    pub fn parameters(&self, name: &str) -> Option<usize> {
        let function = self
            .types()
            .find(|ty| ty.kind() == kind::FUNC && self.is_named(ty.name, name))?;
        let prototype = self.by_id(function.size_or_type)?;
        (prototype.kind() == kind::FUNC_PROTO).then(|| prototype.count())
    }

    /// The kernel's structs of these names.
    #[must_use]
    pub fn structures<const N: usize>(&self, names: [&str; N]) -> [Option<Struct<'_>>; N] {
        // Most structs are none of these, which their names' first bytes show.
        let mut may_be = [false; 1 << 16];
        for name in names {
            may_be[first_two(name.as_bytes())] = true;
        }
        let mut found = [None; N];
        for start in &self.structs {
            let Some(ty) = self.read(*start as usize) else {
                continue;
            };
            let name = self.strings.get(ty.name as usize..).unwrap_or_default();
            if may_be[first_two(name)]
                && let Some(index) = names.iter().position(|one| self.is_named(ty.name, one))
            {
                found[index].get_or_insert(Struct { btf: self, ty });
            }
        }
        found
    }

    /// The kernel's struct of this name.
    #[must_use]
    pub fn structure(&self, name: &str) -> Option<Struct<'_>> {
        let [found] = self.structures([name]);
        found
    }

    /// The id of the kernel's function of this name.
    #[must_use]
    pub fn function(&self, name: &str) -> Option<u32> {
        // Names are stored once, so it suffices to find it and to compare numbers.
        let offset = self.string(name)?;
        let is_meant = |start: &u32| {
            let at = *start as usize;
            self.types.get(at..at + 4) == Some(&offset.to_ne_bytes())
                && self.read(at).is_some_and(|ty| ty.kind() == kind::FUNC)
        };
        let index = self.starts.iter().position(is_meant)?;
        u32::try_from(index + 1).ok()
    }

    /// Where the string is among the strings.
    fn string(&self, text: &str) -> Option<u32> {
        let whole = [b"\0", text.as_bytes(), b"\0"].concat();
        let at = memchr::memmem::find(self.strings, &whole)?;
        u32::try_from(at + 1).ok()
    }

    fn member_of(&self, ty: Type, path: &str) -> Option<Member> {
        let mut at = ty;
        let mut offset: u32 = 0;
        let mut found = None;
        for step in path.split('.') {
            let (bits, width, ty) = self.find_member(at, step, 0)?;
            offset = bits.checked_add(offset)?;
            at = self.resolve(ty)?;
            found = Some(
                (width == 0 && bits % 8 == 0)
                    .then(|| self.size(at))
                    .flatten(),
            );
        }
        Some(Member {
            offset: offset / 8,
            bytes: found?,
        })
    }

    /// Bit offset, width in bits (0 unless it is a bit field) and type id of a member.
    fn find_member(&self, ty: Type, name: &str, depth: u32) -> Option<(u32, u32, u32)> {
        if depth > MAX_DEPTH || !matches!(ty.kind(), kind::STRUCT | kind::UNION) {
            return None;
        }
        // With the kind flag, the upper byte of a member's offset is a bit field's width.
        let has_widths = ty.info >> 31 == 1;
        let mut members = self.types.get(ty.start + TYPE_BYTES..)?;
        for _ in 0..ty.count() {
            let (member_name, id) = (
                members.try_get_u32_ne().ok()?,
                members.try_get_u32_ne().ok()?,
            );
            let raw = members.try_get_u32_ne().ok()?;
            let (bits, width) = if has_widths {
                (raw & 0x00ff_ffff, raw >> 24)
            } else {
                (raw, 0)
            };
            if self.is_named(member_name, name) {
                return Some((bits, width, id));
            }
            if self.name(member_name).is_empty()
                && let Some(inner) = self.resolve(id)
                && let Some((inner_bits, width, id)) = self.find_member(inner, name, depth + 1)
            {
                return Some((bits.checked_add(inner_bits)?, width, id));
            }
        }
        None
    }

    /// The type behind typedefs and qualifiers.
    fn resolve(&self, id: u32) -> Option<Type> {
        let mut ty = self.by_id(id)?;
        for _ in 0..MAX_DEPTH {
            match ty.kind() {
                kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG => {
                    ty = self.by_id(ty.size_or_type)?;
                }
                _ => return Some(ty),
            }
        }
        None
    }

    fn size(&self, ty: Type) -> Option<u32> {
        match ty.kind() {
            kind::PTR => Some(8),
            kind::INT | kind::STRUCT | kind::UNION | kind::ENUM | kind::ENUM64 => {
                Some(ty.size_or_type)
            }
            kind::ARRAY => {
                let mut array = self.types.get(ty.start + TYPE_BYTES..)?;
                let element = self.resolve(array.try_get_u32_ne().ok()?)?;
                array.try_get_u32_ne().ok()?;
                self.size(element)?
                    .checked_mul(array.try_get_u32_ne().ok()?)
            }
            _ => None,
        }
    }

    /// BTF in which the functions and typedefs named `names` keep their ids, and every other type,
    /// up to the last one wanted, is a nameless forward declaration. aya only asks for the ids of
    /// what a program attaches to.
    #[must_use]
    pub fn slim(&self, names: &[&str]) -> Vec<u8> {
        let wanted = |ty: &Type| {
            let kind = ty.kind();
            if kind != kind::FUNC && kind != kind::TYPEDEF {
                return None;
            }
            names.iter().find(|name| self.is_named(ty.name, name))
        };
        let last = self
            .types()
            .enumerate()
            .filter_map(|(index, ty)| wanted(&ty).map(|_| index + 1))
            .last()
            .unwrap_or(0);
        let mut strings = vec![0];
        let mut types = Vec::with_capacity(last * TYPE_BYTES);
        for ty in self.types().take(last) {
            let (name, info) = match wanted(&ty) {
                Some(name) => {
                    let offset = strings.len();
                    strings.extend_from_slice(name.as_bytes());
                    strings.push(0);
                    (offset, ty.info)
                }
                None => (0, kind::FWD << 24),
            };
            #[allow(clippy::cast_possible_truncation)] // a few short names
            types.put_u32_ne(name as u32);
            types.put_u32_ne(info);
            types.put_u32_ne(0);
        }
        let mut data = Vec::with_capacity(HEADER_BYTES + types.len() + strings.len());
        data.put_u16_ne(MAGIC);
        data.put_u8(1);
        data.put_u8(0);
        #[allow(clippy::cast_possible_truncation)] // no larger than the sections it came from
        for length in [HEADER_BYTES, 0, types.len(), types.len(), strings.len()] {
            data.put_u32_ne(length as u32);
        }
        data.extend_from_slice(&types);
        data.extend_from_slice(&strings);
        data
    }
}

/// The first two bytes of a name, with the NUL at its end.
fn first_two(name: &[u8]) -> usize {
    let byte = |at: usize| usize::from(name.get(at).copied().unwrap_or(0));
    byte(0) << 8 | byte(1)
}

/// Instead of a number of bytes: the kind is not known.
const UNKNOWN: u8 = u8::MAX;

/// For each kind: how many bytes follow the 12 common ones.
const FIXED_BYTES: [u8; 32] = {
    let mut bytes = [UNKNOWN; 32];
    let mut known = kind::INT;
    while known <= kind::ENUM64 {
        bytes[known as usize] = match known {
            kind::INT | kind::VAR | kind::DECL_TAG => 4,
            kind::ARRAY => 12,
            _ => 0,
        };
        known += 1;
    }
    bytes
};

/// For each kind: how many bytes follow these for each of its parts.
const BYTES_OF_EACH: [u8; 32] = {
    let mut bytes = [0; 32];
    bytes[kind::STRUCT as usize] = 12;
    bytes[kind::UNION as usize] = 12;
    bytes[kind::DATASEC as usize] = 12;
    bytes[kind::ENUM64 as usize] = 12;
    bytes[kind::ENUM as usize] = 8;
    bytes[kind::FUNC_PROTO as usize] = 8;
    bytes
};
