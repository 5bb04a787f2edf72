//! What happens after a crash: the decision, and restarts of one actor or of several siblings.
//!
//! The limit is looked at before the strategy, per logical child, for roots as well. A crash of an
//! actor that is already on its way out changes nothing. When a strategy takes siblings along, the
//! parent holds a [`Plan`]: the members stop in reverse order of their spawning, each completely
//! before the next, and when all are down they start in order, each after the `init` of the one
//! before. A member that fails on the way makes a new plan out of what it would take along and what
//! the old plan still had to do.

use super::timers::Alarm;
use super::{Event, Kernel, TICK_US};
use crate::actor_id::{ActorIndex, NIL};
use crate::reason::{Reason, ReasonKind};
use crate::ring::protocol::*;
use crate::supervision::{Backoff, Intensity, OnCrash, Strategy, Supervision};
use crate::table::{Phase, Plan, Then};

/// The answer to a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// One of the `DECISION_…` numbers.
    pub decision: u32,
    /// Restarts within the period, this one included; for `DECISION_GIVE_UP` the number of crashes.
    pub attempt: u32,
    /// Milliseconds before the next start.
    pub delay_ms: u32,
}

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The incarnation's `init`: it never lived.
    Init,
    /// Anything later, or a signal from outside.
    Running,
}

const IGNORED: Verdict = Verdict { decision: DECISION_IGNORED, attempt: 0, delay_ms: 0 };

impl Kernel {
    /// The supervision under which an actor runs.
    fn supervision_of(&self, actor: ActorIndex) -> Supervision {
        let parent = self.table.get(actor).parent;
        if parent == NIL {
            return self.config.root_supervision;
        }
        let own = self.table.get(parent).cold.as_ref().and_then(|cold| cold.child_supervision);
        own.unwrap_or_default()
    }

    /// Something of that incarnation failed, with the value in slot `token`. Escalation climbs as long
    /// as supervisors ask for it; the verdict is the one on the actor itself.
    pub(super) fn crash(&mut self, actor: ActorIndex, incarnation: u32, token: u32, origin: Origin) -> Verdict {
        let reason = Reason { kind: ReasonKind::Error, token };
        self.reasons.retain(reason);
        let current = self.table.exists(actor) && self.table.get(actor).incarnation == incarnation;
        let verdict = if current { self.decide(actor, reason, origin) } else { IGNORED };
        let mut climbing = verdict;
        let mut child = actor;
        while climbing.decision == DECISION_ESCALATE {
            // A child that is gone keeps its parent in its record until the isolate knows.
            child = self.table.get(child).parent;
            if child == NIL || !self.table.exists(child) {
                break;
            }
            climbing = self.decide(child, reason, Origin::Running);
        }
        self.release_reason(reason);
        verdict
    }

    fn decide(&mut self, actor: ActorIndex, reason: Reason, origin: Origin) -> Verdict {
        self.table.lower(actor, FLAG_DOOMED);
        let in_init = origin == Origin::Init && self.table.flags(actor) & FLAG_STARTING != 0;
        if in_init {
            self.table.lower(actor, FLAG_STARTING | FLAG_RUNNING);
        }
        if self.table.get(actor).phase != Phase::Alive || self.table.flags(actor) & FLAG_EXITING != 0 {
            self.table.get_mut(actor).unborn |= in_init;
            self.wake(actor);
            return IGNORED;
        }
        let supervision = self.supervision_of(actor);
        let now = self.now_us / TICK_US;
        let intensity = self.table.cold_mut(actor).window.record(now, supervision.max_restarts, supervision.period_ms);
        self.table.get_mut(actor).unborn = in_init;
        let attempt = match intensity {
            Intensity::Allowed { attempt } => attempt,
            Intensity::Exceeded { count } => {
                self.begin_exit(actor, Reason::KILLED, Then::Stop);
                return Verdict { decision: DECISION_GIVE_UP, attempt: count, delay_ms: 0 };
            }
        };
        self.table.cold_mut(actor).attempt = attempt;
        let mut delay_ms = 0;
        let decision = match supervision.on_crash {
            OnCrash::Stop => {
                self.begin_exit(actor, reason, Then::Stop);
                DECISION_STOP
            }
            OnCrash::Escalate => {
                self.begin_exit(actor, reason, Then::Stop);
                DECISION_ESCALATE
            }
            OnCrash::Restart => {
                let default = if in_init { Some(Backoff::INIT_FAILURE) } else { None };
                let random = self.random();
                delay_ms = supervision.backoff.or(default).map_or(0, |backoff| backoff.delay_ms(attempt, random));
                self.restart(actor, reason, supervision.strategy, delay_ms);
                DECISION_RESTART
            }
        };
        Verdict { decision, attempt, delay_ms }
    }

    fn restart(&mut self, actor: ActorIndex, reason: Reason, strategy: Strategy, delay_ms: u32) {
        let parent = self.table.get(actor).parent;
        let planned = parent != NIL && self.plan(parent).is_some();
        if parent == NIL || (!planned && strategy == Strategy::OneForOne) {
            self.table.cold_mut(actor).restart_delay_ms = delay_ms;
            self.begin_exit(actor, reason, Then::Restart);
            return;
        }
        // The crashed one waits for its turn in the reverse order, but handles nothing more.
        self.table.raise(actor, FLAG_EXITING);
        self.record_exit(actor, reason, Then::Restart);
        self.make_plan(parent, actor, strategy, delay_ms);
        self.step_plan(parent);
    }

    /// Starts an actor again because somebody wants it, not because of a crash: nothing is counted, and its siblings
    /// go on. One that waits for its next incarnation is started now, unless it waits for siblings. False if it is gone
    /// or on its way out for good.
    pub(super) fn start_again(&mut self, actor: ActorIndex) -> bool {
        if !self.table.exists(actor) || self.table.flags(actor) & (FLAG_STOPPING | FLAG_DEAD) != 0 {
            return false;
        }
        match self.table.get(actor).phase {
            Phase::Alive if self.table.flags(actor) & (FLAG_EXITING | FLAG_RESTARTING) == 0 => {
                if self.leave_to_plan(actor) {
                    return true;
                }
                let cold = self.table.cold_mut(actor);
                (cold.attempt, cold.restart_delay_ms) = (0, 0);
                self.begin_exit(actor, Reason::NORMAL, Then::Restart);
            }
            Phase::Down => {
                if let Some(timer) = self.table.cold_mut(actor).restart_timer.take() {
                    self.clear_alarm(timer);
                    self.start_incarnation(actor);
                }
            }
            _ => {} // It is being started again already.
        }
        true
    }

    /// Whether the plan of its parent is about to start an actor again; one that it has started is none of its members
    /// any more.
    fn leave_to_plan(&mut self, actor: ActorIndex) -> bool {
        let parent = self.table.get(actor).parent;
        if parent == NIL {
            return false;
        }
        let Some(plan) = self.plan_mut(parent) else { return false };
        let Some(at) = plan.members.iter().position(|&member| member == actor) else { return false };
        if at < plan.started_to {
            plan.members[at] = NIL;
        }
        at < plan.stopped_from
    }

    /// An actor has ended and is to be started again.
    pub(super) fn member_down(&mut self, actor: ActorIndex) {
        let parent = self.table.get(actor).parent;
        if parent != NIL && self.plan(parent).is_some_and(|plan| plan.members.contains(&actor)) {
            self.step_plan(parent);
            return;
        }
        let delay_ms = std::mem::take(&mut self.table.cold_mut(actor).restart_delay_ms);
        if delay_ms == 0 {
            self.start_incarnation(actor);
        } else {
            let timer = self.set_alarm(actor, Alarm::Restart, delay_ms);
            self.table.cold_mut(actor).restart_timer = Some(timer);
        }
    }

    /// Has the isolate run `init` of the next incarnation. Below a parent that is on its way out the
    /// actor stays down: the parent will take it along.
    pub(super) fn start_incarnation(&mut self, actor: ActorIndex) {
        let parent = self.table.get(actor).parent;
        if parent != NIL && self.table.flags(parent) & (FLAG_EXITING | FLAG_STOPPING) != 0 {
            return;
        }
        self.table.get_mut(actor).phase = Phase::Alive;
        self.table.raise(actor, FLAG_STARTING);
        let incarnation = self.table.get(actor).incarnation;
        let attempt = self.table.cold_mut(actor).attempt;
        self.outbox.push(Event::new(EVENT_INIT, actor, &[incarnation, attempt]));
    }

    fn plan(&self, parent: ActorIndex) -> Option<&Plan> {
        self.table.get(parent).cold.as_ref()?.plan.as_deref()
    }

    fn plan_mut(&mut self, parent: ActorIndex) -> Option<&mut Plan> {
        self.table.get_mut(parent).cold.as_mut()?.plan.as_deref_mut()
    }

    /// Joins what the crashed child takes along with what an older plan still has to do.
    fn make_plan(&mut self, parent: ActorIndex, crashed: ActorIndex, strategy: Strategy, delay_ms: u32) {
        let children: Vec<ActorIndex> = self.table.children(parent).collect();
        let position = children.iter().position(|&child| child == crashed).unwrap_or(0);
        let affected = strategy.affected(position, children.len());
        let unfinished = match self.plan(parent) {
            Some(plan) => plan.members[plan.started_to.min(plan.members.len())..].to_vec(),
            None => Vec::new(),
        };
        self.drop_plan(parent);
        let members: Vec<ActorIndex> = children
            .iter()
            .enumerate()
            .filter(|(at, child)| affected.contains(at) || unfinished.contains(child))
            .map(|(_, &child)| child)
            .collect();
        for &member in &members {
            let timer = self.table.get_mut(member).cold.as_mut().and_then(|cold| cold.restart_timer.take());
            if let Some(timer) = timer {
                self.clear_alarm(timer); // From now on the plan decides when it starts.
            }
        }
        let stopped_from = members.len();
        let plan = Plan { members, stopped_from, started_to: 0, delay_ms, timer: NIL };
        self.table.cold_mut(parent).plan = Some(Box::new(plan));
    }

    /// Takes the next step of a plan that can be taken now.
    fn step_plan(&mut self, parent: ActorIndex) {
        while let Some(plan) = self.plan(parent)
            && plan.stopped_from > 0
        {
            let member = plan.members[plan.stopped_from - 1];
            if member != NIL && self.table.get(member).phase != Phase::Down {
                if self.table.get(member).phase == Phase::Alive {
                    self.begin_exit(member, self.exit_of(member).reason, Then::Restart);
                }
                // The member calls back when it is down; it may have done so already.
                let down = self.table.get(member).phase == Phase::Down;
                let moved = self
                    .plan(parent)
                    .is_none_or(|plan| plan.stopped_from == 0 || plan.members[plan.stopped_from - 1] != member);
                if moved {
                    return;
                }
                if !down {
                    return;
                }
            }
            if let Some(plan) = self.plan_mut(parent)
                && plan.stopped_from > 0
            {
                plan.stopped_from -= 1;
            }
        }
        self.delay_plan(parent);
    }

    fn delay_plan(&mut self, parent: ActorIndex) {
        let Some(plan) = self.plan_mut(parent) else { return };
        if plan.timer != NIL {
            return;
        }
        let delay_ms = std::mem::take(&mut plan.delay_ms);
        if delay_ms == 0 {
            self.start_next_member(parent);
            return;
        }
        let timer = self.set_alarm(parent, Alarm::PlanStart, delay_ms);
        if let Some(plan) = self.plan_mut(parent) {
            plan.timer = timer;
        }
    }

    /// The delay before the first start of a plan has passed.
    pub(super) fn plan_delay_passed(&mut self, parent: ActorIndex) {
        if let Some(plan) = self.plan_mut(parent) {
            plan.timer = NIL;
        }
        self.start_next_member(parent);
    }

    fn start_next_member(&mut self, parent: ActorIndex) {
        while let Some(plan) = self.plan(parent) {
            let Some(&member) = plan.members.get(plan.started_to) else {
                self.drop_plan(parent);
                return;
            };
            if member != NIL && self.table.get(member).phase == Phase::Down {
                self.start_incarnation(member);
                return;
            }
            if let Some(plan) = self.plan_mut(parent) {
                plan.started_to += 1;
            }
        }
    }

    /// The `init` of an actor has ended well; its parent's plan may go on.
    pub(super) fn plan_member_started(&mut self, actor: ActorIndex) {
        let parent = self.table.get(actor).parent;
        if parent == NIL {
            return;
        }
        if let Some(plan) = self.plan_mut(parent)
            && plan.stopped_from == 0
            && plan.members.get(plan.started_to) == Some(&actor)
        {
            plan.started_to += 1;
            self.start_next_member(parent);
        }
    }

    /// Gives a plan up.
    pub(super) fn drop_plan(&mut self, parent: ActorIndex) {
        let plan = self.table.get_mut(parent).cold.as_mut().and_then(|cold| cold.plan.take());
        if let Some(plan) = plan
            && plan.timer != NIL
        {
            self.clear_alarm(plan.timer);
        }
    }

    /// An actor that leaves for good leaves its parent's plan, which goes on without it.
    pub(super) fn leave_plan(&mut self, actor: ActorIndex) {
        let parent = self.table.get(actor).parent;
        if parent == NIL {
            return;
        }
        let Some(plan) = self.plan_mut(parent) else { return };
        let Some(at) = plan.members.iter().position(|&member| member == actor) else { return };
        plan.members[at] = NIL;
        if plan.stopped_from > 0 {
            self.step_plan(parent);
        } else if plan.timer == NIL && plan.started_to == at {
            self.start_next_member(parent);
        }
    }
}
