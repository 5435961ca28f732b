//! The measurements, one file each. Each produces a section of the report.

mod churn;
mod hist;
mod kernel_time;
mod log;
mod memory;
mod once;
mod start;

use anyhow::Result;

use super::{Plan, report::Section};

/// One thing to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Measurement {
    /// How much tracing slows down opening and closing connections
    Churn,
    /// Time in the kernel per transition
    Kernel,
    /// Whether a log of every transition keeps up, and its CPU time
    Log,
    /// Whether histograms are complete, and their CPU time in user space
    Hist,
    /// One look at many sockets and namespaces, compared with ss; live sessions with many stuck
    Once,
    /// Time from start of hist to counting
    Start,
    /// Memory of a live session
    Memory,
}

impl Measurement {
    /// All measurements, in their order.
    pub(super) const ALL: [Self; 7] = [
        Self::Churn,
        Self::Kernel,
        Self::Log,
        Self::Hist,
        Self::Once,
        Self::Start,
        Self::Memory,
    ];

    /// Runs the measurement.
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
