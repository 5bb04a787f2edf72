//! Waiting awake: while messages come and go quickly, the thread of the link looks for the next one again and again instead of
//! sleeping until it is woken.
//!
//! Waking a thread costs more than all the work on a small message; a call to another node and back wakes six, of which this
//! spares four. When it pays is [`super::eagerness`]'s to say. Who leaves something to be sent gives it a turn at once: a call and
//! back takes a tenth to a fifth less time than when it has to wait for the owner's loop to come round.

use super::eagerness::{Crowd, Eagerness};
use crate::MonotonicClock;
use parking_lot::Mutex;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use tokio::sync::Notify;

/// Tasks that a frame from a socket goes through after the one that reads it, one waking the next.
const HANDS: usize = 2;

/// What has happened on a link, counted, and whether its thread is awake to see it.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    count: AtomicU64,
    /// Another thread has left something to be sent since the last look.
    left: AtomicBool,
    awake: AtomicBool,
    /// Who takes the turns that others give to it.
    crowd: Mutex<Crowd>,
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

    /// Gives the thread of the link a turn of this one's, which may be on the same processor, if it is awake and has not seen yet
    /// what was left: it is sent the sooner. Not while others take such turns.
    pub fn give_turn(&self) {
        if !self.is_behind() {
            return;
        }
        let mut crowd = self.crowd.lock();
        let before_us = MonotonicClock.now_us();
        if !crowd.is_there(before_us) {
            std::thread::yield_now();
            let after_us = MonotonicClock.now_us();
            crowd.waited(after_us - before_us, after_us);
        }
    }

    /// Whether the thread is awake and has something to see.
    fn is_behind(&self) -> bool {
        self.left.load(Ordering::SeqCst) && self.awake.load(Ordering::SeqCst)
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
            // The runtime looks at its sockets, and what they have brought is seen to before other threads get their turn.
            tokio::task::yield_now().await;
            for _ in 0..HANDS {
                pass().await;
            }
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

/// Lets the tasks run that are awake by now, without a look at the sockets.
async fn pass() {
    let mut passed = false;
    poll_fn(|context| {
        if std::mem::replace(&mut passed, true) {
            return Poll::Ready(());
        }
        // At once, and so behind them in the queue; the runtime's own `yield_now` waits for its sockets.
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn with_each_pass_a_frame_gets_one_task_further() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let hands = Arc::new([const { Notify::const_new() }; HANDS]);
        let passed_on = Arc::new(AtomicU64::new(0));
        for hand in 0..HANDS {
            let (hands, passed_on) = (Arc::clone(&hands), Arc::clone(&passed_on));
            runtime.spawn(async move {
                hands[hand].notified().await;
                passed_on.fetch_add(1, Ordering::SeqCst);
                if let Some(next) = hands.get(hand + 1) {
                    next.notify_one();
                }
            });
        }
        // The loop is a task itself, not what the runtime was started with.
        let looping = runtime.spawn(async move {
            hands[0].notify_one();
            for passes in 1..=HANDS {
                pass().await;
                assert_eq!(passed_on.load(Ordering::SeqCst), passes as u64);
            }
        });
        runtime.block_on(looping).unwrap();
    }

    #[test]
    fn a_turn_is_given_to_a_thread_that_is_awake_and_has_something_to_see() {
        let pulse = Pulse::default();
        assert!(pulse.submitted(), "it sleeps and is woken");
        assert!(!pulse.is_behind(), "who is woken needs no turn");
        pulse.awake.store(true, Ordering::SeqCst);
        assert!(pulse.is_behind());
        pulse.left.store(false, Ordering::SeqCst);
        assert!(!pulse.is_behind(), "it has seen everything");
    }
}
