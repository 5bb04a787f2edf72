//! Waiting awake: while messages come and go quickly, the thread of the link looks for the next one again and again instead of
//! sleeping until it is woken.
//!
//! Waking a thread costs more than all the work on a small message; a call to another node and back wakes six, of which this
//! spares four. What it costs is processor time, so it is done only while it pays: after several messages with short pauses
//! between them, for about twice the usual pause, never longer than [`AWAKE_US_MAX`], and not while others want the processor,
//! which is seen from turns that take too long.

use crate::MonotonicClock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::Notify;

/// A pause after which messages count as rare.
const PAUSE_US_MAX: u64 = 1_000;
/// Time awake without a message at most.
const AWAKE_US_MAX: u64 = 400;
/// Messages with short pauses before it is worth while.
const CREDIT_MIN: u8 = 8;
const CREDIT_MAX: u8 = 16;
/// A turn without work that takes as long has waited for the processor.
const TURN_US_MAX: u64 = 100;
/// Time for which others have the processor then.
const GIVE_WAY_US: u64 = 5_000;

/// What has happened on a link, counted, and whether its thread is awake to see it.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    count: AtomicU64,
    /// Another thread has left something to be sent since the last look.
    left: AtomicBool,
    awake: AtomicBool,
    beat: Notify,
}

impl Pulse {
    /// The thread has sent or received something.
    pub fn beat(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
        self.beat.notify_one();
    }

    /// Another thread has left something to be sent. Tells whether the thread of the link has to be woken for it.
    pub fn submitted(&self) -> bool {
        // Left before it is asked: the thread looks once more after it has said that it sleeps.
        self.left.store(true, Ordering::SeqCst);
        self.count.fetch_add(1, Ordering::SeqCst);
        !self.awake.load(Ordering::SeqCst)
    }
}

/// Decides whether to wait awake. Time is given to it, in microseconds.
#[derive(Debug, Default)]
struct Eagerness {
    last_us: u64,
    /// Usual pause between messages: an average in which each one counts an eighth.
    pause_us: u64,
    credit: u8,
    sleeps_until_us: u64,
}

impl Eagerness {
    fn happened(&mut self, now_us: u64) {
        let pause = now_us.saturating_sub(self.last_us);
        self.last_us = now_us;
        if pause > PAUSE_US_MAX {
            self.credit /= 2;
            return;
        }
        self.pause_us = (7 * self.pause_us + pause) / 8;
        self.credit = (self.credit + 1).min(CREDIT_MAX);
    }

    /// A turn has taken so long although there was nothing to do.
    fn waited(&mut self, turn_us: u64, now_us: u64) {
        if turn_us > TURN_US_MAX {
            self.sleeps_until_us = now_us + GIVE_WAY_US;
        }
    }

    fn is_awake(&self, now_us: u64) -> bool {
        let awake_us = (2 * self.pause_us + 50).min(AWAKE_US_MAX);
        self.credit >= CREDIT_MIN && now_us >= self.sleeps_until_us && now_us < self.last_us + awake_us
    }
}

/// Keeps the runtime turning while that is worth while. `look` is called when something may have been submitted meanwhile.
pub(super) async fn keep_awake(pulse: &Pulse, look: impl Fn()) {
    let clock = MonotonicClock;
    let mut eagerness = Eagerness::default();
    let mut seen = 0;
    loop {
        pulse.beat.notified().await;
        let mut now_us = clock.now_us();
        pulse.awake.store(true, Ordering::SeqCst);
        loop {
            let count = pulse.count.load(Ordering::SeqCst);
            if count != seen {
                seen = count;
                eagerness.happened(now_us);
            }
            if pulse.left.swap(false, Ordering::SeqCst) {
                look();
            }
            if !eagerness.is_awake(now_us) {
                break;
            }
            // The runtime looks at its sockets between two turns; other threads get their turn, too.
            tokio::task::yield_now().await;
            std::thread::yield_now();
            let after_us = clock.now_us();
            if pulse.count.load(Ordering::SeqCst) == seen {
                eagerness.waited(after_us - now_us, after_us);
            }
            now_us = after_us;
        }
        pulse.awake.store(false, Ordering::SeqCst);
        if pulse.left.swap(false, Ordering::SeqCst) {
            look();
        }
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
        let (eagerness, now_us) = after_messages(100, 80);
        assert!(eagerness.is_awake(now_us + 80));
        assert!(!eagerness.is_awake(now_us + 300));
        let (eagerness, now_us) = after_messages(100, 900);
        assert!(eagerness.is_awake(now_us + AWAKE_US_MAX - 1));
        assert!(!eagerness.is_awake(now_us + AWAKE_US_MAX));
    }

    #[test]
    fn it_sleeps_while_messages_are_rare_or_few() {
        let (eagerness, now_us) = after_messages(100, PAUSE_US_MAX + 1);
        assert!(!eagerness.is_awake(now_us));
        let (eagerness, now_us) = after_messages(u64::from(CREDIT_MIN) - 1, 50);
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
        eagerness.waited(TURN_US_MAX + 1, now_us);
        assert!(!eagerness.is_awake(now_us));
        for at in 0..200 {
            eagerness.happened(now_us + at * 50);
        }
        assert!(eagerness.is_awake(now_us + 199 * 50));
    }
}
