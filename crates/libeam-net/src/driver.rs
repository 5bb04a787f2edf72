//! The driver: one thread per process that sleeps until the next alarm is due.
//!
//! The thread, `libeam-driver`, starts with the first [`Alarm`] and lives as long as the process. It
//! runs a tokio current-thread runtime, so that sockets can join it later; it holds no strong reference
//! to anything of the user's but the callbacks of live alarms.
//!
//! Ownership. Each alarm owns its `AlarmState` behind its own lock; the driver owns the queue behind
//! another. The deadline in the state is the truth. The queue only says when the driver has to look at
//! an alarm, which MUST NOT be later than its deadline and MAY be earlier: moving a deadline away, or
//! clearing it, leaves the queue alone, and the driver corrects the entry when it gets there. That makes
//! the common case of [`Alarm::set`] one uncontended lock.
//!
//! States of an alarm: idle (no deadline), armed, due (driver has taken the deadline and is calling
//! back), dropped (no callback any more). The callback may do anything to any alarm, its own included.
//!
//! Invariants:
//! 1. An alarm has at most one entry in the queue, the one its `queued_us` names; an entry that the
//!    driver has popped and that `queued_us` no longer names has been replaced meanwhile.
//! 2. Locks are taken in the order state, queue. No lock is held while a callback runs or is dropped.
//! 3. `Queue::looks_at_us` is not later than the first entry, unless a wake-up is on its way.
//!
//! Failure: a panic in a callback is caught and logged, the alarm stays usable. If the thread cannot be
//! started, creating an alarm panics. Resolution is that of tokio's timer: up to about a millisecond
//! late, never early. Callbacks run one after the other and delay each other, so they MUST be short.
//!
//! Limits: none on the number of alarms, which are made per isolate, not per actor.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;

use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::MonotonicClock;

const THREAD_NAME: &str = "libeam-driver";

/// `Queue::looks_at_us` of a driver that waits for the first alarm.
const NEVER: u64 = u64::MAX;

static DRIVER: LazyLock<Arc<Driver>> = LazyLock::new(Driver::start);

thread_local! {
    static ON_DRIVER_THREAD: Cell<bool> = const { Cell::new(false) };
}

type Callback = Arc<dyn Fn() + Send + Sync>;

/// Calls back once for each deadline it is given, when that deadline has come.
///
/// Dropping it takes the deadline away. Once the drop returns, the callback is not running and will not
/// be called again, and what it captured has been released; the one exception is a drop from inside a
/// callback, which does not wait for that callback to end.
pub struct Alarm {
    entry: Arc<Entry>,
}

impl Alarm {
    /// An alarm without a deadline. `on_due` is called on the driver thread and must not block.
    ///
    /// # Panics
    ///
    /// When this is the first alarm of the process and the driver thread cannot be started.
    pub fn new(on_due: impl Fn() + Send + Sync + 'static) -> Self {
        let id = DRIVER.next_id.fetch_add(1, Ordering::Relaxed);
        Self {
            entry: Arc::new(Entry {
                id,
                state: Mutex::new(AlarmState {
                    deadline_us: None,
                    queued_us: None,
                    callback: Some(Arc::new(on_due)),
                    running: false,
                }),
                finished: Condvar::new(),
            }),
        }
    }

    /// Replaces the deadline, a time of [`MonotonicClock`]; one that has passed is due at once.
    pub fn set(&self, deadline_us: u64) {
        let mut state = self.entry.state.lock();
        state.deadline_us = Some(deadline_us);
        match state.queued_us {
            Some(queued_us) if queued_us <= deadline_us => {}
            _ => DRIVER.enqueue(&self.entry, &mut state, deadline_us),
        }
    }

    /// Takes the deadline away, if there is one.
    ///
    /// A callback that is already running on the driver thread is not waited for.
    pub fn clear(&self) {
        self.entry.state.lock().deadline_us = None;
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let callback = {
            let mut state = self.entry.state.lock();
            state.deadline_us = None;
            if let Some(queued_us) = state.queued_us.take() {
                DRIVER.queue.lock().entries.remove(&(queued_us, self.entry.id));
            }
            // Race: on the driver thread nothing can be running but the caller itself.
            while state.running && !ON_DRIVER_THREAD.get() {
                self.entry.finished.wait(&mut state);
            }
            state.callback.take()
        };
        drop(callback);
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let deadline_us = self.entry.state.lock().deadline_us;
        f.debug_struct("Alarm").field("deadline_us", &deadline_us).finish_non_exhaustive()
    }
}

struct Entry {
    /// Tells entries with equal times apart; never used twice.
    id: u64,
    /// Everything that changes.
    state: Mutex<AlarmState>,
    /// Signalled whenever `running` becomes false.
    finished: Condvar,
}

struct AlarmState {
    /// When the callback is to be called; `None` while the alarm is idle.
    deadline_us: Option<u64>,
    /// Under which time the alarm is in the queue, at most `deadline_us` if both are there.
    queued_us: Option<u64>,
    /// What to call; `None` once the alarm has been dropped.
    callback: Option<Callback>,
    /// Whether the driver thread holds the callback to call it.
    running: bool,
}

struct Queue {
    /// Alarms to look at, by time; the number is the alarm's id.
    entries: BTreeMap<(u64, u64), Arc<Entry>>,
    /// When the driver will look at the queue again if nobody wakes it.
    looks_at_us: u64,
}

struct Driver {
    /// The alarms that have to be looked at.
    queue: Mutex<Queue>,
    /// Ends the driver's sleep.
    wake: Notify,
    /// The id of the next alarm.
    next_id: AtomicU64,
    /// What deadlines are measured on.
    clock: MonotonicClock,
}

impl Driver {
    fn start() -> Arc<Self> {
        let driver = Arc::new(Self {
            queue: Mutex::new(Queue { entries: BTreeMap::new(), looks_at_us: NEVER }),
            wake: Notify::new(),
            next_id: AtomicU64::new(0),
            clock: MonotonicClock,
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("libeam cannot build the runtime of its driver thread");
        let on_thread = Arc::clone(&driver);
        thread::Builder::new()
            .name(THREAD_NAME.to_owned())
            .spawn(move || {
                ON_DRIVER_THREAD.set(true);
                runtime.block_on(on_thread.run());
            })
            .expect("libeam cannot start its driver thread");
        driver
    }

    async fn run(&self) {
        let mut due = Vec::new();
        loop {
            self.take_due(&mut due);
            for (queued_us, entry) in due.drain(..) {
                self.visit(queued_us, &entry);
            }
            let next_us = self.plan_sleep();
            let woken = self.wake.notified();
            match self.clock.instant(next_us) {
                Some(instant) if next_us != NEVER => {
                    // Either outcome means the same: look at the queue.
                    let _ = timeout_at(Instant::from_std(instant), woken).await;
                }
                _ => woken.await,
            }
        }
    }

    /// Pops every entry whose time has come.
    fn take_due(&self, due: &mut Vec<(u64, Arc<Entry>)>) {
        let now_us = self.clock.now_us();
        let mut queue = self.queue.lock();
        // Perf: while the driver is awake nobody has to wake it, `plan_sleep` will see what they add.
        queue.looks_at_us = 0;
        while let Some(first) = queue.entries.first_entry() {
            let (queued_us, _) = *first.key();
            if queued_us > now_us {
                break;
            }
            due.push((queued_us, first.remove()));
        }
    }

    /// Announces when the driver looks at the queue again.
    fn plan_sleep(&self) -> u64 {
        let mut queue = self.queue.lock();
        let first = queue.entries.first_key_value();
        let next_us = first.map_or(NEVER, |(&(queued_us, _), _)| queued_us);
        queue.looks_at_us = next_us;
        next_us
    }

    /// Calls back the alarm of a popped entry if it is due, and queues it again if it has moved.
    fn visit(&self, queued_us: u64, entry: &Arc<Entry>) {
        let callback = {
            let mut state = entry.state.lock();
            if state.queued_us != Some(queued_us) {
                return;
            }
            state.queued_us = None;
            let Some(deadline_us) = state.deadline_us else {
                return;
            };
            if deadline_us > self.clock.now_us() {
                self.enqueue(entry, &mut state, deadline_us);
                return;
            }
            state.deadline_us = None;
            state.running = true;
            state.callback.clone()
        };
        let outcome = catch_unwind(AssertUnwindSafe(move || {
            // The captures may be released here, if the callback drops its own alarm.
            if let Some(callback) = callback {
                callback();
            }
        }));
        if outcome.is_err() {
            tracing::error!("the callback of an alarm panicked; the alarm stays usable");
        }
        entry.state.lock().running = false;
        entry.finished.notify_all();
    }

    /// Makes the driver look at an alarm at the given time, instead of whenever it was queued for.
    fn enqueue(&self, entry: &Arc<Entry>, state: &mut AlarmState, at_us: u64) {
        let mut queue = self.queue.lock();
        if let Some(queued_us) = state.queued_us.replace(at_us) {
            queue.entries.remove(&(queued_us, entry.id));
        }
        queue.entries.insert((at_us, entry.id), Arc::clone(entry));
        if at_us < queue.looks_at_us {
            queue.looks_at_us = at_us;
            drop(queue);
            self.wake.notify_one();
        }
    }
}
