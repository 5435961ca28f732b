//! Compares the buckets that the running kernel computes with those of user space.

use anyhow::{Context as _, Result, ensure};
use aya::{
    EbpfLoader,
    programs::{RawTracePoint, RawTracePointRunOptions, TestRun as _},
};
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use tcptrace_common::Bucket;

use crate::harness::case::Cases;

static OBJECT: &[u8] = aya::include_bytes_aligned!("../../../src/source/bpf/tcptrace.bpf.o");

/// Adds the test.
pub fn add(cases: &mut Cases) {
    cases.add("hist_buckets_are_the_same_in_the_kernel", the_same);
}

fn the_same() -> Result<()> {
    let mut ebpf = EbpfLoader::new().load(OBJECT)?;
    let program = ebpf.program_mut("bucket_of").context("the program")?;
    let program: &mut RawTracePoint = program.try_into()?;
    program.load().context("cannot load the program")?;
    let compare = |ns: u64| -> Result<()> {
        let mut options = RawTracePointRunOptions::new();
        options.args[0] = ns;
        let result = program.test_run(options).context("cannot run it")?;
        let Bucket { decade, slot } = Bucket::of(ns);
        let [.., in_decade, in_slot] = result.return_value.to_be_bytes();
        ensure!(
            (in_decade, in_slot) == (decade, slot),
            "{ns} ns are in bucket {decade}/{slot}, but the kernel uses {in_decade}/{in_slot}"
        );
        Ok(())
    };
    // Every border, with the values on both sides of it.
    let first = Bucket { decade: 0, slot: 0 };
    let all = std::iter::successors(Some(first), |bucket| {
        Some(bucket.next()).filter(|next| next != bucket)
    });
    for bucket in all {
        compare(bucket.shortest_ns())?;
        compare(bucket.longest_ns())?;
    }
    let durations = (0u32..64, any::<u64>()).prop_map(|(shift, ns)| ns >> shift);
    let config = Config {
        failure_persistence: None, // it would look for a source file by name
        ..Config::default()
    };
    // A machine that has just started in an emulator may wait for random numbers forever.
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    runner.run(&durations, |ns| {
        compare(ns).map_err(|error| TestCaseError::fail(format!("{error:#}")))
    })?;
    Ok(())
}
