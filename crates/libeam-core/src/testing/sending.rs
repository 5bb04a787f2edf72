//! Messages: how they are sent, handled, settled, stashed and withdrawn.

use super::cell::{Answer, CallId, Ref, Running, What};
use super::isolate::{CallState, DEPTH_MAX};
use super::slots::{Message, Value};
use super::{Ending, Handler, Isolate};
use crate::actor_id::NIL;
use crate::kernel::BLOCKED;
use crate::ring::protocol::*;

/// Whether a call may run on the caller's stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// It may, when its actor is idle.
    Inline,
    /// It goes through the mailbox.
    Queued,
}

impl Isolate {
    fn message(&mut self, handler: &Handler) -> Message {
        self.sequence += 1;
        Message { sequence: self.sequence, handler: handler.clone(), fresh: true }
    }

    fn refuses(&self, actor: Ref) -> bool {
        self.flags(actor) & (FLAG_STOPPING | FLAG_DEAD) != 0
    }

    /// Sends a cast.
    pub fn cast(&mut self, actor: Ref, handler: &Handler) {
        if self.refuses(actor) {
            return;
        }
        let message = self.message(handler);
        let slot = self.slots.alloc(Value::Cast(message));
        self.add_pending(actor);
        self.close_lane(actor);
        self.push(self.cell(actor).index, SUBMIT_CAST, slot);
    }

    /// Handles a cast at once if the actor is idle.
    pub fn cast_now(&mut self, actor: Ref, handler: &Handler) {
        if !self.is_idle(actor) {
            return;
        }
        let message = self.message(handler);
        let slot = self.slots.alloc(Value::Cast(message));
        self.add_pending(actor);
        self.run_entry(actor, entry(ENTRY_CAST, slot), true);
        if !self.is_running(actor) && self.pending(actor) != 0 {
            self.push(self.cell(actor).index, SUBMIT_WAKE, 0);
        }
    }

    /// Makes a call. No timeout is the kernel's default; `NIL` is for ever.
    pub fn call(&mut self, actor: Ref, handler: &Handler, timeout_ms: Option<u32>, sending: Sending) -> CallId {
        let call = CallId(self.calls.len());
        let not_before_us = self.now_us + u64::from(timeout_ms.unwrap_or(self.call_timeout_ms)) * 1_000;
        self.calls.push(CallState { actor, answer: None, not_before_us, slot: None });
        let inline = sending == Sending::Inline && self.is_idle(actor) && self.depth < DEPTH_MAX;
        // What runs outside a message may call its own actor, if it needs no options for that.
        let own = self.current == Some(actor) && (timeout_ms.is_some() || !inline);
        if self.refuses(actor) || own {
            self.answer(call, Answer::NotSent);
        } else if inline {
            self.call_inline(call, actor, handler, timeout_ms);
        } else {
            let message = self.message(handler);
            let slot = self.slots.alloc(Value::Call(message, call));
            self.calls[call.0].slot = Some(slot);
            let in_lane = timeout_ms.is_none() && sending == Sending::Inline && self.lane_is_open(actor);
            self.add_pending(actor);
            if in_lane {
                self.cell_mut(actor).lane.push_back(slot);
                self.hold(actor);
                return call;
            }
            self.close_lane(actor);
            let index = self.cell(actor).index;
            match timeout_ms {
                None => self.push(index, SUBMIT_CALL, slot),
                Some(timeout_ms) => self.push_timed(index, SUBMIT_CALL_TIMED, slot, timeout_ms),
            }
        }
        call
    }

    fn call_inline(&mut self, call: CallId, actor: Ref, handler: &Handler, timeout_ms: Option<u32>) {
        let message = self.message(handler);
        self.assert_order(actor, &message);
        self.set_flags(actor, FLAG_RUNNING);
        self.note(actor, What::Handled(handler.label));
        let index = self.cell(actor).index;
        let ending = self.run(actor, handler);
        let message = Message { fresh: false, ..message };
        match ending {
            Ending::Pending => {
                let slot = self.slots.alloc(Value::Call(message, call));
                self.calls[call.0].slot = Some(slot);
                self.add_pending(actor);
                self.cell_mut(actor).running = Some(Running { slot: Some(slot) });
                match timeout_ms {
                    None => self.goes_on_untold(actor),
                    Some(timeout_ms) => self.push_timed(index, SUBMIT_STARTED_TIMED, slot, timeout_ms),
                }
                return;
            }
            Ending::Stash => {
                let slot = self.slots.alloc(Value::Call(message, call));
                self.calls[call.0].slot = Some(slot);
                self.stash_slot(actor, ENTRY_CALL, slot, timeout_ms.unwrap_or(self.call_timeout_ms));
            }
            Ending::Crash => self.answer(call, Answer::Failed),
            Ending::Ok | Ending::Continue => self.answer(call, Answer::Ok),
        }
        self.set_flags(actor, self.flags(actor) & !FLAG_RUNNING);
        if self.flags(actor) | self.pending(actor) != 0 {
            self.push(index, SUBMIT_WAKE, 0);
        }
    }

    /// Whether a call to a busy actor may wait with its pump, because that has all that the actor has.
    fn lane_is_open(&self, actor: Ref) -> bool {
        let cell = self.cell(actor);
        let known = 1 + (cell.prefetched.len() + cell.lane.len()) as u32;
        cell.running.is_some()
            && cell.spec.capacity == 0
            && self.flags(actor) == FLAG_RUNNING
            && self.pending(actor) == known
    }

    /// Submits the calls that wait with the pump: something else follows them.
    fn close_lane(&mut self, actor: Ref) {
        let index = self.cell(actor).index;
        for slot in std::mem::take(&mut self.cell_mut(actor).lane) {
            self.push(index, SUBMIT_CALL, slot);
        }
    }

    fn goes_on_untold(&mut self, actor: Ref) {
        self.cell_mut(actor).untold = true;
        self.hold(actor);
    }

    fn hold(&mut self, actor: Ref) {
        self.held.push(actor);
        self.scheduled = true;
    }

    /// Tells the core, which is about to look, of all that it does not know.
    pub(super) fn tell_all(&mut self) {
        for actor in std::mem::take(&mut self.held) {
            let cell = self.cell_mut(actor);
            let index = cell.index;
            if std::mem::take(&mut cell.untold)
                && let Some(Running { slot: Some(slot) }) = cell.running
            {
                self.push(index, SUBMIT_STARTED, slot);
            }
            self.close_lane(actor);
        }
    }

    /// Runs the synchronous part of a handler.
    pub(super) fn run(&mut self, actor: Ref, handler: &Handler) -> Ending {
        let outer = self.current.replace(actor);
        self.depth += 1;
        if let Some(deed) = handler.deed.clone() {
            deed(self, actor);
        }
        self.depth -= 1;
        self.current = outer;
        handler.ending
    }

    fn assert_free_to_run(&self, actor: Ref) {
        let flags = self.flags(actor);
        assert!(flags & BLOCKED == 0, "{actor:?} is given a message while its flags are {flags:#x}");
        assert!(self.cell(actor).running.is_none(), "two handlers of {actor:?} run at once");
    }

    fn assert_order(&mut self, actor: Ref, message: &Message) {
        let cell = self.cell_mut(actor);
        if message.fresh {
            let (old, new) = (cell.youngest, message.sequence);
            assert!(new > old, "{actor:?} handles message {new} after message {old}");
            cell.youngest = new;
        }
    }

    /// Runs the message of an entry that came out of a mailbox, or, if the core is not told of it, out of a lane.
    pub(super) fn run_entry(&mut self, actor: Ref, word: u32, told: bool) {
        let slot = slot_of(word);
        let message = match (kind_of(word), self.slots.get_mut(slot)) {
            (ENTRY_CAST, Value::Cast(message)) | (ENTRY_CALL, Value::Call(message, _)) => {
                let seen = message.clone();
                message.fresh = false;
                message.handler.ending = seen.handler.again.unwrap_or(seen.handler.ending);
                seen
            }
            (kind, value) => panic!("slot {slot} of a record of kind {kind} holds {value:?}"),
        };
        self.assert_order(actor, &message);
        if let Value::Call(_, call) = *self.slots.get(slot)
            && self.calls[call.0].answer.is_some()
        {
            self.run_message(actor, slot, &Handler::ok(), told); // Withdrawn while it was in this batch.
            return;
        }
        self.note(actor, What::Handled(message.handler.label));
        self.run_message(actor, slot, &message.handler, told);
    }

    /// Runs the handler of a message that has a slot.
    pub(super) fn run_message(&mut self, actor: Ref, slot: u32, handler: &Handler, told: bool) {
        self.assert_free_to_run(actor);
        self.set_flags(actor, self.flags(actor) | FLAG_RUNNING);
        match self.run(actor, handler) {
            Ending::Pending => {
                self.cell_mut(actor).running = Some(Running { slot: Some(slot) });
                if !told {
                    self.goes_on_untold(actor);
                }
            }
            ending => self.settled(actor, Some(slot), ending, told),
        }
    }

    /// Runs a handler of the system's own, which has no slot.
    pub(super) fn run_plain(&mut self, actor: Ref, handler: &Handler) {
        self.assert_free_to_run(actor);
        self.set_flags(actor, self.flags(actor) | FLAG_RUNNING);
        match self.run(actor, handler) {
            Ending::Pending => self.cell_mut(actor).running = Some(Running { slot: None }),
            ending => self.settled(actor, None, ending, true),
        }
    }

    /// A handler has ended: answer, free, and tell the core if it knows of the call, or if anything has changed meanwhile.
    fn settled(&mut self, actor: Ref, slot: Option<u32>, ending: Ending, told: bool) {
        let index = self.cell(actor).index;
        self.set_flags(actor, self.flags(actor) & !FLAG_RUNNING);
        self.take_pending(actor);
        let mut crashed = ending == Ending::Crash;
        if let Some(slot) = slot {
            match self.slots.get(slot) {
                &Value::Call(_, call) => {
                    crashed = false;
                    if ending == Ending::Stash && self.calls[call.0].answer.is_none() {
                        self.stash_slot(actor, ENTRY_CALL, slot, if told { NIL } else { self.call_timeout_ms });
                    } else {
                        if told {
                            self.push(0, SUBMIT_SETTLED, slot);
                        }
                        self.free_call(slot);
                        self.answer(call, if ending == Ending::Crash { Answer::Failed } else { Answer::Ok });
                    }
                }
                _ if ending == Ending::Stash => self.stash_slot(actor, ENTRY_CAST, slot, NIL),
                _ => drop(self.slots.free(slot)),
            }
        }
        if crashed {
            self.crash(actor);
        }
        if self.flags(actor) & !FLAG_OBSERVED != 0 {
            self.push(index, SUBMIT_WAKE, 0);
        }
    }

    fn stash_slot(&mut self, actor: Ref, kind: u32, slot: u32, timeout_ms: u32) {
        let [status, ..] = self.control(OP_STASH, &[self.cell(actor).index, entry(kind, slot), timeout_ms], None);
        if status == STATUS_OK {
            return;
        }
        self.push(0, SUBMIT_SETTLED, slot);
        if let Value::Call(_, call) = *self.slots.get(slot) {
            self.free_call(slot);
            self.answer(call, Answer::NotStashed);
        } else {
            self.slots.free(slot);
        }
    }

    /// Frees the slot of a message that events of the batch may still name.
    pub(super) fn free_after_batch(&mut self, slot: u32) {
        if self.batch.0 < self.batch.1 { self.late.push(slot) } else { self.free_message(slot) }
    }

    pub(super) fn free_message(&mut self, slot: u32) {
        match self.slots.get(slot) {
            Value::Call(..) => self.free_call(slot),
            _ => drop(self.slots.free(slot)),
        }
    }

    pub(super) fn free_call(&mut self, slot: u32) {
        if let Value::Call(_, call) = self.slots.free(slot)
            && self.calls[call.0].slot == Some(slot)
        {
            self.calls[call.0].slot = None;
        }
    }

    /// Answers a caller, once: a later answer is ignored, as a promise would.
    pub(super) fn answer(&mut self, call: CallId, answer: Answer) {
        self.calls[call.0].answer.get_or_insert(answer);
    }

    /// Whether an actor's handler has a promise that is pending.
    #[must_use]
    pub fn is_running(&self, actor: Ref) -> bool {
        self.cell(actor).running.is_some()
    }

    /// Ends whatever is pending of an actor: its handler, its `init` or its `terminate`. Up to
    /// `pump` further messages of its are handled on the spot; when the next of them is pending, the
    /// following `settle` goes on from there.
    pub fn settle(&mut self, actor: Ref, ending: Ending, pump: u32) {
        let cell = self.cell_mut(actor);
        if cell.dead {
            return;
        }
        if pump == 0
            && let Some(incarnation) = cell.late_terminates.pop()
        {
            self.terminate_settled(actor, incarnation);
            return;
        }
        if let Some(Running { slot }) = cell.running.take() {
            let told = !std::mem::take(&mut self.cell_mut(actor).untold);
            self.settled(actor, slot, ending, told);
            self.pump(actor, pump);
        } else if std::mem::take(&mut cell.starting) {
            self.init_settled(actor, ending);
        } else if let Some(incarnation) = cell.terminating.take() {
            self.terminate_settled(actor, incarnation);
        }
    }

    fn pump(&mut self, actor: Ref, mut left: u32) {
        while left > 0 && self.may_pump(actor) {
            left -= 1;
            if let Some(entry) = self.cell_mut(actor).prefetched.pop() {
                self.run_entry(actor, entry, true);
                continue;
            }
            if let Some(slot) = self.cell_mut(actor).lane.pop_front() {
                self.run_entry(actor, entry(ENTRY_CALL, slot), false);
                continue;
            }
            match self.next(actor) {
                0 => return,
                NIL => self.run_next_signal(actor),
                count => {
                    let page = self.kernel.page();
                    let entries = (0..count).rev().map(|at| page.get((ENTRIES_AT + at) as usize));
                    let entries: Vec<u32> = entries.collect();
                    self.cell_mut(actor).prefetched = entries;
                    left += 1;
                }
            }
        }
        if self.is_running(actor) {
            return;
        }
        self.put_back(actor);
        if self.has_more(actor) {
            self.push(self.cell(actor).index, SUBMIT_WAKE, 0);
        }
    }

    /// Puts what the pump has taken and not got to back into the mailbox.
    pub(super) fn put_back(&mut self, actor: Ref) {
        let index = self.cell(actor).index;
        for word in std::mem::take(&mut self.cell_mut(actor).prefetched) {
            self.push_timed(index, SUBMIT_UNREAD, 0, word);
        }
        self.close_lane(actor);
    }

    fn has_more(&self, actor: Ref) -> bool {
        self.flags(actor) & !FLAG_OBSERVED == 0 && self.pending(actor) != 0
    }

    /// `next` does not tell the core the time, which an idle timeout needs.
    fn may_pump(&self, actor: Ref) -> bool {
        self.has_more(actor) && self.flags(actor) == 0 && !self.is_running(actor)
    }

    /// The caller gives up.
    pub fn cancel_call(&mut self, call: CallId) {
        if self.calls[call.0].answer.is_some() {
            return;
        }
        self.answer(call, Answer::Cancelled);
        if let Some(slot) = self.calls[call.0].slot {
            self.settle_held(slot);
        }
    }

    /// Stops serving a mailbox.
    pub fn pause(&mut self, actor: Ref) {
        self.recall_living(actor);
        self.act(actor, OP_PAUSE, &[]);
    }

    /// Serves it again.
    pub fn resume(&mut self, actor: Ref) {
        self.recall_living(actor);
        self.act(actor, OP_RESUME, &[]);
    }

    /// Counts the messages in a mailbox and lists them.
    pub fn look(&mut self, actor: Ref) {
        self.recall_living(actor);
        self.act(actor, OP_MAILBOX_LENGTH, &[]);
        self.act(actor, OP_PENDING, &[0]);
    }

    fn recall_living(&mut self, actor: Ref) {
        if !self.cell(actor).dead {
            self.recall(actor);
        }
    }

    /// Puts stashed messages back in front.
    pub fn unstash(&mut self, actor: Ref, at_most: u32) -> u32 {
        self.recall_living(actor);
        self.act(actor, OP_UNSTASH, &[at_most])
    }

    /// Discards the stash.
    pub fn clear_stash(&mut self, actor: Ref) {
        self.act(actor, OP_CLEAR_STASH, &[]);
    }

    /// Performs an operation on an actor unless it is gone; gives the first result.
    pub(super) fn act(&mut self, actor: Ref, op: u32, more: &[u32]) -> u32 {
        if self.cell(actor).dead {
            return 0;
        }
        let mut args = vec![self.cell(actor).index];
        args.extend(more);
        self.control(op, &args, None)[0]
    }

    /// Pauses a mailbox, takes the waiting messages out and keeps them for [`Isolate::inject`].
    pub fn drain(&mut self, actor: Ref) -> usize {
        if self.cell(actor).dead {
            return 0;
        }
        self.pause(actor);
        self.recall(actor);
        self.control(OP_PENDING, &[self.cell(actor).index, 1], None);
        let entries = self.kernel.listing().to_vec();
        for &word in &entries {
            let slot = slot_of(word);
            let value = self.slots.get(slot).clone();
            match value {
                Value::Call(_, call) if self.calls[call.0].answer.is_some() => self.settle_held(slot),
                Value::Call(..) => self.cell_mut(actor).drained.push(value),
                _ => {
                    self.free_after_batch(slot);
                    self.cell_mut(actor).drained.push(value);
                }
            }
        }
        entries.len()
    }

    /// Puts drained messages back in front of the mailbox, in their order.
    pub fn inject(&mut self, actor: Ref) {
        self.recall_living(actor);
        for mut value in std::mem::take(&mut self.cell_mut(actor).drained).into_iter().rev() {
            if let Value::Call(_, call) = value
                && self.calls[call.0].answer.is_some()
            {
                continue;
            }
            let (Value::Cast(message) | Value::Call(message, _)) = &mut value else {
                panic!("a drained slot held {value:?}")
            };
            message.fresh = false;
            let (kind, slot) = match value {
                Value::Call(_, call) => {
                    let slot = self.calls[call.0].slot.expect("a call that waits for its answer has a slot");
                    *self.slots.get_mut(slot) = value;
                    (ENTRY_CALL, slot)
                }
                _ => (ENTRY_CAST, self.slots.alloc(value)),
            };
            let was_out = u32::from(kind == ENTRY_CALL);
            if self.act(actor, OP_INJECT, &[entry(kind, slot), was_out]) == 0 {
                self.refuse_drained(slot);
            }
        }
    }

    fn refuse_drained(&mut self, slot: u32) {
        if let Value::Call(_, call) = *self.slots.get(slot) {
            self.answer(call, Answer::Drained);
            self.settle_held(slot);
        } else {
            self.free_message(slot);
        }
    }

    /// A call that was taken out of its mailbox is over.
    fn settle_held(&mut self, slot: u32) {
        let [status, ..] = self.control(OP_CANCEL_CALL, &[slot], None);
        // An unknown call has been refused: the event that says so frees the slot.
        if status == STATUS_OK {
            self.free_call(slot);
        }
    }

    /// Throws drained messages away.
    pub fn discard_drained(&mut self, actor: Ref) {
        for value in std::mem::take(&mut self.cell_mut(actor).drained) {
            if let Value::Call(_, call) = value
                && self.calls[call.0].answer.is_none()
                && let Some(slot) = self.calls[call.0].slot
            {
                self.refuse_drained(slot);
            }
        }
    }
}
