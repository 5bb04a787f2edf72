//! The isolate: its state, its view of the shared words, and when it crosses into the core.

use super::cell::{Answer, Buried, CallId, Cell, Key, Record, Ref, What};
use super::slots::Slots;
use crate::actor_id::NIL;
use crate::config::KernelConfig;
use crate::kernel::Kernel;
use crate::ring::protocol::*;
use std::collections::HashMap;

/// Handlers that may run inside each other.
pub(super) const DEPTH_MAX: u32 = 32;
/// The flags and pending words of an actor.
const WORD_FLAGS: usize = 0;
const WORD_PENDING: usize = 1;
const SUBMIT_AT: usize = HEADER_WORDS as usize;
const SUBMIT_END: usize = SUBMIT_AT + SUBMIT_WORDS as usize;
/// Batches after which a kernel that still has more is called a spinner.
const BATCHES_MAX: u32 = 20_000;

/// Rounds of stopping everything, and how long to wait between two at least.
const WINDING_UP_MAX: u32 = 2_000;
const WINDING_UP_US: u64 = 100_000;

/// A call as its caller sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallState {
    pub actor: Ref,
    pub answer: Option<Answer>,
    /// It may not time out before, in virtual microseconds.
    pub not_before_us: u64,
    /// Slot while the call is anywhere in the pipeline.
    pub slot: Option<u32>,
}

/// A timer as whoever started it sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimerState {
    pub actor: Ref,
    pub key: Key,
    /// No tick may come before, in virtual microseconds.
    pub not_before_us: u64,
    /// 0 for a single shot.
    pub period_ms: u32,
}

/// A watch or link as whoever made it sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct RelationState {
    pub from: Ref,
    pub to: Ref,
    pub key: Key,
    /// The one message that it may cause has come.
    pub told: bool,
}

/// JavaScript's part over one kernel. See the module's header.
pub struct Isolate {
    /// The kernel under test.
    pub kernel: Kernel,
    /// Virtual time in microseconds.
    pub now_us: u64,
    /// Everything that happened, oldest first.
    pub log: Vec<Record>,
    /// Timeout of calls that name none, in milliseconds.
    pub(super) call_timeout_ms: u32,
    pub(super) slots: Slots,
    pub(super) cells: Vec<Cell>,
    /// Cells by the core's index.
    pub(super) by_index: Vec<Option<Ref>>,
    pub(super) calls: Vec<CallState>,
    pub(super) timers: Vec<TimerState>,
    pub(super) watches: Vec<RelationState>,
    pub(super) links: Vec<RelationState>,
    /// Next free word of the submission queue.
    pub(super) submit_at: usize,
    /// The actor whose handler is on the stack.
    pub(super) current: Option<Ref>,
    /// Handlers that run inside each other now.
    pub(super) depth: u32,
    /// Actors whose pumps know what the core does not.
    pub(super) held: Vec<Ref>,
    /// A flush is scheduled, because something was submitted or held.
    pub(super) scheduled: bool,
    /// A batch is being walked through.
    walking: bool,
    /// Record of the batch that is being handled, and the end of the batch.
    pub(super) batch: (usize, usize),
    /// Slots to free when the batch, which may still name them, is over.
    pub(super) late: Vec<u32>,
    /// Actors by the core's index that never lived, and that the core has not cleared up.
    pub(super) buried: HashMap<u32, (Ref, Buried)>,
    /// Sequence of the last message.
    pub(super) sequence: u64,
    /// Signals that the core has shown since the last `enter`, those that were put back excluded.
    pub(super) signals_shown: u32,
}

impl Isolate {
    /// An isolate with a kernel of its own, at time 0.
    #[must_use]
    pub fn new(config: KernelConfig) -> Self {
        Self {
            call_timeout_ms: config.call_timeout_ms,
            kernel: Kernel::new(config, 0),
            now_us: 0,
            log: Vec::new(),
            slots: Slots::default(),
            cells: Vec::new(),
            by_index: Vec::new(),
            calls: Vec::new(),
            timers: Vec::new(),
            watches: Vec::new(),
            links: Vec::new(),
            submit_at: SUBMIT_AT,
            current: None,
            depth: 0,
            held: Vec::new(),
            scheduled: false,
            walking: false,
            batch: (0, 0),
            late: Vec::new(),
            buried: HashMap::new(),
            sequence: 0,
            signals_shown: 0,
        }
    }

    /// The cell of an actor.
    #[must_use]
    pub fn cell(&self, actor: Ref) -> &Cell {
        &self.cells[actor.0]
    }

    pub(super) fn cell_mut(&mut self, actor: Ref) -> &mut Cell {
        &mut self.cells[actor.0]
    }

    /// All actors that the isolate does not know to be gone, oldest first.
    #[must_use]
    pub fn living(&self) -> Vec<Ref> {
        (0..self.cells.len()).map(Ref).filter(|&actor| !self.cell(actor).dead).collect()
    }

    /// What is left of an actor that never lived.
    pub(super) fn buried(&self, actor: Ref) -> Option<&Buried> {
        self.buried.get(&self.cell(actor).index).filter(|(buried, _)| *buried == actor).map(|(_, left)| left)
    }

    /// Whether the core has told the isolate that an actor is gone.
    pub(super) fn is_gone(&self, actor: Ref) -> bool {
        self.cell(actor).dead && self.buried(actor).is_none()
    }

    /// The actor whose handler is on the stack.
    #[must_use]
    pub fn current(&self) -> Option<Ref> {
        self.current
    }

    /// How a call ended; `None` while it is pending.
    #[must_use]
    pub fn answer_of(&self, call: CallId) -> Option<Answer> {
        self.calls[call.0].answer
    }

    /// Slots in use.
    #[must_use]
    pub fn slots_used(&self) -> usize {
        self.slots.used()
    }

    /// What happened to one actor, oldest first.
    #[must_use]
    pub fn history(&self, actor: Ref) -> Vec<What> {
        self.log.iter().filter(|record| record.actor == actor).map(|record| record.what).collect()
    }

    pub(super) fn note(&mut self, actor: Ref, what: What) {
        self.log.push(Record { at_us: self.now_us, actor, what });
    }

    fn word(&self, actor: Ref, word: usize) -> (usize, usize) {
        let index = self.cell(actor).index;
        ((index / CHUNK_ACTORS) as usize, (index % CHUNK_ACTORS * STATE_WORDS) as usize + word)
    }

    /// The flags of an actor; those of one that is gone say so.
    #[must_use]
    pub fn flags(&self, actor: Ref) -> u32 {
        if self.cell(actor).dead {
            return FLAG_DEAD | FLAG_STOPPING;
        }
        let (chunk, at) = self.word(actor, WORD_FLAGS);
        self.kernel.chunks()[chunk].get(at)
    }

    pub(super) fn set_flags(&mut self, actor: Ref, flags: u32) {
        let (chunk, at) = self.word(actor, WORD_FLAGS);
        self.kernel.chunks()[chunk].set(at, flags);
    }

    /// The pending word of an actor; 0 for one that is gone.
    #[must_use]
    pub fn pending(&self, actor: Ref) -> u32 {
        if self.cell(actor).dead {
            return 0;
        }
        let (chunk, at) = self.word(actor, WORD_PENDING);
        self.kernel.chunks()[chunk].get(at)
    }

    pub(super) fn add_pending(&mut self, actor: Ref) {
        let (chunk, at) = self.word(actor, WORD_PENDING);
        self.kernel.chunks()[chunk].set(at, self.pending(actor) + 1);
    }

    pub(super) fn take_pending(&mut self, actor: Ref) {
        let (chunk, at) = self.word(actor, WORD_PENDING);
        let pending = self.pending(actor);
        assert!(pending > 0, "{actor:?} has handled more than it was sent");
        self.kernel.chunks()[chunk].set(at, pending - 1);
    }

    /// Whether an inline call is lawful.
    #[must_use]
    pub fn is_idle(&self, actor: Ref) -> bool {
        self.flags(actor) | self.pending(actor) == 0
    }

    pub(super) fn push(&mut self, actor: u32, kind: u32, slot: u32) {
        self.put(&[actor, entry(kind, slot)]);
    }

    pub(super) fn push_timed(&mut self, actor: u32, kind: u32, slot: u32, word: u32) {
        self.put(&[actor, entry(kind, slot), word, word]);
    }

    fn put(&mut self, words: &[u32]) {
        self.scheduled = true;
        if self.submit_at + words.len() > SUBMIT_END {
            self.submit();
        }
        for &word in words {
            self.kernel.page().set(self.submit_at, word);
            self.submit_at += 1;
        }
    }

    fn publish(&mut self) {
        self.kernel.page().set(H_SUBMITTED as usize, (self.submit_at - SUBMIT_AT) as u32);
        self.submit_at = SUBMIT_AT;
    }

    /// Empties the submission queue into the mailboxes.
    pub fn submit(&mut self) {
        self.publish();
        self.kernel.submit();
    }

    /// The pairs in the submission queue, with the word that belongs to those that have one.
    #[must_use]
    pub fn submitted(&self) -> Vec<(u32, u32, u32)> {
        let (mut at, mut pairs) = (SUBMIT_AT, Vec::new());
        while at < self.submit_at {
            let page = self.kernel.page();
            let (actor, word) = (page.get(at), page.get(at + 1));
            at += 2;
            let timed = matches!(kind_of(word), SUBMIT_CALL_TIMED | SUBMIT_STARTED_TIMED | SUBMIT_UNREAD);
            pairs.push((actor, word, if timed { page.get(at + 1) } else { 0 }));
            at += if timed { 2 } else { 0 };
        }
        pairs
    }

    /// Performs a control operation.
    pub fn control(&mut self, op: u32, args: &[u32], text: Option<&str>) -> [u32; 12] {
        self.tell_all();
        self.publish();
        self.perform(op, args, text)
    }

    /// Asks for the next messages of one actor: their number, `NIL` for a signal.
    pub(super) fn next(&mut self, actor: Ref) -> u32 {
        self.publish();
        self.kernel.page().set(H_ARGS as usize, self.cell(actor).index);
        self.kernel.next();
        self.kernel.page().get(H_RESULTS as usize)
    }

    /// Performs a control operation without handing over what is submitted, to look at something
    /// without changing anything.
    pub fn peek(&mut self, op: u32, args: &[u32], text: Option<&str>) -> [u32; 12] {
        self.perform(op, args, text)
    }

    fn perform(&mut self, op: u32, args: &[u32], text: Option<&str>) -> [u32; 12] {
        for (at, &arg) in args.iter().enumerate() {
            self.kernel.page().set(H_ARGS as usize + at, arg);
        }
        self.kernel.control(op, text, if needs_time(op) { self.now_us } else { 0 });
        std::array::from_fn(|at| self.kernel.page().get(H_RESULTS as usize + at))
    }

    /// Whether another `enter` would bring something.
    #[must_use]
    pub fn has_work(&self) -> bool {
        self.kernel.page().get(H_MORE as usize) != 0 || self.scheduled
    }

    /// Whether nothing is left to do before time moves on.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        !self.has_work()
    }

    /// Takes one batch and runs it.
    ///
    /// # Panics
    /// When called from within a handler, or when the batch breaks the protocol.
    pub fn enter(&mut self) {
        self.enter_briefly(u32::MAX);
    }

    /// Takes one batch and runs so many of its messages; the rest goes back into the mailboxes.
    ///
    /// # Panics
    /// When called from within a handler, or when the batch breaks the protocol.
    pub fn enter_briefly(&mut self, messages: u32) {
        assert!(!self.walking, "enter was called while a batch is walked through");
        self.tell_all();
        self.publish();
        self.scheduled = false;
        self.kernel.enter(self.now_us);
        self.signals_shown = 0;
        self.walking = true;
        self.run_batch(messages);
        self.walking = false;
        for slot in std::mem::take(&mut self.late) {
            self.free_message(slot);
        }
    }

    /// Takes and runs batches until nothing is left to do at this time.
    ///
    /// # Panics
    /// When that never happens.
    pub fn flush(&mut self) {
        for _ in 0..BATCHES_MAX {
            self.enter();
            if self.is_quiet() {
                return;
            }
        }
        panic!("the kernel has more after {BATCHES_MAX} batches");
    }

    /// Moves time on without telling the kernel.
    pub fn sleep(&mut self, ms: u64) {
        self.now_us += ms * 1_000;
    }

    /// Moves time on and runs everything that is due, at the time when it is due.
    pub fn advance(&mut self, ms: u64) {
        let end_us = self.now_us + ms * 1_000;
        self.flush();
        while let Some(due_us) = self.kernel.poll_timeout().filter(|&due_us| due_us <= end_us) {
            self.now_us = self.now_us.max(due_us);
            self.flush();
        }
        self.now_us = self.now_us.max(end_us); // Handlers may sleep.
        self.flush();
    }

    /// Stops everything, waits for all patience to be lost, and checks that nothing is left.
    ///
    /// # Panics
    /// When an actor, a slot, an unanswered call or anything that the kernel counts is left.
    pub fn wind_up(&mut self) {
        for _ in 0..WINDING_UP_MAX {
            for actor in self.living() {
                self.discard_drained(actor);
                if self.cell(actor).spec.parent.is_none() {
                    self.stop(actor);
                }
            }
            self.flush();
            if self.living().is_empty() {
                break;
            }
            self.now_us = self.now_us.max(self.kernel.poll_timeout().unwrap_or(0)) + WINDING_UP_US;
        }
        self.flush();
        self.flush();
        super::check::nothing_left(self);
    }

    /// Messages, calls and actors so far: how much the handlers have stirred up.
    #[must_use]
    pub fn effort(&self) -> usize {
        self.sequence as usize + self.cells.len() + self.timers.len() + self.log.len()
    }

    pub(super) fn by_index(&self, index: u32) -> Option<Ref> {
        if index == NIL { None } else { self.by_index.get(index as usize).copied().flatten() }
    }
}
