//! Messages on their way into mailboxes: bounds, refusals, the stash, and what is put back in front.

use super::{BLOCKED, Event, Kernel, Signal};
use crate::actor_id::{ActorIndex, NIL};
use crate::mailbox::Queue;
use crate::ring::protocol::*;
use crate::table::Overflow;
use std::ops::Range;

/// What came of an attempt to stash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Stash {
    /// The message waits in the stash.
    Stashed,
    /// The stash holds as many as it may.
    Full,
    /// The actor is gone.
    Gone,
}

impl Kernel {
    /// Whether messages for this actor are refused.
    #[inline]
    fn refuses(&self, actor: ActorIndex) -> bool {
        self.table.flags(actor) & (FLAG_STOPPING | FLAG_DEAD) != 0
    }

    /// Accepts a cast and those for the same actor that follow it in this part of the page; tells where
    /// they end.
    #[inline]
    pub(super) fn accept_casts(&mut self, actor: ActorIndex, slot: u32, rest: Range<usize>) -> usize {
        let flags = self.table.flags(actor);
        if flags & (FLAG_STOPPING | FLAG_DEAD) != 0 {
            self.outbox.push(Event::new(EVENT_DROP, actor, &[slot, CAUSE_GONE]));
            return rest.start;
        }
        if self.table.get(actor).capacity > 0 {
            self.accept_bounded(actor, slot);
            return rest.start;
        }
        let record = self.table.get_mut(actor);
        if !record.scheduled && flags & BLOCKED == 0 {
            record.scheduled = true;
            self.run_queue.push(actor);
        }
        let (mut at, mut slot) = (rest.start, slot);
        loop {
            record.queued += 1;
            record.mailbox.push_back(&mut self.pool, entry(ENTRY_CAST, slot));
            if at >= rest.end || self.page.get(at) != actor {
                return at;
            }
            let word = self.page.get(at + 1);
            if kind_of(word) != SUBMIT_CAST {
                return at;
            }
            slot = slot_of(word);
            at += 2;
        }
    }

    /// The same for one cast to an actor whose mailbox has a capacity.
    #[cold]
    fn accept_bounded(&mut self, actor: ActorIndex, slot: u32) {
        if !self.is_full(actor) || !self.overflow(actor, ENTRY_CAST, slot) {
            self.enqueue(actor, entry(ENTRY_CAST, slot));
        }
    }

    pub(super) fn accept_call(&mut self, actor: ActorIndex, slot: u32, timeout_ms: u32) {
        if self.refuses(actor) {
            self.outbox.push(Event::new(EVENT_REJECT, actor, &[slot, CAUSE_GONE, 1]));
            return;
        }
        if self.is_full(actor) && self.overflow(actor, ENTRY_CALL, slot) {
            return;
        }
        let cell = self.enqueue(actor, entry(ENTRY_CALL, slot));
        self.calls.queued(slot, actor, cell);
        self.arm_deadline(slot, timeout_ms);
    }

    /// Puts a message of the user's at the end. The isolate has counted it as pending.
    #[inline]
    fn enqueue(&mut self, actor: ActorIndex, entry: u32) -> u32 {
        let record = self.table.get_mut(actor);
        record.queued += 1;
        let cell = record.mailbox.push_back(&mut self.pool, entry);
        self.schedule(actor);
        cell
    }

    #[inline]
    fn is_full(&self, actor: ActorIndex) -> bool {
        let record = self.table.get(actor);
        record.capacity != 0 && record.queued >= record.capacity
    }

    /// Applies the policy of a full mailbox; true when the new message was refused.
    fn overflow(&mut self, actor: ActorIndex, kind: u32, slot: u32) -> bool {
        let cause = match self.table.get(actor).overflow {
            Overflow::DropNewest => CAUSE_FULL,
            Overflow::Error => CAUSE_FULL_ERROR,
            Overflow::DropOldest => {
                self.evict_oldest(actor);
                return false;
            }
        };
        self.table.sub_pending(actor, 1);
        self.refuse(actor, entry(kind, slot), cause);
        true
    }

    /// Tells the isolate that a message of the user's will not be handled.
    fn refuse(&mut self, actor: ActorIndex, word: u32, cause: u32) {
        let slot = slot_of(word);
        if kind_of(word) == ENTRY_CALL {
            self.call_settled(slot);
            self.outbox.push(Event::new(EVENT_REJECT, actor, &[slot, cause, 1]));
        } else {
            self.outbox.push(Event::new(EVENT_DROP, actor, &[slot, cause]));
        }
    }

    fn evict_oldest(&mut self, actor: ActorIndex) {
        let oldest = self
            .table
            .get(actor)
            .mailbox
            .iter(&self.pool)
            .find(|&(_, word)| matches!(kind_of(word), ENTRY_CAST | ENTRY_CALL));
        let Some((cell, word)) = oldest else { return };
        self.take_out(actor, cell);
        self.refuse(actor, word, CAUSE_EVICTED);
    }

    /// Takes a message of the user's out of the middle of a mailbox.
    pub(super) fn take_out(&mut self, actor: ActorIndex, cell: u32) {
        self.take_entry_out(actor, cell);
        self.table.get_mut(actor).queued -= 1;
    }

    /// Takes any entry out of the middle of a mailbox.
    pub(super) fn take_entry_out(&mut self, actor: ActorIndex, cell: u32) {
        let record = self.table.get_mut(actor);
        if record.puts_back
            && let Some(cold) = record.cold.as_mut()
            && cold.put_back == cell
        {
            let before = record.mailbox.before(&self.pool, cell);
            record.puts_back = before.is_some();
            cold.put_back = before.unwrap_or(NIL);
        }
        record.mailbox.remove(&mut self.pool, cell);
        self.table.sub_pending(actor, 1);
    }

    /// Puts back what the isolate could not handle. It is still counted as pending.
    pub(super) fn unread(&mut self, actor: ActorIndex, word: u32) {
        if kind_of(word) == ENTRY_SIGNAL {
            let issued = self.issued_signals.iter().rposition(|&(index, _)| index == slot_of(word));
            let Some(at) = issued else { return };
            let (index, incarnation) = self.issued_signals.swap_remove(at);
            if self.is_stale(actor, index, incarnation) {
                self.table.sub_pending(actor, 1);
                self.drop_signal(index);
                return;
            }
        } else if self.refuses(actor) {
            // An actor that left in the middle of its batch takes the rest of it along.
            self.refuse(actor, word, CAUSE_GONE);
            return;
        }
        self.table.get_mut(actor).turn = 1;
        self.put_in_front(actor, word);
    }

    fn put_in_front(&mut self, actor: ActorIndex, word: u32) {
        let record = self.table.get_mut(actor);
        let cell = record.mailbox.push_front(&mut self.pool, word);
        match kind_of(word) {
            ENTRY_CALL => {
                record.queued += 1;
                self.calls.queued(slot_of(word), actor, cell);
            }
            ENTRY_CAST => record.queued += 1,
            _ => self.signal_moved(slot_of(word), cell),
        }
        self.schedule(actor);
    }

    /// Puts a message in front of a mailbox, whatever its capacity.
    pub(super) fn inject(&mut self, actor: ActorIndex, word: u32) -> bool {
        if self.refuses(actor) {
            return false;
        }
        // A call that was taken out of a mailbox has its deadline.
        let is_new = kind_of(word) == ENTRY_CALL && !self.holds_call(slot_of(word));
        self.table.add_pending(actor, 1);
        self.put_in_front(actor, word);
        if is_new {
            self.arm_deadline(slot_of(word), self.config.call_timeout_ms);
        }
        true
    }

    /// Puts a signal of the kernel's own at the end of a mailbox, and gives its cell.
    pub(super) fn enqueue_signal(&mut self, actor: ActorIndex, signal: Signal) -> u32 {
        let word = self.store_signal(signal);
        self.table.add_pending(actor, 1);
        let cell = self.table.get_mut(actor).mailbox.push_back(&mut self.pool, word);
        self.schedule(actor);
        cell
    }

    /// Has `handleContinue` run before the next message, unless the actor leaves.
    pub(super) fn continue_with(&mut self, actor: ActorIndex, slot: u32) {
        if self.refuses(actor) {
            self.outbox.push(Event::new(EVENT_FREE, NIL, &[slot]));
        } else {
            self.enqueue_signal_in_front(actor, Signal::Continue { slot });
        }
    }

    /// Puts a signal of the kernel's own in front of a mailbox.
    pub(super) fn enqueue_signal_in_front(&mut self, actor: ActorIndex, signal: Signal) {
        let word = self.store_signal(signal);
        self.table.add_pending(actor, 1);
        self.put_in_front(actor, word);
    }

    fn store_signal(&mut self, signal: Signal) -> u32 {
        let index = self.free_signals.pop().unwrap_or_else(|| {
            self.signals.push(None);
            (self.signals.len() - 1) as u32
        });
        self.signals[index as usize] = Some(signal);
        entry(ENTRY_SIGNAL, index)
    }

    /// Writes a signal down for the isolate. The signal stays until the batch is consumed: the
    /// isolate may put it back. The last word of the event names it.
    pub(super) fn show_signal(&mut self, actor: ActorIndex, index: u32) -> Event {
        self.signal_moved(index, NIL);
        self.issued_signals.push((index, self.table.get(actor).incarnation));
        let mut event = match self.signals[index as usize] {
            Some(Signal::Down { monitor, reason }) => {
                let words = [monitor.index, monitor.generation, reason.kind as u32, reason.token];
                Event::new(EVENT_DOWN, actor, &words)
            }
            Some(Signal::Exit { link, reason }) => {
                let words = [link.index, link.generation, reason.kind as u32, reason.token];
                Event::new(EVENT_EXIT, actor, &words)
            }
            Some(Signal::Idle { idle_ms }) => Event::new(EVENT_IDLE, actor, &[idle_ms]),
            Some(Signal::Continue { slot }) => Event::new(EVENT_CONTINUE, actor, &[slot]),
            Some(Signal::Timer { timer, generation }) => self.show_timer(actor, timer, generation),
            None => Event::new(EVENT_FREE, actor, &[NIL]),
        };
        event.words[5] = index;
        event
    }

    /// Whether a signal that comes back from the isolate has nobody left to handle it.
    fn is_stale(&self, actor: ActorIndex, index: u32, incarnation: u32) -> bool {
        if self.refuses(actor) || self.table.get(actor).incarnation != incarnation {
            return true;
        }
        matches!(self.signals[index as usize], Some(Signal::Timer { timer, generation })
            if !self.has_timer(timer, generation))
    }

    /// The isolate has handled a signal.
    pub(super) fn signal_consumed(&mut self, index: u32) {
        match self.forget_signal(index) {
            Some(Signal::Down { reason, .. } | Signal::Exit { reason, .. }) => self.release_reason(reason),
            Some(Signal::Timer { timer, generation }) => self.tick_over(timer, generation),
            Some(Signal::Continue { .. } | Signal::Idle { .. }) | None => {}
        }
    }

    pub(super) fn forget_signal(&mut self, index: u32) -> Option<Signal> {
        let signal = self.signals.get_mut(index as usize)?.take()?;
        self.free_signals.push(index);
        Some(signal)
    }

    /// Defers a message until the actor asks for it again. A timeout of `NIL` leaves the call's
    /// deadline as it is.
    pub(super) fn stash(&mut self, actor: ActorIndex, word: u32, timeout_ms: u32) -> Stash {
        if self.refuses(actor) {
            return Stash::Gone;
        }
        let limit = self.config.stash_messages_max;
        let cold = self.table.cold_mut(actor);
        if cold.stashed >= limit {
            return Stash::Full;
        }
        cold.stashed += 1;
        let cell = cold.stash.push_back(&mut self.pool, word);
        if kind_of(word) == ENTRY_CALL {
            self.calls.stashed(slot_of(word), actor, cell);
            self.arm_deadline(slot_of(word), timeout_ms);
        }
        Stash::Stashed
    }

    /// Puts the oldest stashed messages back in front of the mailbox, in their order, and behind those
    /// that were put back before and still wait.
    pub(super) fn unstash(&mut self, actor: ActorIndex, at_most: u32) -> u32 {
        if !self.table.exists(actor) || self.table.get(actor).cold.is_none() {
            return 0;
        }
        let cold = self.table.cold_mut(actor);
        let count = at_most.min(cold.stashed);
        let mut moved = Queue::default();
        if count == cold.stashed {
            std::mem::swap(&mut moved, &mut cold.stash);
        } else {
            for _ in 0..count {
                let Some(mut first) = cold.stash.split_first(&mut self.pool) else { break };
                moved.append(&mut self.pool, &mut first);
            }
        }
        cold.stashed -= count;
        for (_, word) in moved.iter(&self.pool) {
            if kind_of(word) == ENTRY_CALL {
                self.calls.unstashed(slot_of(word));
            }
        }
        self.table.add_pending(actor, count);
        let Some(last) = moved.last_cell() else { return 0 };
        let behind = std::mem::replace(&mut self.table.cold_mut(actor).put_back, last);
        let record = self.table.get_mut(actor);
        record.queued += count;
        if record.puts_back {
            record.mailbox.insert_after(&mut self.pool, behind, &mut moved);
        } else {
            record.mailbox.prepend(&mut self.pool, &mut moved);
            record.puts_back = true;
        }
        self.schedule(actor);
        count
    }

    /// Whether the message that was put back last is where the books say, for checks.
    #[must_use]
    pub fn knows_put_back(&self, actor: ActorIndex) -> bool {
        let record = self.table.get(actor);
        let put_back = record.cold.as_ref().map_or(NIL, |cold| cold.put_back);
        !record.puts_back || record.mailbox.iter(&self.pool).any(|(cell, _)| cell == put_back)
    }

    /// Refuses everything in the stash.
    pub(super) fn clear_stash(&mut self, actor: ActorIndex, cause: u32) {
        if self.table.get(actor).cold.is_none() {
            return;
        }
        let mut stash = std::mem::take(&mut self.table.cold_mut(actor).stash);
        self.table.cold_mut(actor).stashed = 0;
        while let Some(word) = stash.pop(&mut self.pool) {
            self.refuse(actor, word, cause);
        }
    }

    /// Refuses everything in the mailbox and takes the signals out of the world.
    pub(super) fn clear_mailbox(&mut self, actor: ActorIndex) {
        let record = self.table.get_mut(actor);
        let mut mailbox = std::mem::take(&mut record.mailbox);
        record.queued = 0;
        record.puts_back = false;
        while let Some(word) = mailbox.pop(&mut self.pool) {
            self.table.sub_pending(actor, 1);
            if kind_of(word) != ENTRY_SIGNAL {
                self.refuse(actor, word, CAUSE_GONE);
                continue;
            }
            self.drop_signal(slot_of(word));
        }
    }

    /// Takes a signal that nobody will handle out of the world.
    fn drop_signal(&mut self, index: u32) {
        match self.forget_signal(index) {
            Some(Signal::Down { reason, .. } | Signal::Exit { reason, .. }) => self.release_reason(reason),
            Some(Signal::Continue { slot }) => self.outbox.push(Event::new(EVENT_FREE, NIL, &[slot])),
            Some(Signal::Timer { timer, generation }) => self.tick_over(timer, generation),
            Some(Signal::Idle { .. }) | None => {}
        }
    }

    /// Drops the signals in a mailbox that were meant for the incarnation that has just ended, and
    /// keeps the user's messages for the next.
    pub(super) fn keep_messages_only(&mut self, actor: ActorIndex) {
        let mailbox = self.table.get(actor).mailbox;
        let signals: Vec<(u32, u32)> =
            mailbox.iter(&self.pool).filter(|&(_, word)| kind_of(word) == ENTRY_SIGNAL).collect();
        for (cell, word) in signals {
            self.take_entry_out(actor, cell);
            self.drop_signal(slot_of(word));
        }
    }

    /// Lists the user's messages in a mailbox; takes them out if asked to, and calls whose time is up are
    /// not listed then.
    pub(super) fn list_pending(&mut self, actor: ActorIndex, take: Take) {
        self.listing.clear();
        if !self.table.exists(actor) {
            return;
        }
        let mailbox = self.table.get(actor).mailbox;
        let messages: Vec<(u32, u32)> =
            mailbox.iter(&self.pool).filter(|&(_, word)| matches!(kind_of(word), ENTRY_CAST | ENTRY_CALL)).collect();
        for (cell, word) in messages {
            match (take, kind_of(word)) {
                (Take::Leave, _) => {}
                (Take::Out, ENTRY_CALL) if !self.hold_call(slot_of(word)) => continue,
                (Take::Out, ENTRY_CALL) => {}
                (Take::Out, _) => self.take_out(actor, cell),
            }
            self.listing.push(word);
        }
    }

    /// Messages in all mailboxes.
    pub(super) fn backlog(&self) -> u64 {
        self.table.iter().map(|actor| u64::from(self.table.get(actor).queued)).sum()
    }

    /// Stops an actor's mailbox from being served.
    pub(super) fn pause(&mut self, actor: ActorIndex) -> bool {
        let exists = self.table.exists(actor);
        if exists {
            self.table.raise(actor, FLAG_PAUSED);
        }
        exists
    }

    /// Serves the mailbox again.
    pub(super) fn resume(&mut self, actor: ActorIndex) -> bool {
        let exists = self.table.exists(actor);
        if exists {
            self.table.lower(actor, FLAG_PAUSED);
            self.schedule(actor);
        }
        exists
    }
}

/// Whether a listing leaves the messages where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// It does.
    Leave,
    /// It takes them out; their slots are the isolate's again.
    Out,
}
