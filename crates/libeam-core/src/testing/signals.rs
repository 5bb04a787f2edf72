//! Watches, links, timers and idle timeouts on the isolate's side.
//!
//! As in `lib/kernel/signals.ts`, the cell of whoever is to be told notes the name of each relation and
//! timer. A note disappears with its message, with its removal, or with the incarnation it was made
//! for; between two incarnations the core makes none.

use super::cell::{Key, LinkId, Noted, Ref, TimerId, WatchId, What};
use super::isolate::{RelationState, TimerState};
use super::slots::{Message, Value};
use super::{Handler, Isolate};
use crate::actor_id::NIL;
use crate::reason::ReasonKind;
use crate::ring::protocol::*;

impl Isolate {
    /// Whether the core has begun an incarnation that the isolate has not been told of.
    pub(super) fn is_reborn(&self, actor: Ref) -> bool {
        let cell = self.cell(actor);
        self.kernel.table().get(cell.index).incarnation != cell.incarnation
    }

    /// Has `watcher` told when `target` ends; at once if it has ended.
    pub fn watch(&mut self, watcher: Ref, target: Ref) -> Option<WatchId> {
        if self.cell(watcher).dead {
            return None;
        }
        let watched = if self.cell(target).dead { NIL } else { self.cell(target).index };
        let [index, generation, ..] = self.control(OP_MONITOR, &[self.cell(watcher).index, watched], None);
        if index == NIL {
            return None;
        }
        let (at, key) = (self.watches.len(), (index, generation));
        self.watches.push(RelationState { from: watcher, to: target, key, told: false });
        let old = self.cell_mut(watcher).watches.insert(key, Noted { other: target, at });
        assert!(old.is_none(), "two watches of {watcher:?} have the name {key:?}");
        Some(WatchId(at))
    }

    /// Ends a watch.
    pub fn unwatch(&mut self, watch: WatchId) {
        let RelationState { from, key, .. } = self.watches[watch.0];
        if self.cell_mut(from).watches.remove(&key).is_some() {
            self.control(OP_DEMONITOR, &[key.0, key.1], None);
        }
    }

    /// Links two actors.
    pub fn link(&mut self, a: Ref, b: Ref) -> Option<LinkId> {
        if self.cell(a).dead || self.cell(b).dead || a == b {
            return None;
        }
        let args = [self.cell(a).index, self.cell(b).index];
        let [status, index, generation, ..] = self.control(OP_LINK, &args, None);
        if status != STATUS_OK {
            return None;
        }
        let (at, key) = (self.links.len(), (index, generation));
        self.links.push(RelationState { from: a, to: b, key, told: false });
        for (owner, other) in [(a, b), (b, a)] {
            let old = self.cell_mut(owner).links.insert(key, Noted { other, at });
            assert!(old.is_none(), "two links of {owner:?} have the name {key:?}");
        }
        Some(LinkId(at))
    }

    /// Ends a link without a signal.
    pub fn unlink(&mut self, link: LinkId) {
        let RelationState { from, to, key, .. } = self.links[link.0];
        let known = self.cell_mut(from).links.remove(&key).is_some();
        if self.cell_mut(to).links.remove(&key).is_some() || known {
            self.control(OP_UNLINK, &[key.0, key.1], None);
        }
    }

    /// Turns exit signals into messages, or not.
    pub fn trap_exit(&mut self, actor: Ref, traps: bool) {
        self.act(actor, OP_TRAP_EXIT, &[u32::from(traps)]);
    }

    /// Starts a timer; `None` when there are too many or the actor is going.
    pub fn start_timer(&mut self, actor: Ref, handler: &Handler, delay_ms: u32, interval: bool) -> Option<TimerId> {
        if self.cell(actor).dead {
            return None;
        }
        let slot = self.slots.alloc(Value::Tick(handler.clone()));
        let args = [self.cell(actor).index, slot, delay_ms, u32::from(interval), 0];
        let [status, index, generation, ..] = self.control(OP_TIMER_START, &args, None);
        if status != STATUS_OK {
            self.slots.free(slot);
            return None;
        }
        let (at, key) = (self.timers.len(), (index, generation));
        let not_before_us = self.now_us + u64::from(delay_ms) * 1_000;
        let period_ms = if interval { delay_ms.max(1) } else { 0 };
        self.timers.push(TimerState { actor, key, not_before_us, period_ms });
        let old = self.cell_mut(actor).timers.insert(key, Noted { other: actor, at });
        assert!(old.is_none(), "two timers of {actor:?} have the name {key:?}");
        Some(TimerId(at))
    }

    /// Cancels a timer; false if there was nothing left to cancel.
    pub fn cancel_timer(&mut self, timer: TimerId) -> bool {
        let TimerState { actor, key, .. } = self.timers[timer.0];
        if self.cell_mut(actor).timers.remove(&key).is_none() {
            return false;
        }
        let [status, slot, ..] = self.control(OP_TIMER_CANCEL, &[key.0, key.1], None);
        if status != STATUS_OK {
            return false;
        }
        let value = self.slots.free(slot);
        assert!(matches!(value, Value::Tick(_)), "a cancelled timer gives back a slot with {value:?}");
        true
    }

    /// Cancels all timers of an actor.
    pub fn cancel_all_timers(&mut self, actor: Ref) {
        if self.cell(actor).timers.is_empty() {
            return;
        }
        self.cell_mut(actor).timers.clear();
        self.act(actor, OP_TIMER_CANCEL_ALL, &[]);
    }

    /// Sets, changes or (0) removes the idle timeout.
    pub fn idle_timeout(&mut self, actor: Ref, idle_ms: u32) {
        self.act(actor, OP_IDLE, &[idle_ms]);
    }

    fn assert_token(&self, kind: ReasonKind, token: u32) {
        if token != NIL {
            assert!(matches!(self.slots.get(token), Value::Token(_)), "slot {token} of a reason holds something else");
        } else {
            let bare = matches!(kind, ReasonKind::Normal | ReasonKind::Killed);
            assert!(bare, "a reason of kind {kind:?} comes without its value");
        }
    }

    /// Delivers DOWN, unless the watch was given up meanwhile.
    pub(super) fn deliver_down(&mut self, actor: Ref, key: Key, kind: ReasonKind, token: u32) {
        self.assert_token(kind, token);
        let Some(noted) = self.cell_mut(actor).watches.remove(&key) else {
            let told = self.watches.iter().any(|watch| watch.from == actor && watch.key == key && watch.told);
            assert!(!told, "{actor:?} is told twice that a watched actor ended");
            self.run_plain(actor, &Handler::ok());
            return;
        };
        self.watches[noted.at].told = true;
        self.note(actor, What::Down(noted.other, kind));
        self.run_plain(actor, &self.info_of(actor));
    }

    /// Delivers EXIT to an actor that traps exits, unless the link was given up meanwhile.
    pub(super) fn deliver_exit(&mut self, actor: Ref, key: Key, kind: ReasonKind, token: u32) {
        self.assert_token(kind, token);
        let noted = self.cell_mut(actor).links.remove(&key);
        if key.0 != NIL && noted.is_none() {
            self.run_plain(actor, &Handler::ok());
            return;
        }
        self.note(actor, What::Exit(noted.map(|noted| noted.other), kind));
        self.run_plain(actor, &self.info_of(actor));
    }

    /// An exit signal takes an actor down that does not trap exits.
    pub(super) fn signalled(&mut self, actor: Ref, key: Key, kind: ReasonKind, token: u32) {
        self.assert_token(kind, token);
        let noted = self.cell_mut(actor).links.remove(&key);
        if key.0 == NIL {
            let Value::Token(target) = *self.slots.get(token) else { panic!("an exit signal has no value") };
            assert_eq!(target, Some(actor), "an exit signal reaches somebody else");
        }
        if key.0 == NIL || noted.is_some() {
            self.crash(actor);
        } else {
            self.act(actor, OP_PARDON, &[]);
        }
    }

    /// A link ended on the other side without a signal for this one.
    pub(super) fn unlinked(&mut self, actor: Ref, key: Key) {
        self.cell_mut(actor).links.remove(&key);
    }

    /// Delivers a tick, unless its timer was cancelled meanwhile.
    pub(super) fn deliver_tick(&mut self, actor: Ref, slot: u32, single: bool, key: Key) {
        let Some(&noted) = self.cell(actor).timers.get(&key) else {
            self.run_plain(actor, &Handler::ok());
            return;
        };
        if single {
            self.cell_mut(actor).timers.remove(&key);
        }
        let Value::Tick(handler) = self.slots.get(slot).clone() else {
            panic!("slot {slot} of a tick holds something else")
        };
        let now_us = self.now_us;
        let timer = &mut self.timers[noted.at];
        assert!(now_us >= timer.not_before_us, "a timer of {actor:?} fires {} µs early", timer.not_before_us - now_us);
        timer.not_before_us += u64::from(timer.period_ms) * 1_000;
        self.note(actor, What::Tick(handler.label));
        // The timer keeps its slot until the core lets go of it; the message gets one of its own.
        let message = Message { sequence: 0, handler: handler.clone(), fresh: false };
        let copy = self.slots.alloc(Value::Cast(message));
        self.run_message(actor, copy, &handler, true);
    }
}
