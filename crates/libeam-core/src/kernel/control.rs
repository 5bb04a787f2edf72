//! The control operations: arguments from the header, results into it.
//!
//! A thin table from numbers to methods, kept in the core so that scripts of operations can be fuzzed
//! without a JavaScript engine. Numbers that make no sense (unknown actors, stale names) give
//! `STATUS_UNKNOWN`, never a panic.

use super::Kernel;
use super::calls::Withdrawal;
use super::crash::Origin;
use super::lifecycle::{Spawn, SpawnRefusal, Stop};
use super::messages::{Stash, Take};
use super::timers::{Alarm, TimerStart};
use crate::actor_id::{ActorIndex, NIL};
use crate::reason::ReasonKind;
use crate::ring::protocol::*;
use crate::supervision::{Backoff, OnCrash, Strategy, Supervision};
use crate::table::relation::RelationId;
use crate::table::{Overflow, Phase};

/// Arguments of an operation.
type Args = [u32; 8];

impl Kernel {
    /// Performs the operation `op` with the arguments in the header. `text` is the name that some
    /// operations need. Results are in the header afterwards, lists in [`Kernel::listing`].
    pub fn control(&mut self, op: u32, text: Option<&str>, now_us: u64) {
        self.submit();
        self.now_us = self.now_us.max(now_us);
        let mut args: Args = [0; 8];
        for (at, arg) in args.iter_mut().enumerate() {
            *arg = self.page.get(H_ARGS as usize + at);
        }
        match op {
            OP_SPAWN..=OP_EXIT | OP_RESTART => self.control_lifecycle(op, &args, text),
            OP_LINK..=OP_TRAP_EXIT => self.control_relations(op, &args),
            OP_TIMER_START..=OP_IDLE => self.control_timers(op, &args),
            OP_PAUSE..=OP_CANCEL_CALL | OP_PENDING | OP_INJECT | OP_BACKLOG | OP_CONTINUE | OP_MAILBOX_LENGTH => {
                self.control_messages(op, &args)
            }
            OP_SUPERVISION => self.control_supervision(&args),
            _ => self.control_directory(op, &args, text),
        }
        if needs_time(op) {
            self.arm_deadlines();
        }
        self.publish_more();
    }

    fn answer(&mut self, results: &[u32]) {
        for (at, &result) in results.iter().enumerate() {
            self.page.set(H_RESULTS as usize + at, result);
        }
    }

    fn known(&self, actor: ActorIndex) -> bool {
        self.table.exists(actor)
    }

    fn control_lifecycle(&mut self, op: u32, args: &Args, text: Option<&str>) {
        let [actor, second, third, fourth, ..] = *args;
        match op {
            OP_SPAWN => {
                let overflow = match third {
                    POLICY_DROP_OLDEST => Overflow::DropOldest,
                    POLICY_ERROR => Overflow::Error,
                    _ => Overflow::DropNewest,
                };
                let spawn = Spawn { parent: actor, capacity: second, overflow, traits: fourth, name: text };
                match self.spawn(spawn) {
                    Ok(actor) => self.answer(&[STATUS_OK, actor, self.table.get(actor).generation]),
                    Err(SpawnRefusal::NameTaken) => self.answer(&[STATUS_NAME_TAKEN]),
                    Err(SpawnRefusal::Limit) => self.answer(&[STATUS_LIMIT]),
                    Err(SpawnRefusal::ParentExiting) => self.answer(&[STATUS_PARENT_EXITING]),
                }
            }
            OP_SPAWN_FAILED => self.spawn_failed(actor),
            OP_INIT_DONE => {
                let status = if self.init_done(actor, second, third) { STATUS_OK } else { STATUS_UNKNOWN };
                self.answer(&[status]);
            }
            OP_CRASH => {
                let origin = if fourth == 0 { Origin::Running } else { Origin::Init };
                let verdict = self.crash(actor, second, third, origin);
                self.answer(&[verdict.decision, verdict.attempt, verdict.delay_ms]);
            }
            OP_TERMINATED => {
                if self.known(actor) {
                    self.terminated(actor, second);
                }
            }
            OP_STOP => {
                let status = match self.stop(actor) {
                    Stop::Unknown => STATUS_UNKNOWN,
                    Stop::Gone => STATUS_OK,
                    Stop::Started => STATUS_STARTED,
                };
                self.answer(&[status]);
            }
            OP_RESTART => {
                let status = if self.start_again(actor) { STATUS_STARTED } else { STATUS_UNKNOWN };
                self.answer(&[status]);
            }
            _ => self.exit(actor, ReasonKind::from_word(second), third),
        }
    }

    fn control_relations(&mut self, op: u32, args: &Args) {
        let [first, second, ..] = *args;
        let id = RelationId { index: first, generation: second };
        match op {
            OP_LINK => match self.link(first, second) {
                Some(link) => self.answer(&[STATUS_OK, link.index, link.generation]),
                None => self.answer(&[STATUS_UNKNOWN]),
            },
            OP_UNLINK => {
                let found = self.unlink(id);
                self.answer(&[u32::from(!found)]);
            }
            OP_MONITOR => {
                let monitor = self.monitor(first, second);
                self.answer(&[monitor.index, monitor.generation]);
            }
            OP_DEMONITOR => {
                let found = self.demonitor(id);
                self.answer(&[u32::from(!found)]);
            }
            _ => {
                if self.has_incarnation(first) {
                    self.table.get_mut(first).traps_exit = second != 0;
                }
            }
        }
    }

    fn control_timers(&mut self, op: u32, args: &Args) {
        let [actor, second, third, fourth, fifth, ..] = *args;
        match op {
            OP_TIMER_START => {
                let period_ms = if fourth == 0 { 0 } else { third.max(1) };
                match self.start_timer(actor, Alarm::Send { slot: second, period_ms, relayed: fifth != 0 }, third) {
                    TimerStart::Started(index, generation) => self.answer(&[STATUS_OK, index, generation]),
                    TimerStart::Full => self.answer(&[STATUS_LIMIT]),
                    TimerStart::Gone => self.answer(&[STATUS_UNKNOWN]),
                }
            }
            OP_TIMER_CANCEL => match self.cancel_timer(actor, second) {
                Some(slot) => self.answer(&[STATUS_OK, slot]),
                None => self.answer(&[STATUS_UNKNOWN]),
            },
            OP_TIMER_CANCEL_ALL => {
                if self.known(actor) {
                    self.cancel_all_timers(actor);
                }
            }
            _ => self.set_idle_timeout(actor, second),
        }
    }

    fn control_messages(&mut self, op: u32, args: &Args) {
        let [actor, second, third, ..] = *args;
        let result = match op {
            OP_PAUSE => u32::from(self.pause(actor)),
            OP_RESUME => u32::from(self.resume(actor)),
            OP_STASH => match self.stash(actor, second, third) {
                Stash::Stashed => STATUS_OK,
                Stash::Full => STATUS_LIMIT,
                Stash::Gone => STATUS_UNKNOWN,
            },
            OP_UNSTASH => self.unstash(actor, second),
            OP_CLEAR_STASH => {
                if self.known(actor) {
                    self.clear_stash(actor, CAUSE_STASH_CLEARED);
                }
                STATUS_OK
            }
            OP_CANCEL_CALL => match self.cancel_call(actor) {
                Withdrawal::Unknown => STATUS_UNKNOWN,
                Withdrawal::Removed => STATUS_OK,
                Withdrawal::Running => STATUS_STARTED,
            },
            OP_PENDING => {
                self.list_pending(actor, if second == 0 { Take::Leave } else { Take::Out });
                STATUS_OK
            }
            OP_INJECT if third == 1 && !self.holds_call(slot_of(second)) => 2,
            OP_INJECT => u32::from(self.inject(actor, second)),
            OP_BACKLOG => {
                let backlog = self.backlog();
                self.answer(&[backlog as u32, (backlog >> 32) as u32]);
                return;
            }
            OP_CONTINUE => {
                self.continue_with(actor, second);
                STATUS_OK
            }
            _ => {
                if self.known(actor) {
                    self.table.get(actor).queued
                } else {
                    0
                }
            }
        };
        self.answer(&[result]);
    }

    fn control_supervision(&mut self, args: &Args) {
        let [actor, on_crash, strategy, max_restarts, period_ms, initial_ms, max_ms, _] = *args;
        let millionths = |word: u32| f64::from(word) / 1e6;
        let multiplier = millionths(self.page.get(H_RESULTS as usize));
        let jitter = millionths(self.page.get(H_RESULTS as usize + 1));
        let supervision = Supervision {
            on_crash: match on_crash {
                1 => OnCrash::Stop,
                2 => OnCrash::Escalate,
                _ => OnCrash::Restart,
            },
            strategy: match strategy {
                1 => Strategy::OneForAll,
                2 => Strategy::RestForOne,
                _ => Strategy::OneForOne,
            },
            max_restarts,
            period_ms,
            backoff: (max_ms > 0).then_some(Backoff { initial_ms, max_ms, multiplier, jitter }),
        };
        if actor == NIL {
            self.config.root_supervision = supervision;
        } else if self.known(actor) {
            self.table.cold_mut(actor).child_supervision = Some(supervision);
        }
    }

    fn control_directory(&mut self, op: u32, args: &Args, text: Option<&str>) {
        let [actor, second, ..] = *args;
        let text = text.unwrap_or_default();
        match op {
            OP_CHILDREN => {
                self.listing.clear();
                if self.known(actor) {
                    self.listing.extend(self.table.children(actor));
                }
            }
            OP_ACTORS => self.listing = self.table.iter().collect(),
            OP_WHEREIS => {
                let owner = self.names.whereis(text).unwrap_or(NIL);
                self.answer(&[owner]);
            }
            OP_GROUP_JOIN => self.join_group(text, actor),
            OP_GROUP_LEAVE => self.leave_group(text, actor),
            OP_GROUP_MEMBERS => self.listing = self.groups.members(text).collect(),
            OP_PARDON => self.pardon(actor),
            OP_TRAITS => {
                if self.known(actor) {
                    self.table.get_mut(actor).terminates = second & TRAIT_TERMINATE != 0;
                }
            }
            OP_COUNTERS => self.listing = self.counters().to_vec(),
            _ => debug_assert!(false, "unknown operation {op}"),
        }
    }

    fn join_group(&mut self, group: &str, actor: ActorIndex) {
        if !self.known(actor) || self.table.get(actor).phase == Phase::Limbo {
            return;
        }
        if self.table.cold_mut(actor).groups.contains_key(group) {
            return;
        }
        let ticket = self.groups.join(group, actor);
        self.table.cold_mut(actor).groups.insert(group.into(), ticket);
    }

    fn leave_group(&mut self, group: &str, actor: ActorIndex) {
        if !self.known(actor) {
            return;
        }
        if let Some(ticket) = self.table.cold_mut(actor).groups.remove(group) {
            self.groups.leave(group, ticket);
        }
    }

    /// Numbers of everything that must not leak, in the order of [`COUNTERS`].
    #[must_use]
    pub fn counters(&self) -> [u32; COUNTERS.len()] {
        [
            self.table.live(),
            self.alarms.len() as u32,
            self.deadlines.len() as u32,
            self.calls.len() as u32,
            self.monitors.len() as u32,
            self.links.len() as u32,
            self.names.len() as u32,
            self.groups.len() as u32,
            self.pool.len() as u32,
            (self.signals.len() - self.free_signals.len()) as u32,
            self.reasons.len() as u32,
            self.outbox.len() as u32,
        ]
    }
}

/// Names of the numbers that [`Kernel::counters`] gives.
pub const COUNTERS: [&str; 12] = [
    "actors",
    "alarms",
    "deadlines",
    "calls",
    "monitors",
    "links",
    "names",
    "memberships",
    "messages",
    "signals",
    "reasons",
    "events",
];
