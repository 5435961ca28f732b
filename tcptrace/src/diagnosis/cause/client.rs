//! Why sockets that this machine's processes connected are stuck.

use crate::{
    diagnosis::cause::{
        any_role::spread,
        case::{Case, SECOND, details, has_sent, is_all_read, read, received, share, unread},
        gap::{Bounds, TICKS_NS, fin, gap},
        leak::{Found, Patience},
    },
    model::{
        cause::{Cause, CauseName, Evidence, Share},
        socket::Socket,
    },
};

/// A FIN that comes sooner after the last data came with the answer; later, the connection lay idle, or seemed to.
const WITH_THE_ANSWER_NS: u64 = SECOND / 2;
/// FINs so near to each other came from a process that ended: `exit()` sends all at once.
const AT_ONCE_NS: u64 = 100_000_000;
const LEAST_AT_ONCE: usize = 5;
/// What came so short a time ago came lately.
const LATELY_NS: u64 = 30 * SECOND;
/// What the buffers of the usual libraries take in one read.
const ONE_READ: u64 = 16 << 10;

fn either(first: CauseName, second: CauseName, evidence: Vec<Evidence>) -> Found {
    let cause = |name, evidence| Cause { name, evidence };
    Found {
        causes: vec![cause(first, evidence), cause(second, Vec::new())],
        ..Found::default()
    }
}

/// The causes.
pub fn causes(case: &Case<'_>) -> Found {
    let all = || case.sockets.iter().copied();
    let (idle, leased) = (CauseName::IdlePooled, CauseName::Leased);
    if let Some(together) = fins_together(case) {
        return either(idle, leased, vec![together, spread(case)]);
    }
    let nothing_came = share(all(), |socket| Some(received(socket)? <= 1));
    let nothing_sent = share(all(), |socket| Some(!has_sent(socket)?));
    if nothing_came.is_at_least(50) || nothing_sent.is_at_least(50) {
        let evidence = if nothing_came.count >= nothing_sent.count {
            Evidence::NothingReceived(nothing_came)
        } else {
            Evidence::NothingSent(nothing_sent)
        };
        let only = Cause {
            name: idle,
            evidence: vec![evidence],
        };
        return Found {
            causes: vec![only],
            ..Found::default()
        };
    }
    let unasked = share(all(), came_unasked);
    if unasked.is_at_least(50) {
        let evidence = vec![Evidence::CameUnasked(unasked), spread(case)];
        return either(idle, leased, evidence);
    }
    let data_left = share(all(), |socket| Some(unread(socket)? > 1));
    let gap_evidence = fin_gap(case);
    let taken = share(all(), |socket| {
        let unread = unread(socket)? > 1;
        Some(unread || gap(socket)?.are_below(WITH_THE_ANSWER_NS))
    });
    if taken.is_at_least(50) {
        let mut evidence = Vec::new();
        if data_left.count > 0 {
            evidence.push(Evidence::AnswerNotRead(data_left));
        }
        evidence.push(spread(case));
        evidence.extend(gap_evidence);
        evidence.extend(exchanges(case));
        evidence.extend(at_once(case));
        let mut causes = vec![Cause {
            name: leased,
            evidence,
        }];
        let none_unread = share(all(), is_all_read);
        if none_unread.is_all() {
            // As a proxy's leg that was forgotten when the other one ended.
            causes.push(Cause {
                name: CauseName::EofIgnored,
                evidence: vec![spread(case)],
            });
        }
        if !taken.is_at_least(80) {
            causes.push(Cause {
                name: idle,
                evidence: Vec::new(),
            });
        }
        return Found {
            causes,
            carries_a_leak: taken.is_at_least(80).then_some(
                // Where data is left on most of them, it may be read slowly, or when its turn has come.
                if is_growing(case) {
                    Patience::Growing
                } else if !data_left.is_at_least(50) || is_left_alone(case) {
                    Patience::Answer
                } else {
                    Patience::Reading
                },
            ),
            inherited: None,
        };
    }
    let mut evidence: Vec<_> = gap_evidence.into_iter().collect();
    evidence.push(spread(case));
    evidence.extend(exchanges(case));
    let at_once = used_at_once(case);
    let one_each = share(all(), exchanged_once);
    let (first, second) = if one_each.is_at_least(80) && !at_once.is_at_least(50) {
        (leased, idle)
    } else {
        (idle, leased)
    };
    if at_once.is_at_least(50) {
        evidence.push(Evidence::UsedAtOnce(at_once));
    }
    either(first, second, evidence)
}

/// Whether what is left could have been read at once, and nothing shows that the process goes through them: it would have
/// closed some, and new descriptors take the lowest numbers that are free.
fn is_left_alone(case: &Case<'_>) -> bool {
    let all = || case.sockets.iter().copied();
    let at_once = share(all(), |socket| Some(unread(socket)? <= ONE_READ));
    let own = case.group.owner.as_ref().map(|owner| owner.pid);
    let held = all().flat_map(|socket| socket.holders.iter().flatten());
    let highest = (held.filter(|holder| Some(holder.pid) == own)).filter_map(|holder| holder.fd);
    let open = case.clues.and_then(|clues| clues.descriptors);
    let closed = match (highest.max(), open) {
        (Some(highest), Some(open)) => (u64::from(highest) + 1).saturating_sub(open.open),
        _ => 0,
    };
    at_once.is_at_least(80) && closed * 5 <= case.sockets.len() as u64
}

/// The last data came with the FIN, long after this end had sent something, and earlier data was read: a goodbye
/// (TLS, HTTP/2, databases), or an answer that came late.
fn came_unasked(socket: &Socket) -> Option<bool> {
    let details = details(socket)?;
    let (sent_ns, data_ns) = (details.last_sent_ns?, details.last_data_ns?);
    let late = data_ns.saturating_sub(sent_ns) >= WITH_THE_ANSWER_NS;
    // All that came in one segment is the answer itself.
    if details.data_segments_in == Some(1) {
        return Some(false);
    }
    Some(late && read(socket)? > 0 && gap(socket)?.are_below(WITH_THE_ANSWER_NS))
}

/// One request and one answer, as far as segments tell.
fn exchanged_once(socket: &Socket) -> Option<bool> {
    Some(details(socket)?.data_segments_out? <= 1)
}

fn exchanges(case: &Case<'_>) -> Option<Evidence> {
    let all = || case.sockets.iter().copied();
    let once = share(all(), exchanged_once);
    let often = share(all(), |socket| {
        let details = details(socket)?;
        Some(details.data_segments_out? > 2 && details.data_segments_in? > 2)
    });
    if once.is_at_least(80) {
        Some(Evidence::OneExchange(once))
    } else {
        (often.is_at_least(50)).then_some(Evidence::SeveralExchanges(often))
    }
}

/// As many for a long time as a pool would allow?
fn at_once(case: &Case<'_>) -> Option<Evidence> {
    if has_younger(case) {
        return None;
    }
    let youngest = case.sockets.iter().map(|one| one.since.moment_ns()).max()?;
    let for_ns = case.now_ns.saturating_sub(youngest);
    let count = case.sockets.len();
    (count >= LEAST_AT_ONCE && for_ns >= SECOND).then_some(Evidence::AtOnce { count, for_ns })
}

/// Whether more of them came lately.
fn is_growing(case: &Case<'_>) -> bool {
    let since_ns = case.now_ns.saturating_sub(LATELY_NS);
    has_younger(case)
        || case
            .sockets
            .iter()
            .any(|one| one.since.moment_ns() > since_ns)
}

/// Whether there are others with the same remote that have not been in the state for long enough to be among them.
fn has_younger(case: &Case<'_>) -> bool {
    let first = case.sockets.first().map(|one| &one.identity);
    let younger = &case.snapshot.younger_remotes;
    first.is_some_and(|one| younger.contains(&(one.netns, one.remote)))
}

/// Between the last data and the FIN.
fn fin_gap(case: &Case<'_>) -> Option<Evidence> {
    let all = case.sockets.iter().copied();
    let mut gaps: Vec<_> = all.clone().filter_map(gap).collect();
    if gaps.is_empty() {
        let of = case.sockets.len();
        return Some(Evidence::FinGapUnknown(Share { count: of, of }));
    }
    gaps.sort_by_key(|gap| (gap.most_ns, gap.least_ns));
    // Those that are alike: all but the farthest tenth.
    let alike = &gaps[..gaps.len() - gaps.len() / 10];
    let least_ns = alike.iter().map(|gap| gap.least_ns).min()?;
    let most_ns = alike.iter().map(|gap| gap.most_ns).max()?;
    let within = |gap: &&Bounds| gap.least_ns >= least_ns && gap.most_ns <= most_ns;
    Some(Evidence::FinGap {
        share: Share {
            count: gaps.iter().filter(within).count(),
            of: case.sockets.len(),
        },
        least_ns,
        most_ns,
    })
}

/// The FINs of many came at once, though they had been used last at different moments.
fn fins_together(case: &Case<'_>) -> Option<Evidence> {
    let mut uses: Vec<(u64, u64)> = (case.sockets.iter())
        .filter_map(|socket| {
            let fin = fin(socket)?;
            // Only where the moment is known.
            let is_known = fin.most_ns - fin.least_ns <= TICKS_NS;
            is_known.then_some((fin.most_ns, details(socket)?.last_data_ns?))
        })
        .collect();
    uses.sort_unstable();
    let (mut best, mut from): (&[(u64, u64)], usize) = (&[], 0);
    for until in 0..uses.len() {
        while uses[until].0 - uses[from].0 > AT_ONCE_NS {
            from += 1;
        }
        if until + 1 - from > best.len() {
            best = &uses[from..=until];
        }
    }
    let share = Share {
        count: best.len(),
        of: case.sockets.len(),
    };
    let within_ns = best.last()?.0 - best.first()?.0;
    let last = best.iter().map(|(_, data_ns)| *data_ns);
    let uses_ns = last.clone().max()? - last.min()?;
    let apart = uses_ns > 2 * within_ns && uses_ns > AT_ONCE_NS / 2;
    (best.len() >= LEAST_AT_ONCE && share.is_at_least(50) && apart).then_some(
        Evidence::FinsTogether {
            share,
            within_ns,
            uses_ns,
        },
    )
}

/// Whether their last exchanges overlapped, from the last data sent to the last received.
fn used_at_once(case: &Case<'_>) -> Share {
    let mut uses: Vec<(u64, u64)> = (case.sockets.iter())
        .filter_map(|socket| {
            let details = details(socket)?;
            let (sent_ns, data_ns) = (details.last_sent_ns?, details.last_data_ns?);
            (data_ns > sent_ns + TICKS_NS / 2).then_some((sent_ns, data_ns))
        })
        .collect();
    uses.sort_unstable();
    let mut until_ns = 0;
    let mut count = 0;
    let mut begun_alone = false;
    for (sent_ns, data_ns) in uses {
        if sent_ns < until_ns {
            // The one that began it overlaps, too.
            count += 1 + usize::from(begun_alone);
            begun_alone = false;
        } else {
            begun_alone = true;
        }
        until_ns = until_ns.max(data_ns);
    }
    Share {
        count,
        of: case.sockets.len(),
    }
}
