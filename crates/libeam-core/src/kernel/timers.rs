//! Everything that happens later: user timers, idle timeouts, delayed restarts, patience with exits.
//!
//! All of it hangs on one wheel. An interval has at most one tick waiting in its actor's mailbox: a
//! tick that finds the last one unhandled is skipped, so a slow actor is not buried by its own clock.

use super::{Event, Kernel, Signal, TICK_US};
use crate::actor_id::{ActorIndex, NIL};
use crate::ring::protocol::*;
use crate::timer::TimerKey;

/// What a point in time is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// A message of the user's.
    Send {
        /// Slot of the message.
        slot: u32,
        /// Period of an interval in milliseconds; 0 for a single shot.
        period_ms: u32,
        /// Whether the message is for another actor than the owner of the timer.
        relayed: bool,
    },
    /// The idle timeout.
    Idle,
    /// The next incarnation of one actor.
    Restart,
    /// The first start of a plan of this parent.
    PlanStart,
    /// An exit has waited long enough.
    Patience,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    alarm: Alarm,
    actor: ActorIndex,
    generation: u32,
    /// Key in the wheel; `None` once a single shot has fired.
    key: Option<TimerKey>,
    /// Its time has come, and it is about to fire.
    due: bool,
    /// A tick is in the mailbox, or with the isolate.
    waiting: bool,
    /// Cell of the mailbox in which it is, or `NIL`.
    cell: u32,
    /// User timers of the same actor, newest first.
    prev: u32,
    next: u32,
    used: bool,
}

/// Alarms by index.
#[derive(Debug, Default)]
pub struct Alarms {
    entries: Vec<Entry>,
    free: Vec<u32>,
    len: usize,
}

impl Alarms {
    /// Alarms in use.
    pub fn len(&self) -> usize {
        self.len
    }

    fn insert(&mut self, actor: ActorIndex, alarm: Alarm) -> u32 {
        self.len += 1;
        let entry = Entry {
            alarm,
            actor,
            generation: 0,
            key: None,
            due: false,
            waiting: false,
            cell: NIL,
            prev: NIL,
            next: NIL,
            used: true,
        };
        if let Some(index) = self.free.pop() {
            let generation = self.entries[index as usize].generation;
            self.entries[index as usize] = Entry { generation, ..entry };
            return index;
        }
        self.entries.push(entry);
        (self.entries.len() - 1) as u32
    }

    fn remove(&mut self, index: u32) {
        let entry = &mut self.entries[index as usize];
        entry.used = false;
        entry.due = false;
        entry.key = None;
        entry.generation = next_generation(entry.generation);
        self.free.push(index);
        self.len -= 1;
    }

    fn find(&self, index: u32, generation: u32) -> Option<u32> {
        let entry = self.entries.get(index as usize)?;
        (entry.used && entry.generation == generation).then_some(index)
    }
}

/// What came of starting a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum TimerStart {
    /// Its name: index and generation.
    Started(u32, u32),
    /// The actor has as many as it may.
    Full,
    /// The actor is gone.
    Gone,
}

impl Kernel {
    /// Timers and deadlines that will do something.
    #[must_use]
    pub fn alarms_len(&self) -> usize {
        self.wheel.len() + self.deadlines.len()
    }

    /// Sets an alarm; the tick is rounded up, so nothing fires early.
    pub(super) fn set_alarm(&mut self, actor: ActorIndex, alarm: Alarm, delay_ms: u32) -> u32 {
        let index = self.alarms.insert(actor, alarm);
        self.wind(index, delay_ms);
        index
    }

    fn wind(&mut self, index: u32, delay_ms: u32) {
        let deadline = self.now_us.div_ceil(TICK_US) + u64::from(delay_ms);
        self.alarms.entries[index as usize].key = Some(self.wheel.insert(deadline, index));
    }

    /// Takes an alarm back.
    pub(super) fn clear_alarm(&mut self, index: u32) {
        if let Some(key) = self.alarms.entries[index as usize].key {
            self.wheel.cancel(key);
        }
        self.alarms.remove(index);
    }

    pub(super) fn fire_alarms(&mut self) {
        let now = self.now_us / TICK_US;
        if self.wheel.next_deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        let mut expired = std::mem::take(&mut self.expired);
        self.wheel.expire(now, &mut expired);
        for &index in &expired {
            let entry = &mut self.alarms.entries[index as usize];
            entry.key = None;
            entry.due = true;
        }
        for index in expired.drain(..) {
            self.fire(index);
        }
        self.expired = expired;
    }

    fn fire(&mut self, index: u32) {
        let Entry { alarm, actor, waiting, due, .. } = self.alarms.entries[index as usize];
        if !due {
            return; // Cancelled by an alarm that fired in the same tick; the index may be in use again.
        }
        self.alarms.entries[index as usize].due = false;
        match alarm {
            Alarm::Send { period_ms, .. } => {
                if period_ms > 0 {
                    self.wind(index, period_ms);
                }
                if !waiting {
                    let generation = self.alarms.entries[index as usize].generation;
                    let cell = self.enqueue_signal(actor, Signal::Timer { timer: index, generation });
                    let entry = &mut self.alarms.entries[index as usize];
                    (entry.waiting, entry.cell) = (true, cell);
                }
            }
            Alarm::Idle => self.idle_fired(actor, index),
            Alarm::Restart => {
                self.alarms.remove(index);
                self.table.cold_mut(actor).restart_timer = None;
                self.start_incarnation(actor);
            }
            Alarm::PlanStart => {
                self.alarms.remove(index);
                self.plan_delay_passed(actor);
            }
            Alarm::Patience => {
                self.alarms.remove(index);
                self.patience_lost(actor);
            }
        }
    }

    /// Starts a user timer.
    pub(super) fn start_timer(&mut self, actor: ActorIndex, send: Alarm, delay_ms: u32) -> TimerStart {
        if !self.has_incarnation(actor) || self.table.flags(actor) & (FLAG_STOPPING | FLAG_DEAD) != 0 {
            return TimerStart::Gone;
        }
        let limit = self.config.timers_per_actor_max;
        if self.table.cold_mut(actor).timers_len >= limit {
            return TimerStart::Full;
        }
        let index = self.set_alarm(actor, send, delay_ms);
        let cold = self.table.cold_mut(actor);
        cold.timers_len += 1;
        let first = cold.timers.replace(index).unwrap_or(NIL);
        self.alarms.entries[index as usize].next = first;
        if first != NIL {
            self.alarms.entries[first as usize].prev = index;
        }
        TimerStart::Started(index, self.alarms.entries[index as usize].generation)
    }

    /// Cancels a user timer and gives its slot back, unless its message is already being handled.
    pub(super) fn cancel_timer(&mut self, index: u32, generation: u32) -> Option<u32> {
        let index = self.alarms.find(index, generation)?;
        let Entry { alarm: Alarm::Send { slot, .. }, actor, waiting, .. } = self.alarms.entries[index as usize] else {
            return None;
        };
        if waiting {
            self.withdraw_tick(actor, index);
        }
        self.forget_timer(index);
        Some(slot)
    }

    /// Takes the waiting tick of a timer out of its actor's mailbox, if it is there.
    fn withdraw_tick(&mut self, actor: ActorIndex, timer: u32) {
        let cell = std::mem::replace(&mut self.alarms.entries[timer as usize].cell, NIL);
        if cell != NIL {
            let signal = slot_of(self.pool.entry(cell));
            self.take_entry_out(actor, cell);
            self.forget_signal(signal);
        }
    }

    /// A signal is in that cell of a mailbox now, or in none.
    pub(super) fn signal_moved(&mut self, signal: u32, cell: u32) {
        if let Some(Signal::Timer { timer, generation }) = self.signals[signal as usize]
            && let Some(index) = self.alarms.find(timer, generation)
        {
            self.alarms.entries[index as usize].cell = cell;
        }
    }

    /// Whether the ticks in a mailbox are where the books say, for checks.
    #[must_use]
    pub fn knows_ticks(&self, actor: ActorIndex) -> bool {
        self.table.get(actor).mailbox.iter(&self.pool).all(|(cell, word)| {
            let signal = if kind_of(word) == ENTRY_SIGNAL { self.signals[slot_of(word) as usize] } else { None };
            let Some(Signal::Timer { timer, generation }) = signal else { return true };
            self.alarms.find(timer, generation).is_some_and(|at| self.alarms.entries[at as usize].cell == cell)
        })
    }

    /// Removes a user timer from its actor and from the world.
    fn forget_timer(&mut self, index: u32) {
        let Entry { actor, prev, next, .. } = self.alarms.entries[index as usize];
        if next != NIL {
            self.alarms.entries[next as usize].prev = prev;
        }
        let cold = self.table.cold_mut(actor);
        cold.timers_len -= 1;
        if prev == NIL {
            cold.timers = (next != NIL).then_some(next);
        } else {
            self.alarms.entries[prev as usize].next = next;
        }
        self.clear_alarm(index);
    }

    /// Cancels all user timers of an actor and has their slots freed.
    pub(super) fn cancel_all_timers(&mut self, actor: ActorIndex) {
        while let Some(index) = self.table.get(actor).cold.as_ref().and_then(|cold| cold.timers) {
            let generation = self.alarms.entries[index as usize].generation;
            if let Some(slot) = self.cancel_timer(index, generation) {
                self.outbox.push(Event::new(EVENT_FREE, NIL, &[slot]));
            }
        }
    }

    /// Writes a tick down for the isolate.
    pub(super) fn show_timer(&self, actor: ActorIndex, index: u32, generation: u32) -> Event {
        let Some(Alarm::Send { slot, period_ms, .. }) = self.alarms.find(index, generation).map(|at| self.alarm(at))
        else {
            return Event::new(EVENT_FREE, actor, &[NIL]);
        };
        Event::new(EVENT_TIMER, actor, &[slot, u32::from(period_ms == 0), index, generation])
    }

    /// Whether a signal that an actor is given is a message to it, after which its idle timeout starts anew.
    pub(super) fn is_message(&self, signal: u32) -> bool {
        match self.signals[signal as usize] {
            Some(Signal::Down { .. } | Signal::Exit { .. }) => true,
            Some(Signal::Timer { timer, generation }) => self
                .alarms
                .find(timer, generation)
                .is_some_and(|at| matches!(self.alarm(at), Alarm::Send { relayed: false, .. })),
            Some(Signal::Idle { .. } | Signal::Continue { .. }) | None => false,
        }
    }

    /// Whether a timer still exists.
    pub(super) fn has_timer(&self, index: u32, generation: u32) -> bool {
        self.alarms.find(index, generation).is_some()
    }

    fn alarm(&self, index: u32) -> Alarm {
        self.alarms.entries[index as usize].alarm
    }

    /// A tick has been handled, or thrown away with its mailbox: a single shot is over.
    pub(super) fn tick_over(&mut self, index: u32, generation: u32) {
        let Some(index) = self.alarms.find(index, generation) else { return };
        let entry = &mut self.alarms.entries[index as usize];
        (entry.waiting, entry.cell) = (false, NIL);
        if let Alarm::Send { slot, period_ms: 0, .. } = self.alarm(index) {
            self.forget_timer(index);
            self.outbox.push(Event::new(EVENT_FREE, NIL, &[slot]));
        }
    }

    /// Sets, changes or (0) removes the idle timeout.
    pub(super) fn set_idle_timeout(&mut self, actor: ActorIndex, idle_ms: u32) {
        if !self.has_incarnation(actor) || (idle_ms == 0 && self.table.get(actor).cold.is_none()) {
            return;
        }
        let now = self.now_us.div_ceil(TICK_US);
        let cold = self.table.cold_mut(actor);
        cold.idle_ms = idle_ms;
        cold.idle_since = now;
        if let Some(index) = cold.idle_timer.take() {
            self.clear_alarm(index);
        }
        if idle_ms == 0 {
            self.table.lower(actor, FLAG_OBSERVED);
            return;
        }
        self.table.raise(actor, FLAG_OBSERVED);
        let index = self.set_alarm(actor, Alarm::Idle, idle_ms);
        self.table.cold_mut(actor).idle_timer = Some(index);
    }

    /// A message is being handled. The alarm stays where it is and looks at the time when it fires.
    pub(super) fn touch_idle(&mut self, actor: ActorIndex) {
        self.table.cold_mut(actor).idle_since = self.now_us.div_ceil(TICK_US);
    }

    fn idle_fired(&mut self, actor: ActorIndex, index: u32) {
        let now = self.now_us / TICK_US;
        let cold = self.table.cold_mut(actor);
        let (idle_ms, due) = (cold.idle_ms, cold.idle_since + u64::from(cold.idle_ms));
        if now < due {
            self.wind(index, (due - now) as u32);
            return;
        }
        let elapsed = u32::try_from(now - cold.idle_since).unwrap_or(u32::MAX); // 49 days and more.
        let busy = self.table.pending(actor) > 0;
        self.wind(index, idle_ms);
        if !busy {
            self.enqueue_signal(actor, Signal::Idle { idle_ms: elapsed });
        }
    }
}
