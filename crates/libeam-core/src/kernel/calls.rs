//! Where each unanswered call is, so that its deadline or its caller can withdraw it.
//!
//! A call is *queued* (in a mailbox), *stashed*, *held* (taken out of a mailbox by whoever drained it) or
//! *issued* (the isolate has it: it runs or will run in this batch). A withdrawn call that was queued,
//! stashed or held is never handled. One that is issued goes on running; only its caller is told, and
//! its slot stays in use until the isolate says `SUBMIT_SETTLED`.

use super::{Kernel, TICK_US};
use crate::actor_id::{ActorIndex, NIL};
use crate::ring::protocol::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    None,
    Queued,
    Stashed,
    Held,
    Issued,
}

#[derive(Clone, Copy, Debug)]
struct Call {
    place: Place,
    /// Cell in the pool while queued or stashed.
    cell: u32,
    actor: ActorIndex,
    /// Timeout whose clock has not started, in milliseconds; `NIL` if it has or there is none.
    unarmed_ms: u32,
    /// Its caller is being told that the time is up, while it runs.
    timed_out: bool,
}

const NO_CALL: Call = Call { place: Place::None, cell: NIL, actor: NIL, unarmed_ms: NIL, timed_out: false };

/// Unanswered calls by slot.
#[derive(Debug, Default)]
pub struct Calls {
    calls: Vec<Call>,
    len: usize,
    /// Slots of calls whose clock starts with the next `enter`; settled ones may be among them.
    unarmed: Vec<u32>,
}

/// What a withdrawal found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Withdrawal {
    /// No such call, or an event will say that it is refused.
    Unknown,
    /// It was waiting and is gone: the slot is free.
    Removed,
    /// It runs: the slot stays in use.
    Running,
}

impl Calls {
    /// Unanswered calls.
    pub fn len(&self) -> usize {
        self.len
    }

    fn put(&mut self, slot: u32, call: Call) {
        let at = slot as usize;
        if at >= self.calls.len() {
            self.calls.resize(at + 1, NO_CALL);
        }
        if self.calls[at].place == Place::None {
            self.len += 1;
        }
        let Call { unarmed_ms, timed_out, .. } = self.calls[at];
        self.calls[at] = Call { unarmed_ms, timed_out, ..call };
    }

    /// The call waits in that cell of its actor's mailbox.
    #[inline]
    pub fn queued(&mut self, slot: u32, actor: ActorIndex, cell: u32) {
        self.put(slot, Call { place: Place::Queued, cell, actor, ..NO_CALL });
    }

    /// The call waits in that cell of its actor's stash.
    pub fn stashed(&mut self, slot: u32, actor: ActorIndex, cell: u32) {
        self.put(slot, Call { place: Place::Stashed, cell, actor, ..NO_CALL });
    }

    /// The call moved from the stash to the mailbox, in the same cell.
    pub fn unstashed(&mut self, slot: u32) {
        if let Some(call) = self.calls.get_mut(slot as usize)
            && call.place == Place::Stashed
        {
            call.place = Place::Queued;
        }
    }

    /// The isolate has the call.
    #[inline]
    pub fn issued(&mut self, slot: u32) {
        self.away(slot, Place::Issued);
    }

    /// The call has no cell any more.
    #[inline]
    fn away(&mut self, slot: u32, place: Place) {
        if let Some(call) = self.calls.get_mut(slot as usize) {
            call.place = place;
            call.cell = NIL;
        }
    }

    /// The call became a pending promise without passing through a mailbox.
    pub fn started(&mut self, slot: u32, actor: ActorIndex) {
        self.put(slot, Call { place: Place::Issued, actor, ..NO_CALL });
    }

    /// The call is answered or refused.
    #[inline]
    pub fn forget(&mut self, slot: u32) {
        if let Some(call) = self.calls.get_mut(slot as usize)
            && call.place != Place::None
        {
            *call = NO_CALL;
            self.len -= 1;
        }
    }

    fn get(&self, slot: u32) -> Call {
        self.calls.get(slot as usize).copied().unwrap_or(NO_CALL)
    }
}

impl Kernel {
    /// Takes a call out of its mailbox. Tells whether its caller still waits; its deadline goes on then.
    pub(super) fn hold_call(&mut self, slot: u32) -> bool {
        let Call { cell, actor, timed_out, .. } = self.calls.get(slot);
        if timed_out {
            let _ = self.cancel_call(slot);
            return false;
        }
        self.take_out(actor, cell);
        self.calls.away(slot, Place::Held);
        true
    }

    /// Whether a call was taken out of its mailbox.
    pub(super) fn holds_call(&self, slot: u32) -> bool {
        self.calls.get(slot).place == Place::Held
    }

    /// Has the clock of a call start with the next `enter`, which knows the time. Most calls are
    /// answered before, and cost no deadline at all.
    #[inline]
    pub(super) fn arm_deadline(&mut self, slot: u32, timeout_ms: u32) {
        if timeout_ms == NIL || self.deadlines.is_armed(slot) {
            return;
        }
        if let Some(call) = self.calls.calls.get_mut(slot as usize) {
            if call.unarmed_ms == NIL {
                self.calls.unarmed.push(slot);
            }
            call.unarmed_ms = timeout_ms;
        }
    }

    /// Starts the clocks of the calls that are still unanswered. They last at least their timeout:
    /// ticks are rounded up.
    pub(super) fn arm_deadlines(&mut self) {
        let now = self.now_us.div_ceil(TICK_US);
        for slot in self.calls.unarmed.drain(..) {
            let call = &mut self.calls.calls[slot as usize];
            let timeout_ms = std::mem::replace(&mut call.unarmed_ms, NIL);
            if timeout_ms != NIL && call.place != Place::None && !self.deadlines.is_armed(slot) {
                self.deadlines.arm(slot, now, timeout_ms);
            }
        }
    }

    /// A call that ran inline has become a pending promise.
    pub(super) fn call_started(&mut self, actor: ActorIndex, slot: u32, timeout_ms: u32) {
        self.calls.started(slot, actor);
        self.arm_deadline(slot, timeout_ms);
    }

    /// A call is answered or withdrawn: its slot is free, or about to be.
    pub(super) fn call_settled(&mut self, slot: u32) {
        self.deadlines.disarm(slot);
        if self.calls.get(slot).timed_out {
            // Race: the news of the timeout may still be here, and the slot is about to be somebody else's.
            self.outbox.withdraw(EVENT_REJECT, slot);
        }
        self.calls.forget(slot);
    }

    /// Takes a call out of wherever it waits.
    pub(super) fn withdraw_call(&mut self, slot: u32) -> Withdrawal {
        let Call { place, cell, actor, .. } = self.calls.get(slot);
        match place {
            Place::None => return Withdrawal::Unknown,
            Place::Issued => {
                self.deadlines.disarm(slot);
                return Withdrawal::Running;
            }
            Place::Held => {}
            Place::Queued => self.take_out(actor, cell),
            Place::Stashed => {
                let cold = self.table.cold_mut(actor);
                cold.stash.remove(&mut self.pool, cell);
                cold.stashed -= 1;
            }
        }
        self.call_settled(slot);
        Withdrawal::Removed
    }

    /// The caller of a call gives up.
    pub(super) fn cancel_call(&mut self, slot: u32) -> Withdrawal {
        let timed_out = self.calls.get(slot).timed_out;
        let withdrawal = self.withdraw_call(slot);
        if !timed_out || withdrawal != Withdrawal::Removed {
            return withdrawal;
        }
        // Race: the isolate has put the call back and may yet come to the news of its timeout in the same batch, so the
        // slot stays in use until after that batch.
        self.outbox.push(super::Event::new(EVENT_REJECT, NIL, &[slot, CAUSE_TIMEOUT, 1]));
        Withdrawal::Unknown
    }

    /// Rejects the calls whose time is up.
    pub(super) fn fire_deadlines(&mut self) {
        let now = self.now_us / TICK_US;
        if self.deadlines.next_deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        let mut expired = std::mem::take(&mut self.expired);
        self.deadlines.expire(now, &mut expired);
        for slot in expired.drain(..) {
            let free = match self.withdraw_call(slot) {
                Withdrawal::Unknown => continue,
                Withdrawal::Removed => 1,
                Withdrawal::Running => {
                    self.calls.calls[slot as usize].timed_out = true;
                    0
                }
            };
            self.outbox.push(super::Event::new(EVENT_REJECT, NIL, &[slot, CAUSE_TIMEOUT, free]));
        }
        self.expired = expired;
    }
}
