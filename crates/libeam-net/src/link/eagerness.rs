//! When waiting awake pays: looking for the next message again and again instead of sleeping until one is woken.
//!
//! It costs processor time, so it is done only after several messages with short pauses between them, for about twice the
//! usual pause, never longer than [`AWAKE_US_MAX`], and not while others want the processor, which is seen from turns that take
//! too long. Who waits in vain too often sleeps for a while: messages that come regularly, but later than one waits, would
//! otherwise cost most of a processor for nothing.

/// A pause after which messages count as rare.
const PAUSE_US_MAX: u64 = 1_000;
/// Time awake without a message at most.
const AWAKE_US_MAX: u64 = 600;
/// Messages with short pauses before it is worth while.
const CREDIT_MIN: u8 = 8;
const CREDIT_MAX: u8 = 16;
/// A turn without work that takes as long has waited for the processor.
const TURN_US_MAX: u64 = 1_000;
/// Time for which others have the processor then, at least ...
const GIVE_WAY_US: u64 = 1_000;
/// ... and at most: it doubles when the next turn is as long, and shrinks by a sixteenth with each that is not.
const GIVE_WAY_US_MAX: u64 = 100_000;
/// What a wait in vain counts; one that was not takes one off.
const MISS: u8 = 2;
/// With so much it is given up ...
const MISSES_MAX: u8 = 16;
/// ... for so long.
const GIVEN_UP_US: u64 = 100_000;

/// Whether others want the processor, seen from how long turns without work take.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    pause_us: u64,
    until_us: u64,
}

impl Crowd {
    /// A turn without work has taken so long. Tells whether others have taken it.
    pub fn waited(&mut self, turn_us: u64, now_us: u64) -> bool {
        if turn_us <= TURN_US_MAX {
            self.pause_us -= self.pause_us / 16;
            return false;
        }
        self.pause_us = (2 * self.pause_us).clamp(GIVE_WAY_US, GIVE_WAY_US_MAX);
        self.until_us = now_us + self.pause_us;
        true
    }

    /// Whether to give way.
    pub const fn is_there(&self, now_us: u64) -> bool {
        now_us < self.until_us
    }
}

/// Decides whether to wait awake. Time is given to it, in microseconds.
#[derive(Debug, Default)]
pub(super) struct Eagerness {
    last_us: u64,
    /// Usual pause between messages: an average in which each one counts an eighth.
    pause_us: u64,
    credit: u8,
    misses: u8,
    /// It has waited for the next message, and that has not come in time.
    missed: bool,
    gives_up_until_us: u64,
    crowd: Crowd,
}

impl Eagerness {
    /// A message was sent or has come.
    pub fn happened(&mut self, now_us: u64) {
        let pause = now_us.saturating_sub(self.last_us);
        self.last_us = now_us;
        if !self.missed {
            self.misses = self.misses.saturating_sub(1);
        }
        self.missed = false;
        if pause > PAUSE_US_MAX {
            self.credit /= 2;
            return;
        }
        self.pause_us = (7 * self.pause_us + pause) / 8;
        self.credit = (self.credit + 1).min(CREDIT_MAX);
    }

    /// A turn has taken so long although there was nothing to do. Tells whether others have taken it.
    pub fn waited(&mut self, turn_us: u64, now_us: u64) -> bool {
        self.crowd.waited(turn_us, now_us)
    }

    /// Whether to look again, now that there is nothing to do.
    pub fn is_awake(&mut self, now_us: u64) -> bool {
        if self.missed || self.credit < CREDIT_MIN || now_us < self.gives_up_until_us || self.crowd.is_there(now_us) {
            return false;
        }
        if now_us < self.last_us + (2 * self.pause_us + 50).min(AWAKE_US_MAX) {
            return true;
        }
        self.missed = true;
        self.misses += MISS;
        if self.misses >= MISSES_MAX {
            self.misses = 0;
            self.gives_up_until_us = now_us + GIVEN_UP_US;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after_messages(count: u64, pause_us: u64) -> (Eagerness, u64) {
        let mut eagerness = Eagerness::default();
        let mut now_us = 1_000_000;
        for _ in 0..count {
            now_us += pause_us;
            eagerness.happened(now_us);
        }
        (eagerness, now_us)
    }

    #[test]
    fn it_is_awake_between_quick_messages_for_about_twice_their_pause() {
        let (mut eagerness, now_us) = after_messages(100, 80);
        assert!(eagerness.is_awake(now_us + 80));
        assert!(!eagerness.is_awake(now_us + 300));
        assert!(!eagerness.is_awake(now_us + 80), "it sleeps until the next message");
        eagerness.happened(now_us + 400);
        assert!(eagerness.is_awake(now_us + 400));
        let (mut eagerness, now_us) = after_messages(100, 900);
        assert!(eagerness.is_awake(now_us + AWAKE_US_MAX - 1));
        assert!(!eagerness.is_awake(now_us + AWAKE_US_MAX));
    }

    #[test]
    fn it_sleeps_while_messages_are_rare_or_few() {
        let (mut eagerness, now_us) = after_messages(100, PAUSE_US_MAX + 1);
        assert!(!eagerness.is_awake(now_us));
        let (mut eagerness, now_us) = after_messages(u64::from(CREDIT_MIN) - 1, 50);
        assert!(!eagerness.is_awake(now_us));
        let (mut eagerness, mut now_us) = after_messages(100, 50);
        for _ in 0..2 {
            now_us += 10_000;
            eagerness.happened(now_us);
        }
        assert!(!eagerness.is_awake(now_us));
    }

    #[test]
    fn it_gives_way_to_others_for_a_while() {
        let (mut eagerness, now_us) = after_messages(100, 50);
        assert!(!eagerness.waited(TURN_US_MAX, now_us));
        assert!(eagerness.is_awake(now_us));
        assert!(eagerness.waited(TURN_US_MAX + 1, now_us));
        assert!(!eagerness.is_awake(now_us));
        for at in 0..200 {
            eagerness.happened(now_us + at * 50);
        }
        assert!(eagerness.is_awake(now_us + 199 * 50));
    }

    #[test]
    fn it_gives_way_longer_the_more_often_others_take_its_turns() {
        let mut crowd = Crowd::default();
        let mut now_us = 0;
        let mut pauses = Vec::new();
        for _ in 0..10 {
            assert!(crowd.waited(TURN_US_MAX + 1, now_us));
            let pause_us = (0..).step_by(500).find(|us| !crowd.is_there(now_us + us)).unwrap();
            now_us += pause_us;
            pauses.push(pause_us / 1_000);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 100, 100, 100]);
        for _ in 0..100 {
            assert!(!crowd.waited(5, now_us));
        }
        crowd.waited(TURN_US_MAX + 1, now_us);
        assert!(crowd.is_there(now_us) && !crowd.is_there(now_us + GIVE_WAY_US), "forgotten");
    }

    #[test]
    fn it_gives_up_when_it_waits_in_vain_again_and_again() {
        let (mut eagerness, mut now_us) = after_messages(100, 50);
        let mut awake_us = 0;
        for _ in 0..10_000 {
            let pause_us = 900;
            awake_us += (0..pause_us).take_while(|&us| eagerness.is_awake(now_us + us)).count();
            now_us += pause_us;
            eagerness.happened(now_us);
        }
        let percent = awake_us * 100 / 9_000_000;
        assert!((1..=6).contains(&percent), "awake for {percent} % of the time");
    }
}
