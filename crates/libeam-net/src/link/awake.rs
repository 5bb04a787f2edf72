//! Waiting awake: while messages come and go quickly, the thread of the link looks for the next one again and again instead of
//! sleeping until it is woken.
//!
//! Waking a thread costs more than all the work on a small message; a call to another node and back wakes six, of which this
//! spares four. When it pays is [`super::eagerness`]'s to say.

use super::eagerness::Eagerness;
use crate::MonotonicClock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::Notify;

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
            // Two turns: what the sockets bring at the end of the first is seen to before others get their turn.
            tokio::task::yield_now().await;
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
