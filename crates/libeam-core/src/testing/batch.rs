//! Walks through what the core hands out.
//!
//! A batch may hold several records for one actor. When it cannot take the next one (its handler's
//! promise is pending, it is paused or on its way out), that one and those right behind it go back to
//! the front of its mailbox, last one first, so that the order stays.

use super::cell::{Answer, Key, Ref, What};
use super::slots::Value;
use super::{Ending, Isolate};
use crate::actor_id::NIL;
use crate::kernel::BLOCKED;
use crate::reason::ReasonKind;
use crate::ring::protocol::*;
use std::collections::HashSet;

const COMPLETE_AT: usize = (HEADER_WORDS + SUBMIT_WORDS) as usize;
const OWN_AT: usize = 2;
const SIGNAL_AT: usize = EVENT_WORDS as usize - 1;
/// What a recalled message leaves in the batch; a signal leaves the news that no slot is free.
const RECALLED: u32 = entry(ENTRY_NONE, 0);

/// Whether a record came out of a mailbox, and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Message,
    Signal,
    Event,
}

impl Isolate {
    fn at(&self, at: usize) -> u32 {
        self.kernel.page().get(at)
    }

    fn kind(&self, at: usize) -> Kind {
        let word = self.at(at + 1);
        match kind_of(word) {
            ENTRY_EVENT if slot_of(word) > EVENT_CONTINUE => Kind::Event,
            ENTRY_EVENT => Kind::Signal,
            ENTRY_CAST | ENTRY_CALL | ENTRY_NONE => Kind::Message,
            kind => panic!("a record of kind {kind} is in the batch"),
        }
    }

    fn after(&self, at: usize) -> usize {
        at + if self.kind(at) == Kind::Message { 2 } else { EVENT_WORDS as usize }
    }

    /// Runs the batch in the completion queue; after so many messages the rest goes back.
    pub(super) fn run_batch(&mut self, mut messages: u32) {
        let end = COMPLETE_AT + self.at(H_COMPLETED as usize) as usize;
        self.inspect_batch(end);
        let mut at = COMPLETE_AT;
        while at < end {
            self.batch = (at, end);
            if self.at(at + 1) == RECALLED {
                at += 2;
                continue;
            }
            let (kind, actor) = (self.kind(at), self.by_index(self.at(at)));
            if kind == Kind::Event {
                self.run_event(at, actor);
                at = self.after(at);
                continue;
            }
            if messages == 0 {
                self.unread_rest(at, end);
                break;
            }
            messages -= 1;
            match actor.filter(|&actor| self.flags(actor) & !FLAG_OBSERVED == 0) {
                Some(actor) => {
                    let index = self.at(at);
                    self.run_record(actor, at);
                    at = self.after(at);
                    let last = at >= end || self.at(at) != index;
                    if last && !self.is_running(actor) && self.pending(actor) != 0 {
                        self.push(index, SUBMIT_WAKE, 0);
                    }
                }
                None => self.put_back_records(self.at(at), at, end),
            }
        }
        self.batch = (end, end);
    }

    /// The turn's time is over: puts the rest of the batch, which has no events, back.
    fn unread_rest(&mut self, mut at: usize, end: usize) {
        let mut rest = Vec::new();
        while at < end {
            let (actor, next) = (self.at(at), self.after(at));
            if self.at(at + 1) != RECALLED && self.kind(at) != Kind::Event {
                rest.push((actor, self.mailbox_entry(at)));
            }
            at = next;
        }
        for (actor, word) in rest.into_iter().rev() {
            self.push_timed(actor, SUBMIT_UNREAD, 0, word);
        }
    }

    /// Puts what the rest of this batch holds for an actor back into its mailbox: somebody is about to
    /// look into the mailbox or to put something in front of it.
    pub(super) fn recall(&mut self, actor: Ref) {
        self.put_back(actor);
        let (at, end) = self.batch;
        if at >= end {
            return;
        }
        self.put_back_records(self.cell(actor).index, self.after(at), end);
    }

    /// Puts the records of an actor, from a place in the batch on, back into its mailbox: all of them,
    /// because others may be in between, and what is put back later is put in front.
    fn put_back_records(&mut self, index: u32, mut at: usize, end: usize) {
        let mut entries = Vec::new();
        while at < end {
            let next = self.after(at);
            if self.at(at) == index && self.at(at + 1) != RECALLED && self.kind(at) != Kind::Event {
                entries.push(self.mailbox_entry(at));
                let page = self.kernel.page();
                page.set(at, NIL);
                page.set(at + 1, if next == at + 2 { RECALLED } else { entry(ENTRY_EVENT, EVENT_FREE) });
                if next > at + 2 {
                    page.set(at + 2, NIL);
                }
            }
            at = next;
        }
        self.unread(index, entries);
    }

    /// The entry of a mailbox behind a record.
    fn mailbox_entry(&mut self, at: usize) -> u32 {
        if self.kind(at) == Kind::Message {
            return self.at(at + 1);
        }
        self.signals_shown -= 1;
        entry(ENTRY_SIGNAL, self.at(at + SIGNAL_AT))
    }

    fn unread(&mut self, index: u32, entries: Vec<u32>) {
        for word in entries.into_iter().rev() {
            self.push_timed(index, SUBMIT_UNREAD, 0, word);
        }
    }

    /// Checks a batch as a whole: events come first, and messages are only for actors that may have them.
    /// A single cast may have come straight from the submission queue, before something happened to its
    /// actor in the same `enter`.
    fn inspect_batch(&mut self, end: usize) {
        let mut at = COMPLETE_AT;
        let mut receivers = HashSet::new();
        let mut messages_began = false;
        while at < end {
            let (kind, index) = (self.kind(at), self.at(at));
            if kind == Kind::Event {
                assert!(!messages_began, "event {} comes after messages", slot_of(self.at(at + 1)));
            } else {
                messages_began = true;
                assert_ne!(self.at(at + 1), RECALLED, "a withdrawn message is in the batch");
                let flags = self.kernel.table().flags(index);
                let first_cast = receivers.insert(index) && kind_of(self.at(at + 1)) == ENTRY_CAST;
                assert!(
                    flags & BLOCKED == 0 || first_cast,
                    "a message is issued to index {index}, whose flags are {flags:#x}"
                );
            }
            if kind == Kind::Signal {
                self.signals_shown += 1;
            }
            at = self.after(at);
        }
        assert_eq!(at, end, "the last record of the batch is cut off");
    }

    /// Runs the signal that the core wrote for one actor outside a batch.
    pub(super) fn run_next_signal(&mut self, actor: Ref) {
        let at = H_NEXT as usize;
        let (kind, code) = (self.kind(at), slot_of(self.at(at + 1)));
        assert_eq!(kind, Kind::Signal, "the next signal of {actor:?} is the event {code}");
        assert_eq!(self.at(at), self.cell(actor).index, "the next signal is somebody else's");
        self.signals_shown += 1;
        self.run_record(actor, at);
    }

    /// Runs a record that came out of a mailbox.
    fn run_record(&mut self, actor: Ref, at: usize) {
        match self.kind(at) {
            Kind::Message => self.run_entry(actor, self.at(at + 1), true),
            _ => self.run_signal(actor, slot_of(self.at(at + 1)), at + OWN_AT),
        }
    }

    fn key(&self, at: usize) -> Key {
        (self.at(at), self.at(at + 1))
    }

    fn reason(&self, at: usize) -> (ReasonKind, u32) {
        (ReasonKind::from_word(self.at(at)), self.at(at + 1))
    }

    fn run_signal(&mut self, actor: Ref, code: u32, at: usize) {
        let (kind, token) = self.reason(at + 2);
        match code {
            EVENT_DOWN => self.deliver_down(actor, self.key(at), kind, token),
            EVENT_EXIT => self.deliver_exit(actor, self.key(at), kind, token),
            EVENT_IDLE => {
                self.note(actor, What::Idle(self.at(at)));
                self.run_plain(actor, &self.info_of(actor));
            }
            EVENT_TIMER => self.deliver_tick(actor, self.at(at), self.at(at + 1) == 1, self.key(at + 2)),
            _ => {
                let Value::Continue(handler) = self.slots.free(self.at(at)) else {
                    panic!("the slot of a continue holds something else")
                };
                self.note(actor, What::Continued);
                // Only its synchronous part is exclusive, and it may fail after that.
                let pending = handler.ending == Ending::Pending;
                let ending = if pending { Ending::Ok } else { handler.ending };
                self.run_plain(actor, &super::Handler { ending, ..handler });
            }
        }
    }

    fn run_event(&mut self, at: usize, actor: Option<Ref>) {
        let (code, at) = (slot_of(self.at(at + 1)), at + OWN_AT);
        let (a, b) = self.key(at);
        if code == EVENT_FREE && self.at(at - OWN_AT) == NIL && a == NIL {
            return; // Recalled.
        }
        match (code, actor) {
            (EVENT_FREE, _) => {
                assert_ne!(a, NIL, "an event frees no slot");
                let value = self.slots.free(a);
                let message = matches!(value, Value::Cast(_) | Value::Call(..));
                assert!(!message, "an event frees the slot of a message");
            }
            (EVENT_DROP, _) => {
                let value = self.slots.free(a);
                assert!(matches!(value, Value::Cast(_)), "a dropped slot holds {value:?}");
                if let Some(actor) = actor {
                    self.note(actor, What::Dropped(b));
                }
            }
            (EVENT_REJECT, _) => self.refused(a, b, self.at(at + 2) == 1),
            (EVENT_GONE, None) => {
                let buried = self.buried.remove(&self.at(at - OWN_AT));
                assert!(buried.is_some(), "nobody is gone");
            }
            (EVENT_SIGNALLED | EVENT_UNLINKED | EVENT_ABANDONED, None) => {
                assert!(self.buried.contains_key(&self.at(at - OWN_AT)), "event {code} is for nobody");
            }
            (_, None) => panic!("event {code} is for nobody"),
            (EVENT_INIT, Some(actor)) => self.reinit(actor, a, b),
            (EVENT_TERMINATE, Some(actor)) => self.run_terminate(actor, a, b == 1),
            (EVENT_GONE, Some(actor)) => {
                let (kind, token) = self.reason(at);
                if token != NIL {
                    assert!(matches!(self.slots.get(token), Value::Token(_)), "an exit reason holds something else");
                }
                self.gone(actor, kind, self.at(at + 2));
            }
            (EVENT_SIGNALLED, Some(actor)) => {
                let (kind, token) = self.reason(at + 2);
                self.signalled(actor, (a, b), kind, token);
            }
            (EVENT_UNLINKED, Some(actor)) => self.unlinked(actor, (a, b)),
            (EVENT_ABANDONED, Some(actor)) => self.abandoned(actor),
            (code, Some(_)) => panic!("event {code} is unknown"),
        }
    }

    fn refused(&mut self, slot: u32, cause: u32, free: bool) {
        let Value::Call(_, call) = *self.slots.get(slot) else { panic!("a rejected slot holds no call") };
        let old = self.calls[call.0].answer;
        // The news that frees the slot of a call that was taken out of its mailbox may be the second of its timeout.
        let told = old == Some(Answer::Rejected(CAUSE_TIMEOUT)) && free;
        let given_up = told || matches!(old, None | Some(Answer::Cancelled | Answer::Abandoned | Answer::Drained));
        let fits = given_up || cause != CAUSE_TIMEOUT;
        assert!(fits, "a call times out after it was answered with {old:?}");
        let early = cause == CAUSE_TIMEOUT && self.now_us < self.calls[call.0].not_before_us;
        assert!(!early, "a call times out before its time");
        self.answer(call, Answer::Rejected(cause));
        if free {
            self.free_call(slot);
        }
    }
}
