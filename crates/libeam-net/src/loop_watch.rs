//! The driver of a [`libeam_core::event_loop`] machine: an [`Alarm`] on the process's driver thread.
//!
//! The driver thread and not the thread of a node's membership: a system without a cluster has no such
//! thread, and one watch per isolate is enough. Membership is told ([`LoopWatch::follow`]), as is whoever
//! reads the shared word.
//!
//! Ownership. The machine is behind a lock that both the driver thread and the watched loop take, for a
//! moment each. The word is [`LoopState`] as a number, and changes under that lock. A follower is told under
//! it, too: otherwise two changes could reach it in the wrong order. It must not block, nor use the watch.
//! Dropping the watch ends the questions; whoever follows is not told.

use crate::{Alarm, MonotonicClock};
use libeam_core::event_loop::{Block, LoopConfig, LoopState, LoopWatch as Machine, Step};
use parking_lot::Mutex;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, Weak};

type Follower = Box<dyn Fn(LoopState) + Send>;

/// Asks an event loop whether it still turns, a few times per second.
pub struct LoopWatch {
    shared: Arc<Shared>,
}

struct Shared {
    watched: Mutex<Watched>,
    /// 0 while the loop answers; read by the loop itself.
    word: Arc<AtomicU32>,
    /// Asks the loop; it answers by [`LoopWatch::answer`].
    ask: Box<dyn Fn() + Send + Sync>,
    /// Set once, right after the start.
    alarm: OnceLock<Alarm>,
}

struct Watched {
    machine: Machine,
    /// Is told of every change of the state.
    follower: Option<Follower>,
}

impl fmt::Debug for LoopWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopWatch").field("state", &self.state()).finish_non_exhaustive()
    }
}

impl LoopWatch {
    /// Starts to ask. `ask` is called on the driver thread and must not block.
    pub fn start(config: LoopConfig, ask: impl Fn() + Send + Sync + 'static) -> Self {
        let now_us = MonotonicClock.now_us();
        let shared = Arc::new(Shared {
            watched: Mutex::new(Watched { machine: Machine::new(config, now_us), follower: None }),
            word: Arc::default(),
            ask: Box::new(ask),
            alarm: OnceLock::new(),
        });
        let for_alarm = Arc::downgrade(&shared);
        let alarm = shared.alarm.get_or_init(|| Alarm::new(move || due(&for_alarm)));
        alarm.set(now_us);
        Self { shared }
    }

    /// The loop answers. Called on the loop itself.
    pub fn answer(&self) -> Option<Block> {
        self.shared.step(Machine::handle_answer)
    }

    /// How the loop does.
    #[must_use]
    pub fn state(&self) -> LoopState {
        self.shared.watched.lock().machine.state()
    }

    /// The state as a number that changes with it: 0 is [`LoopState::Ok`].
    #[must_use]
    pub fn word(&self) -> Arc<AtomicU32> {
        Arc::clone(&self.shared.word)
    }

    /// Has somebody told of the state now and of every change, in place of who was before.
    pub fn follow(&self, follower: impl Fn(LoopState) + Send + 'static) {
        let mut watched = self.shared.watched.lock();
        follower(watched.machine.state());
        watched.follower = Some(Box::new(follower));
    }
}

fn due(shared: &Weak<Shared>) {
    let Some(shared) = shared.upgrade() else { return };
    if shared.step(Machine::handle_timeout) == Step::Ask {
        (shared.ask)();
    }
}

impl Shared {
    /// Moves the machine, tells what has changed, and sets the alarm as the machine asks.
    fn step<T>(&self, step: impl FnOnce(&mut Machine, u64) -> T) -> T {
        let mut watched = self.watched.lock();
        let before = watched.machine.state();
        let outcome = step(&mut watched.machine, MonotonicClock.now_us());
        let state = watched.machine.state();
        if state != before {
            self.word.store(state as u32, Ordering::Relaxed);
            if let Some(follower) = &watched.follower {
                follower(state);
            }
        }
        if let (Some(alarm), Some(due_us)) = (self.alarm.get(), watched.machine.poll_timeout()) {
            alarm.set(due_us);
        }
        outcome
    }
}
