//! The measurements, one file each: each makes a section of the report.

mod churn;
mod hist;
mod kernel_time;
mod log;
mod memory;
mod once;
mod start;

use super::{Plan, report::Section};
use anyhow::Result;

/// One thing to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Measurement {
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

impl Measurement {
    /// In the order that they are taken in.
    pub(super) const ALL: [Self; 7] = [
        Self::Churn,
        Self::Kernel,
        Self::Log,
        Self::Hist,
        Self::Once,
        Self::Start,
        Self::Memory,
    ];

    /// Takes it.
    pub(super) fn take(self, plan: &Plan) -> Result<Section> {
        match self {
            Self::Churn => churn::measure(plan),
            Self::Kernel => kernel_time::measure(plan),
            Self::Log => log::measure(plan),
            Self::Hist => hist::measure(plan),
            Self::Once => once::measure(plan),
            Self::Start => start::measure(plan),
            Self::Memory => memory::measure(plan),
        }
    }
}
