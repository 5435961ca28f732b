//! Compares what the doctor says about this machine with what the tool does on it.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{
    harness::{case::Cases, place::Place},
    run::tool::Tool,
};

pub fn add(cases: &mut Cases) {
    cases.add_in(
        &[Place::AsIs, Place::NoBtf],
        "doctor_agrees_with_stuck",
        agrees,
    );
}

fn status(findings: &[Value], name: &str) -> Result<String> {
    let found = findings.iter().find(|finding| finding["name"] == name);
    let finding = found.with_context(|| format!("no finding {name}"))?;
    Ok(finding["status"].as_str().context("no status")?.to_owned())
}

/// `stuck -v` uses the hook and the way to find holders that the doctor reports as ok.
fn agrees(place: Place) -> Result<()> {
    let outcome = Tool::start(place, &["doctor", "--json"])?
        .wait()?
        .success()?;
    let report: Value = serde_json::from_str(&outcome.stdout)?;
    ensure!(report["schema"] == "tcptrace.doctor/1", "{report}");
    ensure!(report["works"] == true, "{report}");
    let findings = report["findings"].as_array().context("no findings")?;
    let hook = if status(findings, "hook btf")? == "ok" {
        "tp_btf"
    } else {
        "classic tracepoint"
    };
    let holders = if status(findings, "iterator walk_tasks").is_ok_and(|s| s == "ok") {
        "walk_tasks"
    } else if status(findings, "iterator walk_files").is_ok_and(|s| s == "ok") {
        "walk_files"
    } else {
        "/proc"
    };
    let told = Tool::start(
        place,
        &[
            "stuck",
            "--duration",
            "100ms",
            "--json",
            "-v",
            "--older-than",
            "1h",
        ],
    )?;
    let told = told.wait()?.success()?.stderr;
    ensure!(
        told.contains(hook) && told.contains(holders),
        "the doctor: {hook}, {holders}; stuck: {told}"
    );
    let mut findings_of_it = findings.iter();
    let confinement = findings_of_it.find(|finding| finding["name"] == "confinement");
    let confinement = confinement.context("no finding confinement")?.to_string();
    ensure!(
        confinement.contains("seccomp holds") == told.contains("seccomp holds"),
        "the doctor: {confinement}; stuck: {told}"
    );
    if place == Place::NoBtf {
        ensure!(
            status(findings, "type information")? == "degraded",
            "{report}"
        );
        ensure!(status(findings, "hook btf")? == "degraded", "{report}");
    }
    Ok(())
}
