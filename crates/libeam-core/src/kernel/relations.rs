//! Monitors, links and exit signals.
//!
//! A monitor ends with the one DOWN that it causes, or when its watcher removes it or ends or is
//! started again. It is bound to the *logical* actor: a supervised restart of the watched one is not
//! seen. A link ends with the first end of either side, restarts included: links carry crashes, and a
//! crash that a supervisor repairs is a crash all the same.

use super::{Event, Kernel, Signal};
use crate::actor_id::{ActorIndex, NIL};
use crate::reason::{Reason, ReasonKind};
use crate::ring::protocol::*;
use crate::table::relation::{End, RelationId};
use crate::table::{Phase, Then};

impl Kernel {
    /// Whether there is an incarnation to act for; between two of them an actor makes no relations. The next
    /// one begins when the isolate starts it: the isolate would forget what was made for it before.
    pub(super) fn has_incarnation(&self, actor: ActorIndex) -> bool {
        self.table.exists(actor) && self.table.flags(actor) & FLAG_RESTARTING == 0
    }

    /// Watches an actor; `NIL` or an ended one gives DOWN (normal) at once.
    pub(super) fn monitor(&mut self, watcher: ActorIndex, watched: ActorIndex) -> RelationId {
        if !self.has_incarnation(watcher) {
            return RelationId::NONE;
        }
        let target = if watched != NIL && self.table.exists(watched) { watched } else { watcher };
        let id = self.monitors.create(watcher, target);
        if target == watched {
            self.monitors.attach(id.index, End::First, &mut self.table.cold_mut(watcher).watching);
            self.monitors.attach(id.index, End::Second, &mut self.table.cold_mut(watched).watched_by);
        } else {
            self.monitors.remove(id.index);
            self.enqueue_signal(watcher, Signal::Down { monitor: id, reason: Reason::NORMAL });
        }
        id
    }

    /// Stops watching.
    pub(super) fn demonitor(&mut self, id: RelationId) -> bool {
        let Some(index) = self.monitors.find(id) else { return false };
        self.remove_monitor(index);
        true
    }

    fn remove_monitor(&mut self, index: u32) {
        let [watcher, watched] = self.monitors.ends(index);
        self.monitors.detach(index, End::First, &mut self.table.cold_mut(watcher).watching);
        self.monitors.detach(index, End::Second, &mut self.table.cold_mut(watched).watched_by);
        self.monitors.remove(index);
    }

    /// Forgets the monitors in which an actor is the watcher.
    pub(super) fn drop_watching(&mut self, actor: ActorIndex) {
        while let Some(index) = self.table.get(actor).cold.as_ref().map(|cold| cold.watching.first())
            && index != NIL
        {
            self.remove_monitor(index);
        }
    }

    /// Tells all watchers.
    pub(super) fn notify_watchers(&mut self, actor: ActorIndex, reason: Reason) {
        while let Some(index) = self.table.get(actor).cold.as_ref().map(|cold| cold.watched_by.first())
            && index != NIL
        {
            let [watcher, _] = self.monitors.ends(index);
            let monitor = self.monitors.id(index);
            self.remove_monitor(index);
            if watcher != actor {
                self.reasons.retain(reason);
                self.enqueue_signal(watcher, Signal::Down { monitor, reason });
            }
        }
    }

    /// Links two actors; `None` when either has ended or both are the same.
    pub(super) fn link(&mut self, a: ActorIndex, b: ActorIndex) -> Option<RelationId> {
        if a == b || !self.has_incarnation(a) || !self.has_incarnation(b) {
            return None;
        }
        let id = self.links.create(a, b);
        self.links.attach(id.index, End::First, &mut self.table.cold_mut(a).links);
        self.links.attach(id.index, End::Second, &mut self.table.cold_mut(b).links);
        Some(id)
    }

    /// Removes a link.
    pub(super) fn unlink(&mut self, id: RelationId) -> bool {
        let Some(index) = self.links.find(id) else { return false };
        self.remove_link(index);
        true
    }

    fn remove_link(&mut self, index: u32) {
        let [a, b] = self.links.ends(index);
        self.links.detach(index, End::First, &mut self.table.cold_mut(a).links);
        self.links.detach(index, End::Second, &mut self.table.cold_mut(b).links);
        self.links.remove(index);
    }

    /// Ends all links of an actor and sends their signals.
    pub(super) fn break_links(&mut self, actor: ActorIndex, reason: Reason) {
        while let Some(index) = self.table.get(actor).cold.as_ref().map(|cold| cold.links.first())
            && index != NIL
        {
            let [a, b] = self.links.ends(index);
            let other = if a == actor { b } else { a };
            let link = self.links.id(index);
            self.remove_link(index);
            self.exit_signal(other, link, reason);
        }
    }

    /// Delivers an exit signal to an actor: a message if it traps, its crash if the reason is
    /// abnormal, nothing otherwise. Between two incarnations there is nobody to crash.
    fn exit_signal(&mut self, target: ActorIndex, link: RelationId, reason: Reason) {
        let record = self.table.get(target);
        if record.traps_exit && record.phase == Phase::Alive {
            self.reasons.retain(reason);
            self.enqueue_signal(target, Signal::Exit { link, reason });
        } else if reason.is_abnormal() && record.phase == Phase::Alive && self.has_incarnation(target) {
            self.reasons.retain(reason);
            let words = [link.index, link.generation, reason.kind as u32, reason.token];
            self.table.raise(target, FLAG_DOOMED);
            self.outbox.push(Event::new(EVENT_SIGNALLED, target, &words));
        } else if link != RelationId::NONE {
            self.outbox.push(Event::new(EVENT_UNLINKED, target, &[link.index, link.generation]));
        }
    }

    /// The isolate found that nobody is left to crash the actor for.
    pub(super) fn pardon(&mut self, actor: ActorIndex) {
        if self.table.exists(actor) {
            self.table.lower(actor, FLAG_DOOMED);
            self.wake(actor);
        }
    }

    /// An exit signal that an actor or the program sends.
    pub(super) fn exit(&mut self, target: ActorIndex, kind: ReasonKind, token: u32) {
        let reason = Reason { kind, token };
        self.reasons.retain(reason);
        if self.table.exists(target) {
            match kind {
                ReasonKind::Killed => self.begin_exit(target, Reason::KILLED, Then::Kill),
                ReasonKind::Normal => {
                    if self.table.get(target).traps_exit {
                        self.exit_signal(target, RelationId::NONE, reason);
                    }
                }
                ReasonKind::Error | ReasonKind::Exit => self.exit_signal(target, RelationId::NONE, reason),
            }
        }
        self.release_reason(reason);
    }
}
