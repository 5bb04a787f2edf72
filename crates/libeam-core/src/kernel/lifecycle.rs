//! Spawn, and the one way out.
//!
//! An exit moves through [`Phase`]s: `AwaitHandler` (skipped when nothing runs, or when the actor is
//! killed), `StopChildren` (oldest first, each with its own subtree before it), `Terminating`
//! (skipped when the actor has nothing to do there), then [`Kernel::finish_exit`]. Steps that become
//! possible are queued in `exits` and worked off in a loop, so that a chain of a million descendants
//! does not need a million stack frames. Each wait has an end: `stop_timeout_ms`.

use super::timers::Alarm;
use super::{Event, Kernel};
use crate::actor_id::{ActorIndex, NIL};
use crate::reason::Reason;
use crate::ring::protocol::*;
use crate::table::names::Registration;
use crate::table::{Exit, Overflow, Phase, TURN_MAX, Then};

/// What a spawn asks for.
#[derive(Clone, Copy, Debug)]
pub struct Spawn<'a> {
    /// Parent, or `NIL` for a root.
    pub parent: ActorIndex,
    /// Messages at most in the mailbox; 0 is unbounded.
    pub capacity: u32,
    /// What a full mailbox does.
    pub overflow: Overflow,
    /// `TRAIT_…` bits.
    pub traits: u32,
    /// Name to register.
    pub name: Option<&'a str>,
}

/// Why a spawn was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpawnRefusal {
    /// The name belongs to somebody else.
    NameTaken,
    /// There are as many actors as there may be.
    Limit,
    /// The parent is gone or on its way out.
    ParentExiting,
}

/// What came of asking an actor to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Stop {
    /// There was nothing to stop.
    Unknown,
    /// It is gone, without an event.
    Gone,
    /// An event will say when it is gone.
    Started,
}

impl Kernel {
    /// Makes an actor whose first `init` is about to run.
    pub(super) fn spawn(&mut self, spawn: Spawn<'_>) -> Result<ActorIndex, SpawnRefusal> {
        if spawn.parent != NIL
            && (!self.table.exists(spawn.parent)
                || self.table.flags(spawn.parent) & (FLAG_EXITING | FLAG_RESTARTING | FLAG_STOPPING | FLAG_DEAD) != 0)
        {
            return Err(SpawnRefusal::ParentExiting);
        }
        if self.table.live() >= self.config.actors_max {
            return Err(SpawnRefusal::Limit);
        }
        if spawn.name.is_some_and(|name| self.names.whereis(name).is_some()) {
            return Err(SpawnRefusal::NameTaken);
        }
        let actor = self.table.allocate();
        self.table.raise(actor, FLAG_STARTING);
        self.table.set_capacity(actor, spawn.capacity);
        let record = self.table.get_mut(actor);
        record.overflow = spawn.overflow;
        record.terminates = spawn.traits & TRAIT_TERMINATE != 0;
        if let Some(name) = spawn.name
            && self.names.register(name, actor) == Registration::Registered
        {
            self.table.cold_mut(actor).name = Some(name.into());
        }
        if spawn.parent != NIL {
            self.table.adopt(spawn.parent, actor);
        }
        Ok(actor)
    }

    /// An `init` failed before anybody could know the actor, or was not run because the actor is on
    /// its way out. There is nothing to terminate.
    pub(super) fn spawn_failed(&mut self, actor: ActorIndex) {
        if !self.table.exists(actor) {
            return;
        }
        self.table.lower(actor, FLAG_STARTING | FLAG_RUNNING);
        self.table.get_mut(actor).unborn = true;
        let was_leaving = self.table.get(actor).phase != Phase::Alive;
        self.begin_exit(actor, Reason::NORMAL, Then::Stop); // It may have been on its way to be started again.
        if was_leaving {
            self.wake(actor);
        }
    }

    /// An `init` that was not the plain synchronous first one has ended well.
    pub(super) fn init_done(&mut self, actor: ActorIndex, incarnation: u32, continue_slot: u32) -> bool {
        if !self.table.exists(actor) || self.table.get(actor).incarnation != incarnation {
            return false;
        }
        self.table.lower(actor, FLAG_STARTING);
        if self.table.get(actor).phase != Phase::Alive {
            if continue_slot != NIL {
                self.outbox.push(Event::new(EVENT_FREE, NIL, &[continue_slot]));
            }
            self.wake(actor);
            return true;
        }
        if incarnation > 0 {
            self.unstash(actor, u32::MAX);
        }
        if continue_slot != NIL {
            self.enqueue_signal_in_front(actor, super::Signal::Continue { slot: continue_slot });
        }
        self.schedule(actor);
        self.plan_member_started(actor);
        true
    }

    /// Stops an actor and everything below it.
    pub(super) fn stop(&mut self, actor: ActorIndex) -> Stop {
        if !self.table.exists(actor) {
            return Stop::Unknown;
        }
        if self.is_plain(actor) {
            // Perf: most short-lived actors leave here (benchmark "spawn + stop").
            self.table.disown(actor);
            self.table.release(actor);
            return Stop::Gone;
        }
        self.begin_exit(actor, Reason::NORMAL, Then::Stop);
        Stop::Started
    }

    /// Whether an actor can leave at once, with nothing that anybody has to be told: no handler, no
    /// child, no message, no `terminate`, no rarely used part.
    fn is_plain(&self, actor: ActorIndex) -> bool {
        let record = self.table.get(actor);
        record.phase == Phase::Alive
            && record.cold.is_none()
            && !record.terminates
            && !record.scheduled
            && record.first_child == NIL
            && record.mailbox.is_empty()
            && self.table.pending(actor) == 0
            && self.table.flags(actor) & !FLAG_PAUSED == 0
            && (record.parent == NIL || self.is_simple_parent(record.parent))
    }

    /// Whether a parent has no business of its own with the end of a child.
    fn is_simple_parent(&self, parent: ActorIndex) -> bool {
        let record = self.table.get(parent);
        record.phase == Phase::Alive && record.cold.as_ref().is_none_or(|cold| cold.plan.is_none())
    }

    /// Starts the exit of an actor, or hardens one that is under way.
    pub(super) fn begin_exit(&mut self, actor: ActorIndex, reason: Reason, then: Then) {
        match self.table.get(actor).phase {
            Phase::Free | Phase::Limbo => {}
            Phase::Alive => {
                self.table.raise(actor, exit_flags(then));
                self.record_exit(actor, reason, then);
                let busy = self.table.flags(actor) & (FLAG_RUNNING | FLAG_STARTING) != 0;
                if busy && then != Then::Kill {
                    self.table.get_mut(actor).phase = Phase::AwaitHandler;
                    self.arm_patience(actor);
                } else {
                    self.handler_ended(actor);
                }
            }
            Phase::Down => {
                self.table.raise(actor, exit_flags(then));
                if then.is_end() {
                    self.record_exit(actor, reason, then);
                    self.exits.push_back(actor);
                    self.drain_exits();
                }
            }
            Phase::AwaitHandler | Phase::StopChildren | Phase::Terminating => {
                let awaiting = self.table.get(actor).phase == Phase::AwaitHandler;
                if then.is_end() {
                    self.harden_exit(actor, reason, then);
                }
                if then == Then::Kill && awaiting {
                    self.handler_ended(actor);
                }
            }
        }
    }

    pub(super) fn record_exit(&mut self, actor: ActorIndex, reason: Reason, then: Then) {
        self.reasons.retain(reason);
        let old = self.table.cold_mut(actor).exit.replace(Exit { reason, then, deadline: NIL });
        if let Some(old) = old {
            self.release_reason(old.reason);
        }
    }

    /// A restart under way becomes an end; an end keeps its first reason unless it is a kill.
    fn harden_exit(&mut self, actor: ActorIndex, reason: Reason, then: Then) {
        self.table.raise(actor, exit_flags(then));
        let Some(exit) = self.table.cold_mut(actor).exit else { return };
        if exit.then == Then::Restart || then == Then::Kill {
            self.reasons.retain(reason);
            self.release_reason(exit.reason);
            self.table.cold_mut(actor).exit = Some(Exit { reason, then, deadline: exit.deadline });
            if self.table.get(actor).phase != Phase::AwaitHandler {
                self.clear_stash(actor, CAUSE_GONE);
                self.clear_mailbox(actor);
            }
        }
    }

    /// The isolate is being told to run `terminate`; from now on it may take its time, and no more.
    pub(super) fn terminate_issued(&mut self, actor: ActorIndex, incarnation: u32) {
        let record = self.table.get(actor);
        if record.phase == Phase::Terminating && record.incarnation == incarnation {
            self.arm_patience(actor);
        }
    }

    fn arm_patience(&mut self, actor: ActorIndex) {
        if self.config.stop_timeout_ms == NIL {
            return;
        }
        let deadline = self.set_alarm(actor, Alarm::Patience, self.config.stop_timeout_ms);
        if let Some(exit) = self.table.cold_mut(actor).exit.as_mut() {
            exit.deadline = deadline;
        }
    }

    fn disarm_patience(&mut self, actor: ActorIndex) {
        let exit = self.table.get_mut(actor).cold.as_mut().and_then(|cold| cold.exit.as_mut());
        if let Some(exit) = exit
            && exit.deadline != NIL
        {
            let deadline = std::mem::replace(&mut exit.deadline, NIL);
            self.clear_alarm(deadline);
        }
    }

    /// A handler or `terminate` takes too long: go on without it.
    pub(super) fn patience_lost(&mut self, actor: ActorIndex) {
        if let Some(exit) = self.table.cold_mut(actor).exit.as_mut() {
            exit.deadline = NIL;
        }
        match self.table.get(actor).phase {
            Phase::AwaitHandler => self.handler_ended(actor),
            Phase::Terminating => self.terminated(actor, self.table.get(actor).incarnation),
            _ => {}
        }
    }

    /// Nothing of the actor's runs any more, or nobody waits for it any longer.
    pub(super) fn handler_ended(&mut self, actor: ActorIndex) {
        self.disarm_patience(actor);
        let flags = self.table.flags(actor);
        if flags & FLAG_RESTARTING != 0 {
            // The isolate has not begun this incarnation. It must not do so when the next one is to start.
            self.outbox.withdraw_for(EVENT_INIT, actor);
        } else if flags & (FLAG_RUNNING | FLAG_STARTING) != 0 {
            let incarnation = self.table.get(actor).incarnation;
            self.outbox.push(Event::new(EVENT_ABANDONED, actor, &[incarnation]));
        }
        if flags & FLAG_STARTING != 0 {
            self.table.get_mut(actor).unborn = true;
        }
        let then = self.exit_of(actor).then;
        self.table.lower(actor, FLAG_RUNNING | FLAG_STARTING);
        self.table.get_mut(actor).phase = Phase::StopChildren;
        if then.is_end() {
            self.clear_stash(actor, CAUSE_GONE);
            self.clear_mailbox(actor);
        }
        self.drop_plan(actor);
        self.exits.push_back(actor);
        self.drain_exits();
    }

    pub(super) fn exit_of(&self, actor: ActorIndex) -> Exit {
        let exit = self.table.get(actor).cold.as_ref().and_then(|cold| cold.exit);
        exit.unwrap_or(Exit { reason: Reason::NORMAL, then: Then::Stop, deadline: NIL })
    }

    /// Works off the steps that have become possible.
    pub(super) fn drain_exits(&mut self) {
        if self.draining_exits {
            return;
        }
        self.draining_exits = true;
        while let Some(actor) = self.exits.pop_front() {
            match self.table.get(actor).phase {
                Phase::StopChildren => self.stop_next_child(actor),
                Phase::Down => self.finish_exit(actor),
                _ => {}
            }
        }
        self.draining_exits = false;
    }

    fn stop_next_child(&mut self, actor: ActorIndex) {
        let child = self.table.get(actor).first_child;
        if child == NIL {
            self.terminate(actor);
            return;
        }
        let (reason, then) = match self.exit_of(actor).then {
            Then::Kill => (Reason::KILLED, Then::Kill),
            Then::Stop | Then::Restart => (Reason::NORMAL, Then::Stop),
        };
        self.table.cold_mut(actor).children_stopped += 1;
        self.begin_exit(child, reason, then);
    }

    fn terminate(&mut self, actor: ActorIndex) {
        let record = self.table.get(actor);
        if !record.terminates || record.unborn {
            self.finish_exit(actor);
            return;
        }
        self.table.get_mut(actor).phase = Phase::Terminating;
        let incarnation = self.table.get(actor).incarnation;
        let then = self.exit_of(actor).then;
        self.outbox.push(Event::new(EVENT_TERMINATE, actor, &[incarnation, u32::from(then == Then::Restart)]));
    }

    /// `terminate` has ended, one way or the other.
    pub(super) fn terminated(&mut self, actor: ActorIndex, incarnation: u32) {
        let record = self.table.get(actor);
        if record.phase == Phase::Terminating && record.incarnation == incarnation {
            self.disarm_patience(actor);
            self.finish_exit(actor);
            self.drain_exits();
        }
    }

    /// The incarnation is over.
    fn finish_exit(&mut self, actor: ActorIndex) {
        let exit = self.exit_of(actor);
        self.cancel_all_timers(actor);
        self.set_idle_timeout(actor, 0);
        self.drop_watching(actor);
        self.break_links(actor, exit.reason);
        match exit.then {
            Then::Restart => self.go_down(actor),
            Then::Stop | Then::Kill => self.finalize(actor, exit.reason),
        }
    }

    /// Hands the actor to its restart. Messages wait for the next incarnation; stashed ones go before
    /// them when it has started, because until then the isolate may put messages back.
    fn go_down(&mut self, actor: ActorIndex) {
        self.keep_messages_only(actor);
        let cold = self.table.cold_mut(actor);
        let exit = cold.exit.take();
        cold.child_supervision = None;
        cold.children_stopped = 0;
        let record = self.table.get_mut(actor);
        record.phase = Phase::Down;
        record.traps_exit = false;
        record.turn = TURN_MAX;
        record.unborn = false;
        let incarnation = record.incarnation + 1;
        self.table.set_incarnation(actor, incarnation);
        self.table.lower(actor, FLAG_EXITING | FLAG_DOOMED);
        self.table.raise(actor, FLAG_RESTARTING);
        if let Some(exit) = exit {
            self.release_reason(exit.reason);
        }
        self.member_down(actor);
    }

    /// Releases everything the actor owns and tells everybody.
    fn finalize(&mut self, actor: ActorIndex, reason: Reason) {
        self.clear_stash(actor, CAUSE_GONE);
        self.clear_mailbox(actor);
        self.drop_plan(actor);
        let cold = self.table.cold_mut(actor);
        let (name, groups) = (cold.name.take(), std::mem::take(&mut cold.groups));
        let (restart, stopped, exit) = (cold.restart_timer.take(), cold.children_stopped, cold.exit.take());
        if let Some(timer) = restart {
            self.clear_alarm(timer);
        }
        if let Some(name) = name {
            self.names.unregister(&name);
        }
        for (group, ticket) in groups {
            self.groups.leave(&group, ticket);
        }
        self.notify_watchers(actor, reason);
        let parent = self.table.get(actor).parent;
        self.leave_plan(actor);
        self.table.disown(actor);
        self.table.raise(actor, FLAG_STOPPING | FLAG_DEAD);
        self.table.get_mut(actor).phase = Phase::Limbo;
        self.outbox.push(Event::new(EVENT_GONE, actor, &[reason.kind as u32, reason.token, stopped]));
        if let Some(exit) = exit {
            self.release_reason(exit.reason);
        }
        if parent != NIL && self.table.get(parent).phase == Phase::StopChildren {
            self.exits.push_back(parent);
            self.drain_exits();
        }
    }
}

fn exit_flags(then: Then) -> u32 {
    match then {
        Then::Stop | Then::Kill => FLAG_EXITING | FLAG_STOPPING,
        Then::Restart => FLAG_EXITING,
    }
}
