//! Benchmarks: how much tcptrace costs the machine, and how fast it answers.
//!
//! Every machine also runs other programs, and their load changes from second to second. So nothing is measured alone:
//! the compared subjects take turns, each turn gives one ratio, and the median of the ratios is the result, with the
//! quartiles as a measure of its certainty. Each turn waits for a quiet moment first.

mod gauge;
mod load;
mod measurement;
mod report;
mod subject;

pub use measurement::Measurement;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use gauge::{machine::Machine, quiet::Patience};

use crate::{interrupt, workspace::Workspace};

/// What to measure.
#[derive(Debug)]
pub struct Plan {
    measurements: Vec<Measurement>,
    /// Whether to run fewer and shorter turns.
    quick: bool,
    /// The tcptrace to measure.
    program: PathBuf,
    patience: Patience,
}

/// How long all turns together may wait for a quiet moment.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

impl Plan {
    /// A plan for these measurements (all if there are none) of `program`.
    pub fn new(measurements: Vec<Measurement>, quick: bool, program: PathBuf) -> Self {
        let patience = if quick { Duration::ZERO } else { PATIENCE };
        Self {
            measurements,
            quick,
            program,
            patience: Patience::new(patience),
        }
    }

    /// The number of turns: `full`, or a few.
    fn rounds(&self, full: usize) -> usize {
        if self.quick { full.min(3) } else { full }
    }

    /// How much load to make.
    fn size(&self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }
}

/// Measures, prints a table for each measurement, and writes the results into the document if nothing was left out.
pub fn run(workspace: &Workspace, plan: &Plan) -> Result<()> {
    let wanted = |measurement: &Measurement| {
        plan.measurements.is_empty() || plan.measurements.contains(measurement)
    };
    // So that namespaces and files are also removed when the program is interrupted.
    interrupt::watch();
    let mut machine = Machine::look()?;
    let mut sections = Vec::new();
    for measurement in Measurement::ALL.into_iter().filter(wanted) {
        eprintln!("== {measurement:?}");
        let section = measurement
            .take(plan)
            .with_context(|| format!("cannot measure {measurement:?}"))?;
        println!("\n{}", section.text());
        sections.push(section);
    }
    machine.finish()?;
    println!("{}", report::figures(&sections));
    let path = workspace.root().join("docs/performance.md");
    if plan.quick || sections.len() < Measurement::ALL.len() {
        eprintln!("{} is unchanged: only a full run writes it", path.display());
        return Ok(());
    }
    report::write(&path, &machine, &sections)?;
    eprintln!("wrote {}", path.display());
    Ok(())
}
