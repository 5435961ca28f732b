//! `tcptrace stuck` on machines of all kinds, compared with ss and with its own fall-backs.

mod crowd;
mod empty;
mod live;
mod namespaces;
mod race;
mod start;

use anyhow::Result;

use crate::bench::{Plan, report::Section};

pub fn measure(plan: &Plan) -> Result<Section> {
    let mut section = Section::new("`tcptrace stuck` beside `ss`");
    section.say(
        "One look of `tcptrace stuck`, beside `ss` and beside the ways to find sockets that `tcptrace` falls back to \
         (`--walk files`, `--walk proc`), then live sessions. Times are from start to end of the process, in ms. All \
         take turns, each round beginning with another one; a ratio is the median of the ratios of the rounds.",
    );
    // First, while nothing else is there.
    empty::measure(plan, &mut section)?;
    start::measure(plan, &mut section)?;
    crowd::measure(plan, &mut section)?;
    namespaces::measure(plan, &mut section)?;
    live::measure(plan, &mut section)?;
    Ok(section)
}
