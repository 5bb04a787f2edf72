//! The timing wheel against a list that is sorted from scratch every time.

use libeam_core::timer::{TimerKey, TimerWheel};
use proptest::prelude::*;

/// More steps than a timer can need: one per level, and one to fire.
const STEPS_PER_TIMER_MAX: usize = 12;

#[derive(Clone, Debug)]
enum Op {
    /// Insert with a deadline this far ahead.
    Insert(u64),
    /// Insert with a deadline this far in the past.
    InsertLate(u64),
    /// Cancel one of all the keys ever given out.
    Cancel(usize),
    /// Expire this much later.
    Advance(u64),
    /// Expire at whatever the wheel asks for.
    AdvanceToNext,
    /// Expire at a time that has passed already.
    GoBack(u64),
}

/// Spans of all magnitudes, with round ones that sit on slot borders.
fn span() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..200_u64,
        (0..45_u32, 0..1_000_u64).prop_map(|(bits, more)| (1 << bits) + more),
        (0..64_u32).prop_map(|bits| 1 << bits),
        Just(u64::MAX),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        5 => span().prop_map(Op::Insert),
        1 => (0..50_u64).prop_map(Op::InsertLate),
        2 => any::<usize>().prop_map(Op::Cancel),
        2 => (0..40_u32, 0..100_u64).prop_map(|(bits, more)| Op::Advance((1 << bits) - 1 + more)),
        2 => Just(Op::AdvanceToNext),
        1 => (0..50_u64).prop_map(Op::GoBack),
    ]
}

struct Model {
    now: u64,
    /// Deadline and token of what is alive, in insertion order; tokens count up.
    alive: Vec<(u64, u32)>,
    keys: Vec<TimerKey>,
    wheel: TimerWheel,
}

impl Model {
    fn new(now: u64) -> Self {
        Self { now, alive: Vec::new(), keys: Vec::new(), wheel: TimerWheel::new(now) }
    }

    fn insert(&mut self, deadline: u64) {
        let token = self.keys.len() as u32;
        self.keys.push(self.wheel.insert(deadline, token));
        self.alive.push((deadline, token));
    }

    fn cancel(&mut self, pick: usize) {
        if self.keys.is_empty() {
            return;
        }
        let token = (pick % self.keys.len()) as u32;
        let place = self.alive.iter().position(|timer| timer.1 == token);
        let expected = place.map(|place| self.alive.remove(place).1);
        assert_eq!(self.wheel.cancel(self.keys[token as usize]), expected);
    }

    fn expire(&mut self, now: u64) {
        self.now = self.now.max(now);
        let mut due: Vec<_> = self.alive.clone();
        due.retain(|timer| timer.0 <= self.now);
        self.alive.retain(|timer| timer.0 > self.now);
        due.sort_by_key(|timer| timer.0);
        let expected: Vec<u32> = due.iter().map(|timer| timer.1).collect();
        let mut fired = vec![u32::MAX];
        self.wheel.expire(now, &mut fired);
        assert_eq!(fired[0], u32::MAX, "what the caller had is left alone");
        assert_eq!(fired[1..], expected);
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Insert(span) => self.insert(self.now.saturating_add(span)),
            Op::InsertLate(span) => self.insert(self.now.saturating_sub(span)),
            Op::Cancel(pick) => self.cancel(pick),
            Op::Advance(span) => self.expire(self.now.saturating_add(span)),
            Op::AdvanceToNext => {
                if let Some(next) = self.wheel.next_deadline() {
                    self.expire(next);
                }
            }
            Op::GoBack(span) => self.expire(self.now.saturating_sub(span)),
        }
    }

    fn check(&self) {
        assert_eq!(self.wheel.len(), self.alive.len());
        assert_eq!(self.wheel.is_empty(), self.alive.is_empty());
        let earliest = self.alive.iter().map(|timer| timer.0).min();
        let next = self.wheel.next_deadline();
        assert_eq!(next.is_some(), earliest.is_some());
        assert!(next <= earliest, "{next:?} is later than {earliest:?}");
    }
}

proptest! {
    #[test]
    fn it_fires_what_a_sorted_list_would(
        start in prop_oneof![Just(0), 0..1_u64 << 40, any::<u64>()],
        ops in prop::collection::vec(op(), 1..120),
    ) {
        let mut model = Model::new(start);
        for op in ops {
            model.apply(op);
            model.check();
        }
        model.expire(u64::MAX);
        model.check();
    }

    #[test]
    fn following_next_deadline_terminates(
        start in 0..1_u64 << 40,
        spans in prop::collection::vec(span(), 1..60),
    ) {
        let mut model = Model::new(start);
        for span in &spans {
            model.insert(start.saturating_add(*span));
        }
        let mut steps = 0;
        while let Some(next) = model.wheel.next_deadline() {
            model.expire(next);
            model.check();
            steps += 1;
            prop_assert!(steps <= spans.len() * STEPS_PER_TIMER_MAX);
        }
    }
}

#[test]
fn a_key_is_stale_once_its_timer_fired_or_was_cancelled() {
    let mut wheel = TimerWheel::new(0);
    let fired = wheel.insert(1, 10);
    let cancelled = wheel.insert(1, 11);
    assert_eq!(wheel.cancel(cancelled), Some(11));
    wheel.expire(1, &mut Vec::new());
    wheel.insert(5, 12);
    wheel.insert(5, 13);
    assert_eq!(wheel.cancel(fired), None);
    assert_eq!(wheel.cancel(cancelled), None);
    assert_eq!(wheel.len(), 2);
}

#[test]
fn a_made_up_key_names_no_timer() {
    let mut wheel = TimerWheel::new(0);
    let key = wheel.insert(1, 10);
    wheel.cancel(key);
    for generation in 0..4 {
        assert_eq!(wheel.cancel(TimerKey::from_parts(key.index(), generation)), None);
        assert_eq!(wheel.cancel(TimerKey::from_parts(u32::MAX, generation)), None);
    }
}

#[test]
fn a_key_survives_being_taken_apart() {
    let mut wheel = TimerWheel::new(0);
    let key = wheel.insert(1, 10);
    let again = TimerKey::from_parts(key.index(), key.generation());
    assert_eq!(wheel.cancel(again), Some(10));
}

#[test]
fn a_jump_over_the_age_of_the_universe_costs_nothing() {
    let mut wheel = TimerWheel::new(0);
    let mut fired = Vec::new();
    for jump in 1..=1_000_000_u64 {
        wheel.expire(jump << 43, &mut fired);
    }
    assert!(fired.is_empty());
    wheel.insert(u64::MAX, 1);
    wheel.expire(u64::MAX - 1, &mut fired);
    assert!(fired.is_empty());
    wheel.expire(u64::MAX, &mut fired);
    assert_eq!(fired, [1]);
}
