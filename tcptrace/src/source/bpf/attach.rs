//! Attaching a kernel side. Only this module finds out what a kernel can do, by trying. Each kernel
//! side lists the configurations that fit the request, and the first that works is used.

use tcptrace_common::{Settings, TracepointOffsets};

use crate::{
    model::{request::HookChoice, stuck::look::Hook},
    source::{
        bpf::{tracepoint_format::Problem, types::TypeInfo},
        error::StartError,
    },
};

/// A configuration of a kernel side that may work here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Where the program for transitions attaches.
    pub hook: Hook,
    /// Whether programs use the helpers for a socket's cookie and for the typed task, which kernels
    /// before 5.12 refuse. With the classic tracepoint the programs do not use them.
    pub modern: bool,
    /// Whether the programs search for a wanted control group among the ancestors of a process's
    /// own group. Some kernels lack the helper for it; tracking then works with less.
    pub cgroup_helper: bool,
    /// How accepts are detected.
    pub accept: Accept,
}

/// A way to detect who accepts a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accept {
    /// The return of the kernel's function.
    Fexit,
    /// The return of the system calls.
    Syscall,
    /// None: a connection belongs to the process that listens.
    Listener,
}

/// What to do with a candidate after an earlier one has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Try it.
    Try,
    /// Skip it: it would fail the same way.
    Skip,
    /// Stop trying.
    End,
}

impl Accept {
    /// Its name, in reports and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fexit => "fexit",
            Self::Syscall => "syscall",
            Self::Listener => "listener",
        }
    }
}

impl Candidate {
    /// What the programs must know about the kernel; `layout` reads the layout of the classic
    /// tracepoint.
    ///
    /// # Errors
    /// When the layout cannot be read.
    pub fn settings(
        &self,
        types: Option<&TypeInfo>,
        layout: impl FnOnce() -> Result<TracepointOffsets, Problem>,
    ) -> Result<Settings, StartError> {
        let tracepoint = match self.hook {
            Hook::Btf => TracepointOffsets::default(),
            Hook::Tracepoint => layout()?,
        };
        Ok(Settings {
            has_cookie: u32::from(self.modern),
            has_task_type: u32::from(self.modern),
            tracepoint,
            ..types.map_or_else(Settings::default, |types| types.settings)
        })
    }

    /// Whether both load the same program for transitions.
    fn has_program_of(&self, other: &Self) -> bool {
        let accept = other.accept;
        Self { accept, ..*self } == *other
    }

    /// What to do with this candidate when the `earlier` one has failed with the `error`.
    fn after(&self, earlier: &Self, error: &StartError) -> Next {
        let same_hook = self.hook == earlier.hook;
        let same_program = self.has_program_of(earlier);
        match error {
            // No program may read kernel memory.
            StartError::Lockdown => Next::End,
            // The kernel may refuse the accept program because of other features of the candidate.
            // With the btf hook the next candidates use fewer of them; another hook makes no
            // difference.
            StartError::Accept { .. } if same_program => Next::Try,
            StartError::Accept { .. } if same_hook && self.hook == Hook::Btf => Next::Try,
            StartError::Accept { .. } => Next::End,
            StartError::Refused { .. } if same_program => Next::Skip,
            StartError::Refused { .. } => Next::Try,
            // The maps, the tracepoint's layout, or following processes: another candidate has the
            // same problem.
            _ if same_hook => Next::Skip,
            _ => Next::Try,
        }
    }
}

/// The hooks that fit the choice, the one that costs less first; the btf hook needs type
/// information.
#[must_use]
pub fn hooks(choice: HookChoice, has_types: bool) -> Vec<Hook> {
    let btf = choice != HookChoice::Tracepoint && has_types;
    let tracepoint = choice != HookChoice::Btf;
    let wanted = [(btf, Hook::Btf), (tracepoint, Hook::Tracepoint)];
    let wanted = wanted.into_iter().filter(|(wanted, _)| *wanted);
    wanted.map(|(_, hook)| hook).collect()
}

/// The values of [`Candidate::modern`] to try with a hook, in order.
#[must_use]
pub fn modern_first(hook: Hook) -> &'static [bool] {
    match hook {
        Hook::Btf => &[true, false],
        Hook::Tracepoint => &[false],
    }
}

/// Tries the candidates in order and returns the result of the first that works. `types` is the
/// kernel's type information, or the reason why there is none; without candidates this reason is
/// the error.
///
/// # Errors
/// The error of the candidate that was tried last.
pub fn first_that_works<Types, Attached>(
    choice: HookChoice,
    types: Result<Types, &String>,
    candidates: &[Candidate],
    mut attach: impl FnMut(&Candidate) -> Result<Attached, StartError>,
) -> Result<Attached, StartError> {
    // Why the btf hook is not used, if the request allows it.
    let mut btf_problem = match types {
        Err(reason) if choice != HookChoice::Tracepoint => Some(reason.clone()),
        _ => None,
    };
    let mut failed: Option<(&Candidate, StartError)> = None;
    for candidate in candidates {
        if let Some((earlier, error)) = &failed {
            match candidate.after(earlier, error) {
                Next::Try => {}
                Next::Skip => continue,
                Next::End => break,
            }
        }
        match attach(candidate) {
            Ok(attached) => return Ok(attached),
            Err(error) => {
                if candidate.hook == Hook::Btf {
                    btf_problem = Some(error.to_string());
                }
                failed = Some((candidate, error));
            }
        }
    }
    Err(match failed {
        Some((_, error)) => error.with_btf_problem(btf_problem),
        None => StartError::NoBtf {
            reason: btf_problem.unwrap_or_default(),
        },
    })
}
