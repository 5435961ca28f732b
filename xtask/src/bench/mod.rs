//! Benchmarks: what tcptrace costs the machine, and how fast it answers.
//!
//! Other things go on on any machine, and what they take changes from second to second. So nothing is measured
//! alone: whatever is compared takes turns, each turn gives one ratio, and the median of the ratios is the result,
//! with the quartiles to tell how sure it is. Before each turn a quiet moment is waited for.

mod background;
mod churn;
mod cpu_time;
mod crowd;
mod hist;
mod kernel_time;
mod log;
mod machine;
mod memory;
mod once;
mod programs;
mod quiet;
mod report;
mod session;
mod start;
mod stats;
mod subject;
mod summary;
mod track;

use crate::{interrupt, workspace::Workspace};
use anyhow::{Context, Result};
use quiet::Patience;
use report::Section;
use std::{path::PathBuf, time::Duration};

/// One thing to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// How much slower connections come and go while it watches
    Churn,
    /// Time in the kernel for a transition
    Kernel,
    /// Whether a log of every transition keeps up, and what it takes
    Log,
    /// Whether histograms miss nothing, and what user space takes for them
    Hist,
    /// One look beside many other sockets, against ss
    Once,
    /// From start to first report
    Start,
    /// Memory of a live session
    Memory,
}

impl Part {
    const ALL: [Self; 7] = [
        Self::Churn,
        Self::Kernel,
        Self::Log,
        Self::Hist,
        Self::Once,
        Self::Start,
        Self::Memory,
    ];
}

/// What to measure.
#[derive(Debug)]
pub struct Plan {
    parts: Vec<Part>,
    /// Whether fewer and shorter turns are enough.
    quick: bool,
    /// The tcptrace.
    program: PathBuf,
    patience: Patience,
}

/// How long all turns together may wait for a quiet moment.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

impl Plan {
    /// To measure these parts (all when there are none) of `program`.
    pub fn new(parts: Vec<Part>, quick: bool, program: PathBuf) -> Self {
        let patience = if quick { Duration::ZERO } else { PATIENCE };
        Self {
            parts,
            quick,
            program,
            patience: Patience::new(patience),
        }
    }

    /// How many turns: `full`, or a few.
    fn rounds(&self, full: usize) -> usize {
        if self.quick { full.min(3) } else { full }
    }
}

/// Measures, prints a table for each part, and writes them all down when nothing was left out.
pub fn run(workspace: &Workspace, plan: &Plan) -> Result<()> {
    let parts = if plan.parts.is_empty() {
        Part::ALL.to_vec()
    } else {
        plan.parts.clone()
    };
    // So that namespaces and files are gone in the end, too, when it is interrupted.
    interrupt::watch();
    let mut machine = machine::Machine::look()?;
    let mut sections = Vec::new();
    for part in Part::ALL.into_iter().filter(|part| parts.contains(part)) {
        eprintln!("== {part:?}");
        let section = match part {
            Part::Churn => churn::measure(plan),
            Part::Kernel => kernel_time::measure(plan),
            Part::Log => log::measure(plan),
            Part::Hist => hist::measure(plan),
            Part::Once => once::measure(plan),
            Part::Start => start::measure(plan),
            Part::Memory => memory::measure(plan),
        };
        let section: Section = section.with_context(|| format!("cannot measure {part:?}"))?;
        println!("\n{}", section.text());
        sections.push(section);
    }
    machine.finish()?;
    println!("{}", report::figures(&sections));
    let path = workspace.root().join("docs/performance.md");
    if plan.quick || sections.len() < Part::ALL.len() {
        eprintln!(
            "{} is not touched: only a full run is written down",
            path.display()
        );
        return Ok(());
    }
    report::write(&path, &machine, &sections)?;
    eprintln!("{} is written", path.display());
    Ok(())
}
