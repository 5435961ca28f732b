//! The system call bpf(2), for what aya has no function for or takes much longer.

use std::{
    ffi::CStr,
    io, mem,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use aya_obj::{
    Function,
    generated::{bpf_attach_type, bpf_attr, bpf_cmd, bpf_prog_type},
};

/// What the verifier says about a refused program: its end has the reason.
const LOG_BYTES: usize = 64 * 1024;

/// All zeros.
fn empty() -> bpf_attr {
    // SAFETY: all zeros is a value of this union of integers.
    unsafe { mem::zeroed() }
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}

/// A buffer's address, as the kernel takes it.
fn address<T>(buffer: *const T) -> u64 {
    buffer as u64
}

/// Makes the call.
///
/// # Safety
/// Pointers in `attr` must lead to live buffers of the sizes that go with them.
pub unsafe fn call(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<libc::c_long> {
    // SAFETY: the argument is as long as its type; the caller answers for the pointers in it.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command as libc::c_long,
            std::ptr::from_mut(attr),
            size_of::<bpf_attr>(),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

/// The same for a command that opens a descriptor.
///
/// # Safety
/// As [`call`]; and the command must be one that opens a descriptor.
unsafe fn open(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<OwnedFd> {
    // SAFETY: the caller answers for it.
    let fd = unsafe { call(command, attr) }?;
    let fd = fd.try_into().map_err(io::Error::other)?;
    // SAFETY: the kernel has just opened it for this process.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Creates a map.
///
/// # Errors
/// When the kernel refuses.
pub fn create_map(map: &aya_obj::Map, entries: u32, flags: u32) -> io::Result<OwnedFd> {
    let mut attr = empty();
    // SAFETY: the kernel takes this member for this command.
    let create = unsafe { &mut attr.__bindgen_anon_1 };
    create.map_type = map.map_type();
    create.key_size = map.key_size();
    create.value_size = map.value_size();
    create.max_entries = entries;
    create.map_flags = flags;
    // SAFETY: it has no pointers; the command opens a descriptor.
    unsafe { open(bpf_cmd::BPF_MAP_CREATE, &mut attr) }
}

/// Fills the only value of a map, and freezes it: then the verifier takes it for constant.
///
/// # Errors
/// When the kernel refuses.
pub fn fill_and_freeze(map: BorrowedFd<'_>, value: &[u8]) -> io::Result<()> {
    let key = 0u32;
    let mut attr = empty();
    // SAFETY: the kernel takes this member for this command.
    let update = unsafe { &mut attr.__bindgen_anon_2 };
    update.map_fd = number(map);
    update.key = address(&raw const key);
    update.__bindgen_anon_1.value = address(value.as_ptr());
    // SAFETY: the caller gives a value of the map's size.
    unsafe { call(bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut attr) }?;
    let mut attr = empty();
    // SAFETY: as above.
    unsafe { &mut attr.__bindgen_anon_2 }.map_fd = number(map);
    // SAFETY: it has no pointers.
    unsafe { call(bpf_cmd::BPF_MAP_FREEZE, &mut attr) }.map(drop)
}

/// Gives the kernel the types of a program's functions.
///
/// # Errors
/// When the kernel refuses.
pub fn load_types(data: &[u8]) -> io::Result<OwnedFd> {
    let mut attr = empty();
    // SAFETY: the kernel takes this member for this command.
    let load = unsafe { &mut attr.__bindgen_anon_7 };
    load.btf = address(data.as_ptr());
    load.btf_size = u32::try_from(data.len()).map_err(io::Error::other)?;
    // SAFETY: the buffer is that long; the command opens a descriptor.
    unsafe { open(bpf_cmd::BPF_BTF_LOAD, &mut attr) }
}

/// A program to be loaded.
pub struct NewProgram<'a> {
    /// Its kind.
    pub kind: bpf_prog_type,
    /// For an iterator: the kernel's function that stands for it.
    pub iterates: Option<u32>,
    /// Its instructions.
    pub function: &'a Function,
    /// The types of its functions.
    pub types: BorrowedFd<'a>,
    /// Its licence.
    pub license: &'a CStr,
}

/// Loads a program.
///
/// # Errors
/// When the kernel refuses; with what the verifier says about it.
pub fn load_program(program: &NewProgram<'_>) -> io::Result<OwnedFd> {
    load_with_log(program, &mut []).map_err(|error| {
        let mut log = vec![0; LOG_BYTES];
        match load_with_log(program, &mut log) {
            // It is not refused a second time: the first error is as good as any.
            Ok(_) => error,
            Err(error) => with_reason(&error, &log),
        }
    })
}

/// The error with the last lines of the verifier's log.
fn with_reason(error: &io::Error, log: &[u8]) -> io::Error {
    let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
    let text = String::from_utf8_lossy(&log[..end]);
    let mut lines: Vec<_> = text.lines().rev().take(3).collect();
    lines.reverse();
    if lines.is_empty() {
        io::Error::new(error.kind(), error.to_string())
    } else {
        io::Error::new(error.kind(), format!("{error}: {}", lines.join("; ")))
    }
}

fn load_with_log(program: &NewProgram<'_>, log: &mut [u8]) -> io::Result<OwnedFd> {
    let functions = program.function.func_info.func_info_bytes();
    let mut attr = empty();
    // SAFETY: the kernel takes this member for this command.
    let load = unsafe { &mut attr.__bindgen_anon_3 };
    load.prog_type = program.kind as u32;
    load.insns = address(program.function.instructions.as_ptr());
    load.insn_cnt = u32::try_from(program.function.instructions.len()).map_err(io::Error::other)?;
    load.license = address(program.license.as_ptr());
    load.prog_btf_fd = number(program.types);
    load.func_info = address(functions.as_ptr());
    // Not `num_info`, which counts those of all programs in the section.
    load.func_info_cnt =
        u32::try_from(program.function.func_info.func_info.len()).map_err(io::Error::other)?;
    load.func_info_rec_size =
        u32::try_from(program.function.func_info_rec_size).map_err(io::Error::other)?;
    if let Some(id) = program.iterates {
        load.expected_attach_type = bpf_attach_type::BPF_TRACE_ITER as u32;
        load.attach_btf_id = id;
    }
    if !log.is_empty() {
        load.log_level = 1;
        load.log_buf = address(log.as_mut_ptr());
        load.log_size = u32::try_from(log.len()).map_err(io::Error::other)?;
    }
    // SAFETY: the buffers live until the end of this function and have the sizes given with them;
    // the command opens a descriptor.
    unsafe { open(bpf_cmd::BPF_PROG_LOAD, &mut attr) }
}

/// Attaches an iterator.
///
/// # Errors
/// When the kernel refuses.
pub fn link_iterator(program: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut attr = empty();
    // SAFETY: the kernel takes this member for this command.
    let create = unsafe { &mut attr.link_create };
    create.__bindgen_anon_1.prog_fd = number(program);
    create.attach_type = bpf_attach_type::BPF_TRACE_ITER as u32;
    // SAFETY: it has no pointers; the command opens a descriptor.
    unsafe { open(bpf_cmd::BPF_LINK_CREATE, &mut attr) }
}

/// One run of an iterator: reading the descriptor to its end makes it run.
///
/// # Errors
/// When the kernel refuses.
pub fn open_iterator(link: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut attr = empty();
    // SAFETY: the kernel takes this member for this command.
    unsafe { &mut attr.iter_create }.link_fd = number(link);
    // SAFETY: as above.
    unsafe { open(bpf_cmd::BPF_ITER_CREATE, &mut attr) }
}

/// Runs a raw tracepoint's program once with these arguments, without attaching it (5.10); gives its
/// result.
///
/// # Errors
/// When the kernel refuses.
pub fn run_once(program: BorrowedFd<'_>, arguments: &[u64]) -> io::Result<u32> {
    let mut attr = empty();
    // SAFETY: the kernel takes this member for this command.
    let test = unsafe { &mut attr.test };
    test.prog_fd = number(program);
    test.ctx_in = address(arguments.as_ptr());
    test.ctx_size_in = u32::try_from(size_of_val(arguments)).map_err(io::Error::other)?;
    // SAFETY: the buffer is that long, and the kernel only reads it.
    unsafe { call(bpf_cmd::BPF_PROG_TEST_RUN, &mut attr) }?;
    // SAFETY: the kernel has filled in the same member.
    Ok(unsafe { attr.test }.retval)
}
