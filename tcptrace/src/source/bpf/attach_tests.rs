//! Tests the order of attempts and the final error, without a kernel.

use aya::EbpfError;

use crate::{
    model::{
        request::HookChoice,
        stuck::look::Hook::{Btf, Tracepoint},
    },
    source::{
        bpf::attach::{Accept, Candidate, first_that_works},
        error::StartError,
    },
};

/// All possible candidates, in the order in which tracking lists them.
fn all() -> Vec<Candidate> {
    let programs = [
        (Btf, true, true),
        (Btf, false, true),
        (Btf, true, false),
        (Btf, false, false),
        (Tracepoint, false, true),
        (Tracepoint, false, false),
    ];
    let with = |(hook, modern, cgroup_helper)| {
        [Accept::Fexit, Accept::Syscall, Accept::Listener].map(|accept| Candidate {
            hook,
            modern,
            cgroup_helper,
            accept,
        })
    };
    programs.into_iter().flat_map(with).collect()
}

/// The candidates for one requested way to detect accepts.
fn by_fexit() -> Vec<Candidate> {
    let mut all = all();
    all.retain(|candidate| candidate.accept == Accept::Fexit);
    all
}

fn refused() -> StartError {
    StartError::Refused {
        program: "transition_btf",
        reason: "no".into(),
    }
}

fn not_accepting(candidate: &Candidate) -> StartError {
    StartError::Accept {
        way: candidate.accept.name(),
        reason: "no".into(),
    }
}

fn not_set_up() -> StartError {
    StartError::Setup(EbpfError::MapError(aya::maps::MapError::ElementNotFound))
}

/// The candidates that are tried if `attach` decides about each attempt, and the result.
fn run(
    candidates: &[Candidate],
    mut attach: impl FnMut(&Candidate) -> Result<(), StartError>,
) -> (Vec<Candidate>, Result<(), StartError>) {
    let mut tried = Vec::new();
    let outcome = first_that_works(HookChoice::Auto, Ok(()), candidates, |candidate| {
        tried.push(*candidate);
        attach(candidate)
    });
    (tried, outcome)
}

#[test]
fn the_first_that_works_is_taken() {
    let (tried, outcome) = run(&all(), |_| Ok(()));
    assert_eq!(tried, all()[..1]);
    assert!(outcome.is_ok());
}

#[test]
fn ways_to_accept_are_tried_with_one_program_until_one_works() {
    let (tried, outcome) = run(&all(), |candidate| match candidate.accept {
        Accept::Listener => Ok(()),
        _ => Err(not_accepting(candidate)),
    });
    assert_eq!(tried, all()[..3]);
    assert!(outcome.is_ok());
}

#[test]
fn a_refused_program_is_not_tried_with_another_way_to_accept() {
    let (tried, outcome) = run(&all(), |_| Err(refused()));
    assert_eq!(tried, by_fexit());
    assert!(matches!(outcome, Err(StartError::Refused { .. })));
    // Nor if the first way to detect accepts was refused before the program was tried.
    let (tried, _) = run(&all(), |candidate| match candidate.accept {
        Accept::Fexit => Err(not_accepting(candidate)),
        _ => Err(refused()),
    });
    let without_listener = |candidate: &Candidate| candidate.accept != Accept::Listener;
    let expected: Vec<_> = all().into_iter().filter(without_listener).collect();
    assert_eq!(tried, expected);
}

#[test]
fn where_the_way_to_accept_that_is_asked_for_fails_no_other_hook_is_tried() {
    let (tried, outcome) = run(&by_fexit(), |candidate| Err(not_accepting(candidate)));
    assert_eq!(tried, by_fexit()[..4]);
    assert!(matches!(
        outcome,
        Err(StartError::Accept { way: "fexit", .. })
    ));
    // Nor is the tracepoint tried with fewer features.
    let (tried, outcome) = run(&by_fexit(), |candidate| match candidate.hook {
        Btf => Err(refused()),
        Tracepoint => Err(not_accepting(candidate)),
    });
    assert_eq!(tried, by_fexit()[..5]);
    assert!(matches!(outcome, Err(StartError::Accept { .. })));
}

#[test]
fn lockdown_ends_it_at_once() {
    let (tried, outcome) = run(&all(), |_| Err(StartError::Lockdown));
    assert_eq!(tried, all()[..1]);
    assert!(matches!(outcome, Err(StartError::Lockdown)));
}

#[test]
fn what_has_nothing_to_do_with_a_program_goes_on_to_the_other_hook() {
    let follow = || StartError::Follow {
        reason: "no".into(),
    };
    for problem in [not_set_up, follow] as [fn() -> StartError; 2] {
        let (tried, outcome) = run(&all(), |_| Err(problem()));
        assert_eq!(tried, [all()[0], all()[12]]);
        let said = outcome.expect_err("nothing works").to_string();
        assert_eq!(said, problem().to_string());
    }
}

#[test]
fn without_tracefs_it_is_said_why_the_btf_hook_is_not_used() {
    let no_tracefs = || StartError::NoTracefs { btf_problem: None };
    let (tried, outcome) = run(&all(), |candidate| match candidate.hook {
        Btf => Err(refused()),
        Tracepoint => Err(no_tracefs()),
    });
    assert_eq!(tried.len(), 5);
    let Err(StartError::NoTracefs { btf_problem }) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(btf_problem, Some(refused().to_string()));

    // Without type information, except if the tracepoint is requested.
    let reason = "no type information".to_owned();
    for (choice, expected) in [
        (HookChoice::Auto, Some(reason.clone())),
        (HookChoice::Tracepoint, None),
    ] {
        let types: Result<(), _> = Err(&reason);
        let outcome: Result<(), _> =
            first_that_works(choice, types, &all()[12..], |_| Err(no_tracefs()));
        let Err(StartError::NoTracefs { btf_problem }) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(btf_problem, expected);
    }
}

#[test]
fn the_btf_hook_without_type_information_is_an_error_of_its_own() {
    let reason = "no type information".to_owned();
    let types: Result<(), _> = Err(&reason);
    let outcome: Result<(), _> = first_that_works(HookChoice::Btf, types, &[], |_| Ok(()));
    assert!(matches!(outcome, Err(StartError::NoBtf { reason: said }) if said == reason));
}
