//! The same in words (`--explain`).

use anyhow::{Context, Result, ensure};

use super::stories::Story;
use crate::{
    harness::{case::Cases, place::Place},
    run::tool::{Outcome, Tool},
};

pub fn add(cases: &mut Cases) {
    cases.add("cause_explained", explained).here();
}

fn run(story: &Story, explain: &str) -> Result<Outcome> {
    let netns = story.stage.netns().inode().to_string();
    let words = ["stuck", "--once", "--older-than", "0s", "--netns", &netns];
    let words = words.into_iter().chain([explain]);
    Tool::start(Place::AsIs, &words.collect::<Vec<_>>())?.wait()
}

/// The block of the group with this number.
fn block(text: &str, number: usize) -> Option<&str> {
    let from = text.find(&format!("\n{number}. "))? + 1;
    let block = &text[from..];
    Some(block.split_once("\n\n").map_or(block, |(block, _)| block))
}

/// Each group has its cause, what speaks for it, what to do, and what would tell more; or only one is shown.
fn explained() -> Result<()> {
    let story = Story::told()?;
    let text = run(&story, "--explain")?.success()?.stdout;
    let server = format!("leaky-server[{}]", story.stage.server.pid());
    let to = format!("{server}: 20 sockets to {}", story.upstream.listener.local);
    let has = |number, wanted: &[&str]| -> Result<()> {
        let block = block(&text, number).with_context(|| format!("no {number}.:\n{text}"))?;
        for one in wanted {
            ensure!(block.contains(one), "no {one:?} in {number}.:\n{text}");
        }
        Ok(())
    };
    has(
        1,
        &[
            &to,
            "\n  leak         unknown: the oldest has been there for",
            "\n  cause        leased: ",
            "\n  evidence     - Recv-Q 0 on 10, 1 on 10: nobody looked since",
            "- the FIN came ",
            "\n  keepalive    off on 20 of 20",
            "\n  descriptors  ",
            "\n  remedy       close, consume or abort the response on every status",
            "\n  would tell   - ",
        ],
    )?;
    has(
        2,
        &[
            &format!("{server}: 50 sockets on :"),
            "\n  cause        starved: ",
            &format!("\n  follows      from {server} to "),
            "- not one byte was read on 50 of 50",
            "\n  remedy       mend what it follows from",
            "\n  would tell   - ",
        ],
    )?;
    ensure!(block(&text, 3).is_none(), "a third one:\n{text}");
    let first = run(&story, "--explain=1")?.success()?.stdout;
    ensure!(
        block(&first, 1).is_some_and(|block| block.contains("leased: ")),
        "not the first:\n{first}"
    );
    ensure!(block(&first, 2).is_none(), "not only the first:\n{first}");
    let none = run(&story, "--explain=9")?;
    ensure!(none.code()? == 2, "{none:?}");
    ensure!(
        none.stderr.contains("there is no group 9: there are 2"),
        "{none:?}"
    );
    Ok(())
}
