//! Whatever the figures are, some things are never said.

use proptest::prelude::*;

use super::*;

fn plans() -> impl Strategy<Value = Plan> {
    (
        any::<(bool, bool, bool)>(),
        0_u64..200_000,
        prop_oneof![Just(0_u64), 0_u64..400, 0_u64..60_000],
        -70_000_i64..70_000,
        prop_oneof![Just(0_u32), Just(1), 0_u32..1_000_000],
        0_u64..3_000_000,
        (0_u32..9, 0_u32..9),
        prop_oneof![Just(0_u32), 0_u32..100_000],
        0_u64..1000,
    )
        .prop_map(
            |(
                (is_client, keepalive, is_accepted),
                age,
                gap,
                sent,
                unread,
                more,
                segments,
                unacknowledged,
                acked,
            )| Plan {
                is_client,
                age_ns: age * MS,
                gap_ns: gap * MS,
                sent_before_ns: sent * 1_000_000,
                unread,
                received: u64::from(unread) + more,
                segments,
                unacknowledged,
                acked: acked + u64::from(is_client),
                keepalive,
                is_accepted: is_accepted || is_client,
                backoff: 0,
            },
        )
}

proptest! {
    #[test]
    fn no_young_group_is_a_leak(plans in prop::collection::vec(plans(), 1..40)) {
        let snapshot = said_with(look_at(&plans), ProcessClues::default());
        for group in &snapshot.groups {
            let diagnosis = group.diagnosis.as_ref().expect("it was asked for");
            let oldest_ns = NOW_NS - group.oldest.moment_ns();
            if diagnosis.leak == Leak::Yes {
                prop_assert!(oldest_ns >= 60 * SECOND, "{oldest_ns}: {diagnosis:#?}");
                prop_assert!(!diagnosis.causes.is_empty());
            }
            // One look does not show that they are served.
            prop_assert_ne!(diagnosis.leak, Leak::No);
            prop_assert!(!diagnosis.causes.is_empty() || !diagnosis.would_tell.is_empty());
        }
    }

    #[test]
    fn without_figures_nothing_is_guessed(plans in prop::collection::vec(plans(), 1..40)) {
        let mut look = look_at(&plans);
        for one in &mut look.listed {
            let details = &mut one.details;
            (details.recv_queue, details.send_queue, details.bytes_received) = (None, None, None);
            (details.bytes_acked, details.last_data_ns, details.last_sent_ns) = (None, None, None);
            (details.data_segments_in, details.data_segments_out) = (None, None);
        }
        for group in said_with(look, ProcessClues::default()).groups {
            let diagnosis = group.diagnosis.expect("it was asked for");
            let known = [CauseName::NeverAccepted, CauseName::Starved];
            prop_assert!(diagnosis.causes.iter().all(|cause| known.contains(&cause.name)));
            prop_assert!(!diagnosis.would_tell.is_empty());
        }
    }
}
