use proptest::prelude::*;

use super::*;
use crate::{
    model::{caveat::Caveat, finding::explain},
    view::doctor::fixture,
};

fn at(width: Option<usize>) -> Page {
    Page::UNLIMITED.with_width(width)
}

fn shown(findings: &[Finding], all: bool, page: Page) -> String {
    let text = lines(findings, all, page).join("\n");
    anstream::adapter::strip_str(&text).to_string()
}

/// A usual machine: three things are limited, one of them by a part of it.
fn limited() -> Vec<Finding> {
    vec![
        Finding::ok("kernel", "Linux 6.18.44 on x86_64"),
        Finding::ok("capabilities", "all present"),
        Finding::ok("type information", "/sys/kernel/btf/vmlinux"),
        Finding::degraded("tracefs", "not mounted: --hook tracepoint cannot be used")
            .advice("mount -t tracefs tracefs /sys/kernel/tracing"),
        Finding::ok("hook btf", "loads and attaches"),
        Finding::ok("iterator walk_tasks", "loads and attaches").part_of("holders"),
        Finding::ok("holders", "found by walk_tasks"),
        Finding::degraded("accept by fexit", "Operation not permitted (os error 1)")
            .part_of("accept")
            .advice("nothing, where no server accepts by io_uring"),
        Finding::ok("accept", "detected by syscall, except accepts by io_uring"),
        Finding::ok("map size", "the default number of sockets fits"),
        Finding {
            caveat: Some(Caveat::UnreadableProcesses(vec![1])),
            ..Finding::degraded("namespaces", "5 seen").advice("run tcptrace as root")
        },
        Finding::ok("control groups", "≥ 3 of 9 groups"),
    ]
}

/// Without privileges: what follows from that is not counted again.
fn unprivileged() -> Vec<Finding> {
    let mut findings = vec![
        Finding::ok("kernel", "Linux 6.18.44 on x86_64"),
        Finding::missing("capabilities", "CAP_BPF, CAP_PERFMON missing")
            .advice("run as root: sudo tcptrace doctor"),
        Finding::degraded("limits", "32 open files").advice("ulimit -n 1024"),
    ];
    for name in [
        "hook btf",
        "hook tracepoint",
        "iterator walk_tasks",
        "map size",
    ] {
        findings.push(Finding::missing(name, "Operation not permitted"));
    }
    explain(&mut findings);
    findings
}

#[test]
fn the_verdict_comes_first_then_what_is_limited() {
    for width in [Some(60), Some(80), Some(120), Some(200), None] {
        let name = width.map_or_else(|| "pipe".to_owned(), |width| width.to_string());
        let texts = [
            shown(&limited(), false, at(width)),
            shown(&unprivileged(), false, at(width)),
            shown(&limited()[..3], false, at(width)),
            shown(&fixture(), false, at(width)),
        ];
        insta::assert_snapshot!(format!("doctor_{name}"), texts.join("\n----\n"));
    }
}

#[test]
fn all_of_it_on_request_also_in_ascii() {
    let page = Page {
        ascii: true,
        ..at(Some(80))
    };
    insta::assert_snapshot!("all_80", shown(&limited(), true, at(Some(80))));
    insta::assert_snapshot!("all_80_ascii", shown(&limited(), true, page));
}

#[test]
fn limited_is_yellow_and_only_what_does_not_work_is_red() {
    let text = |findings: &[Finding]| lines(findings, false, at(Some(80))).join("\n");
    let both = [text(&limited()), text(&unprivileged())].join("\n----\n");
    insta::assert_snapshot!(both.replace('\u{1b}', "^"));
}

proptest! {
    #[test]
    fn no_line_is_wider_and_nothing_of_what_is_limited_is_cut(
        details in prop::collection::vec("[a-z0-9:→漢 /]{0,60}", 1..8),
        width in 12_usize..220,
        ascii: bool,
        all: bool,
    ) {
        let names = ["kernel", "hook tracepoint", "accept", "type information"];
        let findings = details.iter().enumerate().map(|(index, detail)| {
            let name = names[index % names.len()];
            match index % 3 {
                0 => Finding::degraded(name, detail).advice("give 12345678901234567890"),
                1 => Finding::ok(name, detail),
                _ => Finding::missing(name, detail),
            }
        });
        let findings: Vec<_> = findings.collect();
        let page = Page { ascii, ..at(Some(width)) };
        let text = shown(&findings, all, page);
        for line in text.lines() {
            prop_assert!(line.width() <= width, "{width}: {line:?}\n{text}");
        }
        prop_assert!(!ascii || text.is_ascii(), "{text}");
        let whole = |text: &str| text.replace([' ', '\n'], "");
        let is_shown = |one: &&Finding| all || one.status != Status::Ok;
        for finding in findings.iter().filter(is_shown) {
            let detail = clean(&finding.detail);
            let detail = if ascii { plain(&detail).into_owned() } else { detail };
            prop_assert!(whole(&text).contains(&whole(&detail)), "{detail:?} is not in\n{text}");
        }
        let fine = findings.iter().filter(|one| one.status == Status::Ok).count();
        if !all && fine > 0 {
            let begin = whole(&format!("{fine} {} fine", if fine == 1 { "is" } else { "are" }));
            prop_assert!(whole(&text).contains(&begin), "{text}");
        }
    }
}
