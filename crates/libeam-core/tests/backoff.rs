//! Backoff delays against the formula, and against settings nobody should choose.

use libeam_core::supervision::Backoff;
use proptest::prelude::*;

fn any_float() -> impl Strategy<Value = f64> {
    prop_oneof![any::<f64>(), Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(-0.0), -2.0..3.0,]
}

proptest! {
    #[test]
    fn it_grows_by_the_multiplier_up_to_the_maximum(
        initial_ms in 1..10_000_u32,
        max_ms in 1..100_000_u32,
        multiplier in 1..4_u32,
        attempt in 1..40_u32,
    ) {
        let backoff = Backoff { initial_ms, max_ms, multiplier: f64::from(multiplier), jitter: 0.0 };
        let mut expected = u64::from(initial_ms);
        for _ in 1..attempt {
            expected = (expected * u64::from(multiplier)).min(u64::from(max_ms));
        }
        expected = expected.min(u64::from(max_ms));
        prop_assert_eq!(u64::from(backoff.delay_ms(attempt, 0.9)), expected);
    }

    #[test]
    fn jitter_stays_inside_its_band(
        initial_ms in 1..10_000_u32,
        jitter in 0.0..=1.0,
        random in 0.0..1.0,
    ) {
        let backoff = Backoff { initial_ms, max_ms: 1_000_000, multiplier: 2.0, jitter };
        let delay = f64::from(backoff.delay_ms(1, random));
        let middle = f64::from(initial_ms);
        prop_assert!(delay >= (middle * (1.0 - jitter)).floor());
        prop_assert!(delay <= (middle * (1.0 + jitter)).ceil());
    }

    #[test]
    fn any_settings_give_a_delay_up_to_the_maximum(
        initial_ms in any::<u32>(),
        max_ms in any::<u32>(),
        multiplier in any_float(),
        jitter in any_float(),
        attempt in any::<u32>(),
        random in any_float(),
    ) {
        let backoff = Backoff { initial_ms, max_ms, multiplier, jitter };
        prop_assert!(backoff.delay_ms(attempt, random) <= max_ms);
    }
}

#[test]
fn a_failing_init_is_retried_after_10_20_40_milliseconds_and_so_on() {
    let delays: Vec<u32> = (0..10).map(|attempt| Backoff::INIT_FAILURE.delay_ms(attempt, 0.5)).collect();
    assert_eq!(delays, [10, 10, 20, 40, 80, 160, 320, 640, 1_000, 1_000]);
}

#[test]
fn the_last_attempts_wait_for_the_maximum() {
    assert_eq!(Backoff::INIT_FAILURE.delay_ms(u32::MAX, 0.0), 1_000);
}

#[test]
fn nothing_multiplied_stays_nothing() {
    let backoff = Backoff { initial_ms: 0, max_ms: 1_000, multiplier: f64::INFINITY, jitter: 1.0 };
    assert_eq!(backoff.delay_ms(9, 0.5), 0);
}

#[test]
fn senseless_factors_have_their_documented_meaning() {
    let backoff = |multiplier, jitter| Backoff { initial_ms: 100, max_ms: 1_000, multiplier, jitter };
    assert_eq!(backoff(f64::NAN, 0.0).delay_ms(5, 0.5), 100);
    assert_eq!(backoff(-3.0, 0.0).delay_ms(2, 0.5), 0);
    assert_eq!(backoff(1.0, f64::NAN).delay_ms(1, 0.0), 100);
    assert_eq!(backoff(1.0, 9.0).delay_ms(1, 0.0), 0);
    assert_eq!(backoff(1.0, 0.5).delay_ms(1, f64::NAN), 100);
}
