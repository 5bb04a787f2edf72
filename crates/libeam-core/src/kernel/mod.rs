//! The actor runtime of one isolate: one state machine that joins tables, queues, timers and supervision.
//!
//! # Inputs
//! * [`Kernel::submit`] consumes the submission queue: messages, and news about handlers.
//! * [`Kernel::control`] performs one operation that JavaScript waits for (spawn, stop, link, …).
//! * [`Kernel::enter`] fills the completion queue with events and messages for the isolate to handle.
//! * [`Kernel::handle_timeout`] moves time on; [`Kernel::poll_timeout`] tells when it has to.
//!
//! # Rules
//! * Every input first consumes what was submitted before it, so JavaScript sees its own order.
//! * Whatever runs user code leaves through the completion queue, as a message or an event; nothing
//!   else does. Events that tell JavaScript to do something (`EVENT_INIT`, `EVENT_TERMINATE`) MUST be
//!   answered by the control operation that belongs to them, with the same incarnation.
//! * An actor handles one message at a time: it is offered messages only while none of
//!   [`BLOCKED`] is raised, and JavaScript raises `FLAG_RUNNING` around each handler.
//! * One exit: `begin_exit` → wait for the handler → stop the children, oldest first → `terminate` →
//!   `finish_exit`, which either releases everything the actor owns (`lifecycle`) or hands it to
//!   the restart that was decided on (`crash`).
//! * An index is used again only after JavaScript has consumed the event that the actor is gone.
//!
//! Deliberately absent: message payloads, user state, other nodes.

mod calls;
mod control;
mod crash;
mod lifecycle;
mod messages;
mod outbox;
mod relations;
mod timers;

pub use control::COUNTERS;
pub use outbox::Event;
pub use timers::Alarm;

use crate::actor_id::{ActorIndex, NIL};
use crate::config::KernelConfig;
use crate::mailbox::Pool;
use crate::reason::{Reason, ReasonStore, Release};
use crate::ring::Words;
use crate::ring::protocol::*;
use crate::scheduler::RunQueue;
use crate::table::groups::Groups;
use crate::table::names::Names;
use crate::table::relation::RelationTable;
use crate::table::{Phase, TURN_MAX, Table};
use crate::timer::{Deadlines, TimerWheel};
use calls::Calls;
use outbox::Outbox;
use std::collections::VecDeque;
use std::ops::Range;
use timers::Alarms;

/// Flags that keep an actor from being given messages.
pub const BLOCKED: u32 = FLAG_RUNNING
    | FLAG_STARTING
    | FLAG_PAUSED
    | FLAG_EXITING
    | FLAG_RESTARTING
    | FLAG_STOPPING
    | FLAG_DEAD
    | FLAG_DOOMED;

/// Microseconds per tick of the timers.
pub const TICK_US: u64 = 1_000;

const SUBMIT_AT: usize = HEADER_WORDS as usize;
const COMPLETE_AT: usize = SUBMIT_AT + SUBMIT_WORDS as usize;
const COMPLETE_END: usize = ENTRIES_AT as usize;
const PAGE_WORDS: usize = (ENTRIES_AT + PREFETCH) as usize;

/// Something the kernel itself puts into a mailbox.
#[derive(Clone, Copy, Debug)]
enum Signal {
    /// A watched actor ended.
    Down { monitor: crate::table::relation::RelationId, reason: Reason },
    /// An exit signal for an actor that traps exits.
    Exit { link: crate::table::relation::RelationId, reason: Reason },
    /// Nothing happened for that many milliseconds.
    Idle { idle_ms: u32 },
    /// A timer fired.
    Timer { timer: u32, generation: u32 },
    /// `handleContinue` is due.
    Continue { slot: u32 },
}

/// One runtime. See the module's header.
pub struct Kernel {
    config: KernelConfig,
    /// Header and the two queues.
    page: Words,
    table: Table,
    /// Cells of all mailboxes and stashes.
    pool: Pool,
    run_queue: RunQueue,
    /// Actors that were given a short turn by the last `enter`.
    issued: Vec<ActorIndex>,
    /// Events for the isolate, oldest first.
    outbox: Outbox,
    /// Ended actors whose end is in the batch that the isolate now has.
    limbo: Vec<ActorIndex>,
    /// Reasons to release when the isolate has consumed the batch that it now has.
    consumed: Vec<Reason>,
    /// Signals in mailboxes, by index; `None` is free.
    signals: Vec<Option<Signal>>,
    free_signals: Vec<u32>,
    /// Signals in the batch that the isolate now has, and for which incarnation; it may still put them
    /// back.
    issued_signals: Vec<(u32, u32)>,
    calls: Calls,
    deadlines: Deadlines,
    wheel: TimerWheel,
    alarms: Alarms,
    monitors: RelationTable,
    links: RelationTable,
    names: Names,
    groups: Groups,
    reasons: ReasonStore,
    /// Actors whose exit goes on when the current step is done; keeps the stack flat.
    exits: VecDeque<ActorIndex>,
    /// Whether `exits` is being worked off.
    draining_exits: bool,
    /// Answer of the last operation that lists something.
    listing: Vec<u32>,
    /// Microseconds since the clock's origin.
    now_us: u64,
    /// State of the generator of jitter (SplitMix64).
    random: u64,
    /// Reused for expired timers.
    expired: Vec<u32>,
}

impl Kernel {
    /// An empty runtime that starts at `now_us`.
    #[must_use]
    pub fn new(config: KernelConfig, now_us: u64) -> Self {
        Self {
            random: config.seed,
            config,
            page: Words::allocate(PAGE_WORDS),
            table: Table::default(),
            pool: Pool::default(),
            run_queue: RunQueue::default(),
            issued: Vec::new(),
            outbox: Outbox::default(),
            limbo: Vec::new(),
            consumed: Vec::new(),
            signals: Vec::new(),
            free_signals: Vec::new(),
            issued_signals: Vec::new(),
            calls: Calls::default(),
            deadlines: Deadlines::new(),
            wheel: TimerWheel::new(now_us / TICK_US),
            alarms: Alarms::default(),
            monitors: RelationTable::default(),
            links: RelationTable::default(),
            names: Names::default(),
            groups: Groups::default(),
            reasons: ReasonStore::default(),
            exits: VecDeque::new(),
            draining_exits: false,
            listing: Vec::new(),
            now_us,
            expired: Vec::new(),
        }
    }

    /// The words shared with the isolate: header and queues.
    #[must_use]
    pub fn page(&self) -> &Words {
        &self.page
    }

    /// The state words shared with the isolate.
    #[must_use]
    pub fn chunks(&self) -> &[Words] {
        self.table.chunks()
    }

    /// The actor table, to look at.
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Answer of the last operation that lists something.
    #[must_use]
    pub fn listing(&self) -> &[u32] {
        &self.listing
    }

    /// Moves time on and fires what is due. Time never runs backwards: earlier times are ignored.
    pub fn handle_timeout(&mut self, now_us: u64) {
        self.now_us = self.now_us.max(now_us);
        self.fire_deadlines();
        self.fire_alarms();
    }

    /// When [`Kernel::handle_timeout`] has something to do, in microseconds; `None` is never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<u64> {
        let tick = match (self.wheel.next_deadline(), self.deadlines.next_deadline()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        tick.map(|tick| tick.saturating_mul(TICK_US))
    }

    /// Consumes the submission queue.
    pub fn submit(&mut self) {
        self.consume(COMPLETE_AT..COMPLETE_AT);
    }

    /// Consumes the submission queue. A cast that is all its actor has to do goes straight into the
    /// next batch while there is room in `straight`; tells where that part of the batch ends.
    fn consume(&mut self, mut straight: Range<usize>) -> usize {
        let words = self.page.get(H_SUBMITTED as usize) as usize;
        if words == 0 {
            return straight.start;
        }
        self.page.set(H_SUBMITTED as usize, 0);
        let mut at = SUBMIT_AT;
        let end = SUBMIT_AT + words.min(SUBMIT_WORDS as usize);
        while at < end {
            let (actor, word) = (self.page.get(at), self.page.get(at + 1));
            at += 2;
            let slot = slot_of(word);
            match kind_of(word) {
                // Perf: neither the actor's record nor the pool is touched ("bulk cast", 1,000 actors).
                SUBMIT_CAST if straight.start < straight.end && self.table.has_one_message(actor) => {
                    self.page.set(straight.start, actor);
                    self.page.set(straight.start + 1, entry(ENTRY_CAST, slot));
                    straight.start += 2;
                }
                SUBMIT_CAST => at = self.accept_casts(actor, slot, at..end),
                SUBMIT_CALL => self.accept_call(actor, slot, self.config.call_timeout_ms),
                SUBMIT_CALL_TIMED => {
                    self.accept_call(actor, slot, self.page.get(at));
                    at += 2;
                }
                SUBMIT_STARTED => self.call_started(actor, slot, self.config.call_timeout_ms),
                SUBMIT_STARTED_TIMED => {
                    self.call_started(actor, slot, self.page.get(at));
                    at += 2;
                }
                SUBMIT_SETTLED => self.call_settled(slot),
                SUBMIT_WAKE => self.wake(actor),
                SUBMIT_UNREAD => {
                    self.unread(actor, self.page.get(at + 1));
                    at += 2;
                }
                _ => debug_assert!(false, "unknown submission {word:#x}"),
            }
        }
        straight.start
    }

    /// Hands the isolate its next batch: events, casts to actors that have nothing else to do, then
    /// messages of runnable actors in turn.
    ///
    /// Events come first because the isolate puts back what follows when it runs out of time. While
    /// somebody waits, casts straight from the submission queue get half of the batch at most.
    pub fn enter(&mut self, now_us: u64) {
        self.now_us = self.now_us.max(now_us); // What is submitted has happened by now.
        let room = if self.has_more() { COMPLETE_WORDS / 2 } else { COMPLETE_WORDS } as usize;
        let straight = COMPLETE_AT..self.consume(COMPLETE_AT..COMPLETE_AT + room);
        self.batch_consumed();
        self.handle_timeout(now_us);
        self.arm_deadlines();
        let mut at = self.write_events(straight);
        while at + EVENT_WORDS as usize <= COMPLETE_END
            && let Some(actor) = self.run_queue.pop()
        {
            at = self.issue(actor, at);
        }
        self.page.set(H_COMPLETED as usize, (at - COMPLETE_AT) as u32);
        self.publish_more();
    }

    /// Writes as many events as fit, before the casts that are in the batch, and tells where those end.
    fn write_events(&mut self, straight: Range<usize>) -> usize {
        let count = self.outbox.len().min((COMPLETE_END - straight.end) / EVENT_WORDS as usize);
        let words = count * EVENT_WORDS as usize;
        if words > 0 {
            for at in straight.clone().rev() {
                self.page.set(at + words, self.page.get(at));
            }
        }
        for at in (COMPLETE_AT..COMPLETE_AT + words).step_by(EVENT_WORDS as usize) {
            let Some(event) = self.outbox.pop() else { break };
            self.write_event(at, &event);
        }
        straight.end + words
    }

    /// Tells the isolate whether another `enter` would bring something.
    fn publish_more(&mut self) {
        self.page.set(H_MORE as usize, u32::from(self.has_more()));
    }

    fn has_more(&self) -> bool {
        !self.outbox.is_empty() || !self.run_queue.is_empty()
    }

    /// Settles accounts for the batch that the isolate has now consumed.
    fn batch_consumed(&mut self) {
        for reason in std::mem::take(&mut self.consumed) {
            self.release_reason(reason);
        }
        for (index, _) in std::mem::take(&mut self.issued_signals) {
            self.signal_consumed(index);
        }
        for actor in std::mem::take(&mut self.limbo) {
            self.table.release(actor);
        }
        for actor in std::mem::take(&mut self.issued) {
            if self.table.flags(actor) & FLAG_RUNNING == 0 {
                let record = self.table.get_mut(actor);
                record.turn = (record.turn * 2).min(TURN_MAX);
            }
            self.schedule(actor);
        }
    }

    /// Puts an actor into the run queue if it has something to do and may.
    #[inline]
    fn schedule(&mut self, actor: ActorIndex) {
        let flags = self.table.flags(actor);
        let record = self.table.get_mut(actor);
        if !record.scheduled && !record.mailbox.is_empty() && flags & BLOCKED == 0 {
            record.scheduled = true;
            self.run_queue.push(actor);
        }
    }

    /// Writes the turn of one actor and tells where it ended. An actor that has more gets another turn in
    /// the same batch after the others, unless its messages would have to come back.
    fn issue(&mut self, actor: ActorIndex, mut at: usize) -> usize {
        let flags = self.table.flags(actor);
        let record = self.table.get_mut(actor);
        record.scheduled = false;
        if flags & BLOCKED != 0 {
            return at;
        }
        // A bound counts waiting messages, so those of a bounded mailbox wait there and not in a batch.
        let bounded = record.capacity > 0;
        let turn = if bounded { 1 } else { record.turn as usize };
        let full = COMPLETE_END + 1 - EVENT_WORDS as usize;
        // Perf: entries that are casts need no books but the record's ("bulk cast", 1 actor).
        let plain = if flags == 0 { turn.min((full - at).div_ceil(2)) } else { 0 };
        let mut issued = record.issue_casts(&mut self.pool, plain, |entry| {
            self.page.set(at, actor);
            self.page.set(at + 1, entry);
            at += 2;
        });
        while issued < turn && at < full {
            let Some(entry) = self.take_next(actor) else { break };
            at = self.write_entry(at, actor, entry);
            issued += 1;
        }
        let record = self.table.get(actor);
        if bounded || record.turn < TURN_MAX {
            self.issued.push(actor);
        } else {
            self.schedule(actor);
        }
        at
    }

    /// Takes the first entry of a mailbox and keeps the books.
    #[inline]
    fn take_next(&mut self, actor: ActorIndex) -> Option<u32> {
        let record = self.table.get_mut(actor);
        let entry = record.mailbox.pop(&mut self.pool)?;
        record.puts_back = false;
        match kind_of(entry) {
            ENTRY_CALL => {
                self.calls.issued(slot_of(entry));
                self.table.get_mut(actor).queued -= 1;
            }
            ENTRY_CAST => self.table.get_mut(actor).queued -= 1,
            _ if !self.is_message(slot_of(entry)) => return Some(entry),
            _ => {}
        }
        if self.table.flags(actor) & FLAG_OBSERVED != 0 {
            self.touch_idle(actor);
        }
        Some(entry)
    }

    /// Writes an entry of a mailbox as a record.
    #[inline]
    fn write_entry(&mut self, at: usize, actor: ActorIndex, entry: u32) -> usize {
        if kind_of(entry) == ENTRY_SIGNAL {
            let event = self.show_signal(actor, slot_of(entry));
            self.write_event(at, &event);
            return at + EVENT_WORDS as usize;
        }
        self.page.set(at, actor);
        self.page.set(at + 1, entry);
        at + 2
    }

    /// Writes an event as a record and remembers what its consumption releases.
    fn write_event(&mut self, at: usize, event: &Event) {
        self.page.set(at, event.actor);
        self.page.set(at + 1, entry(ENTRY_EVENT, event.code));
        for (offset, &word) in event.words.iter().enumerate() {
            self.page.set(at + 2 + offset, word);
        }
        match event.code {
            EVENT_GONE => self.limbo.push(event.actor),
            EVENT_SIGNALLED => self.consumed.push(event.reason()),
            EVENT_TERMINATE => self.terminate_issued(event.actor, event.words[0]),
            _ => {}
        }
    }

    /// Takes the next messages of one actor for an isolate that has just ended a handler of it. The
    /// actor is the first argument in the header. The first result is the number of entries, which are
    /// at [`ENTRIES_AT`]; or [`NIL`] if a signal is next, whose record is at [`H_NEXT`].
    ///
    /// The isolate puts back what it does not get to, with `SUBMIT_UNREAD`, last one first.
    pub fn next(&mut self) {
        self.submit();
        let actor = self.page.get(H_ARGS as usize);
        let taken = self.take_out_of_turn(actor);
        self.page.set(H_RESULTS as usize, taken);
    }

    fn take_out_of_turn(&mut self, actor: ActorIndex) -> u32 {
        if self.table.flags(actor) & BLOCKED != 0 {
            return 0;
        }
        let most = if self.table.get(actor).capacity > 0 { 1 } else { PREFETCH };
        let mut taken = 0;
        while taken < most {
            let Some(first) = self.table.get(actor).mailbox.first(&self.pool) else { break };
            if kind_of(first) == ENTRY_SIGNAL {
                if taken == 0
                    && let Some(entry) = self.take_next(actor)
                {
                    self.write_entry(H_NEXT as usize, actor, entry);
                    return NIL;
                }
                break;
            }
            if let Some(entry) = self.take_next(actor) {
                self.page.set((ENTRIES_AT + taken) as usize, entry);
                taken += 1;
            }
        }
        taken
    }

    /// A handler has ended while the actor had flags or messages.
    fn wake(&mut self, actor: ActorIndex) {
        if !self.table.exists(actor) {
            return;
        }
        if self.table.get(actor).phase == Phase::AwaitHandler
            && self.table.flags(actor) & (FLAG_RUNNING | FLAG_STARTING) == 0
        {
            self.handler_ended(actor);
            return;
        }
        self.schedule(actor);
    }

    fn release_reason(&mut self, reason: Reason) {
        if self.reasons.release(reason) == Release::Free {
            self.outbox.push(Event::new(EVENT_FREE, NIL, &[reason.token]));
        }
    }

    /// The next number in `[0, 1)` (SplitMix64, Steele et al. 2014).
    fn random(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}
