//! The restart window against a list of all restarts ever.

use libeam_core::supervision::{Intensity, RESTART_TIMES_MAX, RESTARTS_UNLIMITED, RestartWindow};
use proptest::prelude::*;

fn judge(history: &[u64], now: u64, max_restarts: u32, period_ms: u32) -> Intensity {
    let inside = |time: &&u64| now - **time < u64::from(period_ms);
    let count = history.iter().filter(inside).count() as u32;
    if count < max_restarts {
        Intensity::Allowed { attempt: count + 1 }
    } else {
        Intensity::Exceeded { count: count + 1 }
    }
}

proptest! {
    #[test]
    fn it_counts_what_a_full_history_would(
        max_restarts in 0..8_u32,
        period_ms in prop_oneof![Just(0), 1..50_u32, Just(u32::MAX)],
        gaps in prop::collection::vec(0..30_u64, 1..100),
    ) {
        let mut window = RestartWindow::new();
        let mut history = Vec::new();
        let mut now = 0;
        for gap in gaps {
            now += gap;
            let expected = judge(&history, now, max_restarts, period_ms);
            prop_assert_eq!(window.record(now, max_restarts, period_ms), expected);
            if matches!(expected, Intensity::Allowed { .. }) {
                history.push(now);
            }
        }
    }

    #[test]
    fn any_times_and_limits_are_survived(
        calls in prop::collection::vec((any::<u64>(), any::<u32>(), any::<u32>()), 1..100),
    ) {
        let mut window = RestartWindow::new();
        for (now, max_restarts, period_ms) in calls {
            match window.record(now, max_restarts, period_ms) {
                Intensity::Allowed { attempt } => prop_assert!(1 <= attempt && attempt <= max_restarts),
                Intensity::Exceeded { count } => prop_assert!(count > max_restarts),
            }
        }
    }
}

#[test]
fn three_restarts_are_allowed_and_the_fourth_crash_is_too_many() {
    let mut window = RestartWindow::new();
    for attempt in 1..=3 {
        let now = u64::from(attempt) * 10;
        assert_eq!(window.record(now, 3, 5_000), Intensity::Allowed { attempt });
    }
    assert_eq!(window.record(40, 3, 5_000), Intensity::Exceeded { count: 4 });
}

#[test]
fn a_restart_leaves_the_window_when_it_is_exactly_one_period_old() {
    let mut window = RestartWindow::new();
    assert_eq!(window.record(100, 1, 50), Intensity::Allowed { attempt: 1 });
    assert_eq!(window.record(149, 1, 50), Intensity::Exceeded { count: 2 });
    assert_eq!(window.record(150, 1, 50), Intensity::Allowed { attempt: 1 });
}

#[test]
fn no_restarts_means_none() {
    let mut window = RestartWindow::new();
    for period_ms in [0, 1, u32::MAX] {
        assert_eq!(window.record(7, 0, period_ms), Intensity::Exceeded { count: 1 });
    }
}

#[test]
fn a_huge_limit_is_enforced_at_the_most_that_is_kept() {
    let mut window = RestartWindow::new();
    for attempt in 1..=RESTART_TIMES_MAX {
        let limit = RESTARTS_UNLIMITED - 1;
        assert_eq!(window.record(1, limit, 1_000), Intensity::Allowed { attempt });
    }
    let count = RESTART_TIMES_MAX + 1;
    assert_eq!(window.record(1, RESTARTS_UNLIMITED - 1, 1_000), Intensity::Exceeded { count });
}

#[test]
fn unlimited_never_refuses_and_stops_counting_at_the_most_that_is_kept() {
    let mut window = RestartWindow::new();
    for restart in 1..=RESTART_TIMES_MAX * 2 {
        let attempt = restart.min(RESTART_TIMES_MAX);
        let judged = window.record(1, RESTARTS_UNLIMITED, 1_000);
        assert_eq!(judged, Intensity::Allowed { attempt });
    }
}
