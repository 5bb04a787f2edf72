//! Call deadlines against a map that is searched from scratch every time.

use std::collections::BTreeMap;

use libeam_core::timer::{Deadlines, FIFOS_MAX};
use proptest::prelude::*;

const SLOTS: u32 = 200;

#[derive(Clone, Debug)]
enum Op {
    Arm { slot: u32, timeout_ms: u32 },
    Disarm(u32),
    Advance(u64),
    AdvanceToNext,
    GoBack(u64),
}

fn op(timeouts: u32) -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..SLOTS, 0..timeouts).prop_map(|(slot, n)| Op::Arm { slot, timeout_ms: n * 7 }),
        3 => (0..SLOTS + 10).prop_map(Op::Disarm),
        1 => (0..300_u64).prop_map(Op::Advance),
        1 => Just(Op::AdvanceToNext),
        1 => (0..300_u64).prop_map(Op::GoBack),
    ]
}

#[derive(Default)]
struct Model {
    now: u64,
    /// Deadline, age and timeout of each armed slot.
    armed: BTreeMap<u32, (u64, usize, u32)>,
    age: usize,
    deadlines: Deadlines,
}

impl Model {
    fn arm(&mut self, slot: u32, now: u64, timeout_ms: u32) {
        if self.armed.contains_key(&slot) {
            return;
        }
        self.now = self.now.max(now);
        self.age += 1;
        let deadline = self.now + u64::from(timeout_ms);
        self.armed.insert(slot, (deadline, self.age, timeout_ms));
        self.deadlines.arm(slot, now, timeout_ms);
    }

    fn expire(&mut self, now: u64) {
        self.now = self.now.max(now);
        let mut expired = vec![u32::MAX];
        self.deadlines.expire(now, &mut expired);
        assert_eq!(expired.remove(0), u32::MAX);

        let rows: Vec<_> =
            expired.iter().map(|slot| self.armed.remove(slot).expect("an unarmed slot expired")).collect();
        assert!(rows.iter().all(|row| row.0 <= self.now), "expired too early");
        assert!(rows.is_sorted_by_key(|row| row.0), "out of order: {rows:?}");
        for pair in rows.windows(2) {
            let same = pair[0].0 == pair[1].0 && pair[0].2 == pair[1].2;
            assert!(!same || pair[0].1 < pair[1].1, "the younger one came first");
        }
        assert!(self.armed.values().all(|row| row.0 > self.now), "one was left");
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Arm { slot, timeout_ms } => self.arm(slot, self.now, timeout_ms),
            Op::Disarm(slot) => {
                let was_armed = self.armed.remove(&slot).is_some();
                assert_eq!(self.deadlines.disarm(slot), was_armed);
            }
            Op::Advance(span) => self.expire(self.now + span),
            Op::AdvanceToNext => {
                if let Some(next) = self.deadlines.next_deadline() {
                    self.expire(next);
                }
            }
            Op::GoBack(span) => self.expire(self.now.saturating_sub(span)),
        }
    }

    fn check(&self) {
        assert_eq!(self.deadlines.len(), self.armed.len());
        assert_eq!(self.deadlines.is_empty(), self.armed.is_empty());
        for slot in 0..SLOTS + 10 {
            assert_eq!(self.deadlines.is_armed(slot), self.armed.contains_key(&slot));
        }
        let earliest = self.armed.values().map(|row| row.0).min();
        let next = self.deadlines.next_deadline();
        assert_eq!(next.is_some(), earliest.is_some());
        assert!(next <= earliest, "{next:?} is later than {earliest:?}");
    }

    fn drain(&mut self) {
        let mut steps = 0;
        while let Some(next) = self.deadlines.next_deadline() {
            self.expire(next);
            self.check();
            steps += 1;
            assert!(steps <= 12 * SLOTS, "following next_deadline does not end");
        }
    }
}

proptest! {
    #[test]
    fn a_few_timeouts_expire_in_order(ops in prop::collection::vec(op(4), 1..200)) {
        let mut model = Model::default();
        for op in ops {
            model.apply(op);
            model.check();
        }
        model.drain();
    }

    #[test]
    fn more_timeouts_than_fifos_expire_in_order(ops in prop::collection::vec(op(300), 1..400)) {
        let mut model = Model::default();
        for op in ops {
            model.apply(op);
            model.check();
        }
        model.drain();
    }
}

#[test]
fn timeouts_beyond_the_fifos_are_kept_and_can_be_disarmed() {
    let mut model = Model::default();
    let slots = 2 * FIFOS_MAX as u32;
    for slot in 0..slots {
        model.arm(slot, 1_000, 10_000 - slot * 3);
    }
    for slot in (0..slots).step_by(2) {
        model.apply(Op::Disarm(slot));
        model.check();
    }
    model.drain();
}

#[test]
fn a_clock_that_steps_back_keeps_the_order() {
    let mut model = Model::default();
    model.arm(0, 1_000, 50);
    model.arm(1, 10, 50);
    model.check();
    model.expire(1_049);
    model.expire(1_050);
    assert!(model.armed.is_empty());
}

#[test]
fn a_slot_can_be_armed_again_after_it_expired() {
    let mut deadlines = Deadlines::new();
    let mut expired = Vec::new();
    deadlines.arm(7, 0, 5);
    deadlines.expire(5, &mut expired);
    assert!(!deadlines.disarm(7));
    deadlines.arm(7, 5, 5);
    deadlines.expire(9, &mut expired);
    assert_eq!(expired, [7]);
    deadlines.expire(10, &mut expired);
    assert_eq!(expired, [7, 7]);
}
