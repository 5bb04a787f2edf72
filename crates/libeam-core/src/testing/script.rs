//! Scripts: sequences of everything that can happen to a kernel, with the invariants checked between.
//!
//! Operands are bytes: an actor, call, timer, watch or link is named by its position, modulo how many
//! there are; where there is none, the operation does nothing. So every script means something, and one
//! from which operations were dropped still does.

use super::cell::{CallId, LinkId, Ref, TimerId, WatchId};
use super::{Ending, Handler, Isolate, Sending, Signal, Spawn, check, decode};
use crate::actor_id::NIL;
use crate::config::KernelConfig;
use crate::ring::protocol::*;
use crate::supervision::{Backoff, OnCrash, Strategy, Supervision};

/// Actors of a script at most.
const ACTORS_MAX: u32 = 40;
/// Messages, calls and spawns that a script may make before the rest of it is ignored: handlers that
/// send to each other would go on for ever.
const EFFORT_MAX: usize = 3_000;

/// What a handler does and how it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// How it ends.
    pub ending: Ending,
    /// What it does before; operations that enter the kernel do nothing there.
    pub deed: Option<Box<Op>>,
}

/// One operation. Bytes name actors and the like by position.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named after the methods of the isolate that they call")]
pub enum Op {
    Spawn {
        parent: Option<u8>,
        name: Option<u8>,
        capacity: u8,
        policy: u8,
        init: Behaviour,
        later: Behaviour,
        terminate: Option<Behaviour>,
        info: Behaviour,
        /// What `handleContinue` and `postRestart` do.
        aside: Behaviour,
    },
    Cast {
        to: u8,
        handler: Behaviour,
    },
    /// A cast that is handled at once or not at all.
    CastNow {
        to: u8,
        handler: Behaviour,
    },
    /// A cast with that handler, and so many that return at once after it.
    Flood {
        to: u8,
        count: u8,
        handler: Behaviour,
    },
    Call {
        to: u8,
        timeout_ms: Option<u32>,
        queued: bool,
        handler: Behaviour,
    },
    Settle {
        actor: u8,
        ending: Ending,
        pump: u8,
    },
    Crash(u8),
    Stop(u8),
    Restart(u8),
    Exit {
        from: u8,
        to: u8,
        signal: u8,
    },
    Link(u8, u8),
    Unlink(u8),
    Watch(u8, u8),
    Unwatch(u8),
    TrapExit(u8, bool),
    StartTimer {
        actor: u8,
        delay_ms: u32,
        interval: bool,
        handler: Behaviour,
    },
    CancelTimer(u8),
    CancelAllTimers(u8),
    IdleTimeout(u8, u32),
    Pause(u8),
    Resume(u8),
    Look(u8),
    Unstash(u8, bool),
    ClearStash(u8),
    CancelCall(u8),
    Drain(u8),
    Inject(u8),
    Member {
        actor: u8,
        group: u8,
        joins: bool,
    },
    Supervise {
        parent: Option<u8>,
        on_crash: u8,
        strategy: u8,
        max_restarts: u32,
        period_ms: u32,
        backoff_ms: Option<u32>,
    },
    Advance(u32),
    Sleep(u32),
    Submit,
    Enter,
    EnterBriefly(u8),
    Flush,
    Nonsense {
        op: u8,
        index: u8,
    },
}

/// What a script's kernel is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Timeout of calls that name none.
    pub call_timeout_ms: u32,
    /// Patience of exits.
    pub stop_timeout_ms: u32,
    /// Seed of the kernel.
    pub seed: u64,
}

/// A kernel and what happens to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// How the kernel is made.
    pub settings: Settings,
    /// What happens, in order.
    pub ops: Vec<Op>,
}

impl Script {
    /// Reads a script; every sequence of bytes is one.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Self {
        decode::script(bytes)
    }

    /// Performs the script, with everything checked after each operation and nothing left at the end.
    ///
    /// # Panics
    /// When something is not as it has to be.
    pub fn run(&self) {
        self.run_observed(|_, _| ());
    }

    /// The same, showing the isolate before each operation; for finding out why a script fails.
    ///
    /// # Panics
    /// When something is not as it has to be.
    pub fn run_observed(&self, mut observe: impl FnMut(&Isolate, &Op)) {
        let mut isolate = Isolate::new(KernelConfig {
            actors_max: ACTORS_MAX,
            timers_per_actor_max: 4,
            stash_messages_max: 3,
            call_timeout_ms: self.settings.call_timeout_ms,
            stop_timeout_ms: self.settings.stop_timeout_ms,
            root_supervision: Supervision::default(),
            seed: self.settings.seed,
        });
        for op in &self.ops {
            observe(&isolate, op);
            perform(&mut isolate, op, None);
            check::everything(&mut isolate);
        }
        isolate.flush();
        check::everything(&mut isolate);
        isolate.wind_up();
    }
}

/// Decodes and runs a script.
///
/// # Panics
/// When something is not as it has to be.
pub fn run(bytes: &[u8]) {
    Script::decode(bytes).run();
}

fn handler(behaviour: &Behaviour) -> Handler {
    let handler = Handler::new(behaviour.ending);
    let again = (behaviour.ending == Ending::Stash).then_some(Ending::Ok);
    let handler = Handler { again, ..handler };
    match behaviour.deed.as_deref().cloned() {
        None => handler,
        Some(op) => handler.after(move |isolate, me| {
            if isolate.effort() < EFFORT_MAX {
                perform(isolate, &op, Some(me));
            }
        }),
    }
}

/// The living actor at that position; inside a handler, 0 is the actor itself.
fn pick(isolate: &Isolate, at: u8, me: Option<Ref>) -> Option<Ref> {
    if at == 0 && me.is_some() {
        return me;
    }
    let living = isolate.living();
    if living.is_empty() { None } else { Some(living[usize::from(at) % living.len()]) }
}

fn position(at: u8, count: usize) -> Option<usize> {
    // The youngest first: old ones are mostly over.
    if count == 0 { None } else { Some(count - 1 - usize::from(at) % count) }
}

fn perform(isolate: &mut Isolate, op: &Op, me: Option<Ref>) {
    match *op {
        Op::Submit => isolate.submit(),
        Op::Sleep(ms) => isolate.sleep(u64::from(ms)),
        Op::Enter | Op::EnterBriefly(_) | Op::Flush | Op::Advance(_) if me.is_some() => {}
        Op::Enter => isolate.enter(),
        Op::EnterBriefly(messages) => isolate.enter_briefly(u32::from(messages)),
        Op::Flush => isolate.flush(),
        Op::Advance(ms) => isolate.advance(u64::from(ms)),
        Op::Nonsense { op, index } => nonsense(isolate, op, index),
        Op::Unlink(at) => {
            position(at, isolate.links.len()).map(LinkId).into_iter().for_each(|link| isolate.unlink(link))
        }
        Op::Unwatch(at) => {
            position(at, isolate.watches.len()).map(WatchId).into_iter().for_each(|watch| isolate.unwatch(watch))
        }
        Op::CancelTimer(at) => drop(position(at, isolate.timers.len()).map(|at| isolate.cancel_timer(TimerId(at)))),
        Op::CancelCall(at) => {
            position(at, isolate.calls.len()).map(CallId).into_iter().for_each(|call| isolate.cancel_call(call))
        }
        Op::Spawn { .. } => spawn(isolate, op, me),
        Op::Supervise { .. } => supervise(isolate, op, me),
        _ => act(isolate, op, me),
    }
}

/// Operations on an actor that there has to be.
fn act(isolate: &mut Isolate, op: &Op, me: Option<Ref>) {
    let first = match *op {
        Op::Cast { to: at, .. }
        | Op::CastNow { to: at, .. }
        | Op::Flood { to: at, .. }
        | Op::Call { to: at, .. }
        | Op::Exit { to: at, .. } => at,
        Op::Settle { actor: at, .. } | Op::StartTimer { actor: at, .. } | Op::Member { actor: at, .. } => at,
        Op::Crash(at) | Op::Stop(at) | Op::Restart(at) | Op::Link(at, _) | Op::Watch(at, _) | Op::TrapExit(at, _) => at,
        Op::CancelAllTimers(at) | Op::IdleTimeout(at, _) | Op::Pause(at) | Op::Resume(at) => at,
        Op::Look(at) | Op::Unstash(at, _) | Op::ClearStash(at) | Op::Drain(at) | Op::Inject(at) => at,
        _ => return,
    };
    let Some(actor) = pick(isolate, first, me) else { return };
    match op {
        Op::Cast { handler: behaviour, .. } => isolate.cast(actor, &handler(behaviour)),
        Op::CastNow { handler: behaviour, .. } => isolate.cast_now(actor, &handler(behaviour)),
        Op::Flood { count, handler: behaviour, .. } => {
            isolate.cast(actor, &handler(behaviour));
            for _ in 0..*count {
                isolate.cast(actor, &Handler::ok());
            }
        }
        Op::Call { timeout_ms, queued, handler: behaviour, .. } => {
            let sending = if *queued { Sending::Queued } else { Sending::Inline };
            isolate.call(actor, &handler(behaviour), *timeout_ms, sending);
        }
        Op::Settle { ending, pump, .. } if me.is_none() => isolate.settle(actor, *ending, u32::from(*pump)),
        Op::Crash(_) if me.is_none() => isolate.crash(actor),
        Op::Stop(_) => isolate.stop(actor),
        Op::Restart(_) => drop(isolate.restart(actor)),
        Op::Exit { from, signal, .. } => {
            let signal = [Signal::Normal, Signal::Kill, Signal::Reason, Signal::Reason][usize::from(*signal & 3)];
            let from = pick(isolate, *from, me);
            isolate.exit(from, actor, signal);
        }
        Op::Link(_, other) => drop(pick(isolate, *other, me).and_then(|other| isolate.link(actor, other))),
        Op::Watch(_, other) => drop(pick(isolate, *other, me).and_then(|other| isolate.watch(actor, other))),
        Op::TrapExit(_, traps) => isolate.trap_exit(actor, *traps),
        Op::StartTimer { delay_ms, interval, handler: behaviour, .. } => {
            isolate.start_timer(actor, &handler(behaviour), *delay_ms, *interval);
        }
        Op::CancelAllTimers(_) => isolate.cancel_all_timers(actor),
        Op::IdleTimeout(_, idle_ms) => isolate.idle_timeout(actor, *idle_ms),
        Op::Pause(_) => isolate.pause(actor),
        Op::Resume(_) => isolate.resume(actor),
        Op::Look(_) => isolate.look(actor),
        Op::Unstash(_, all) => drop(isolate.unstash(actor, if *all { u32::MAX } else { 1 })),
        Op::ClearStash(_) => isolate.clear_stash(actor),
        Op::Drain(_) => drop(isolate.drain(actor)),
        Op::Inject(_) => isolate.inject(actor),
        Op::Member { group, joins, .. } => isolate.set_member(actor, &format!("group-{group}"), *joins),
        _ => {}
    }
}

fn spawn(isolate: &mut Isolate, op: &Op, me: Option<Ref>) {
    let Op::Spawn { parent, name, capacity, policy, init, later, terminate, info, aside } = op else { return };
    let parent = parent.and_then(|at| pick(isolate, at, me));
    isolate.spawn(&Spawn {
        parent,
        name: name.map(|name| format!("name-{name}")),
        capacity: u32::from(*capacity),
        policy: u32::from(*policy),
        inits: vec![handler(init), handler(later)],
        terminate: terminate.as_ref().map(handler),
        info: handler(info),
        continues: handler(aside),
        restarted: handler(aside),
    });
}

fn supervise(isolate: &mut Isolate, op: &Op, me: Option<Ref>) {
    let Op::Supervise { parent, on_crash, strategy, max_restarts, period_ms, backoff_ms } = *op else { return };
    let backoff = backoff_ms.map(|initial_ms| Backoff { initial_ms, max_ms: 50, multiplier: 2.0, jitter: 0.5 });
    let settings = Supervision {
        on_crash: match on_crash {
            0 => OnCrash::Stop,
            1 => OnCrash::Escalate,
            _ => OnCrash::Restart,
        },
        strategy: [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne][usize::from(strategy)],
        max_restarts,
        period_ms,
        backoff,
    };
    match parent {
        None => isolate.supervise(None, &settings),
        Some(at) => {
            if let Some(parent) = pick(isolate, at, me) {
                isolate.supervise(Some(parent), &settings);
            }
        }
    }
}

/// An operation about an actor, call or timer that does not exist: nothing may come of it.
fn nonsense(isolate: &mut Isolate, op: u8, index: u8) {
    let unknown = match index.is_multiple_of(2) {
        true => NIL - 1,
        false => (0..isolate.kernel.table().len() as u32).find(|&at| isolate.by_index(at).is_none()).unwrap_or(NIL),
    };
    let ops = TABLE.iter().filter(|(name, op)| name.starts_with("OP_") && *op != OP_SPAWN);
    let ops: Vec<u32> = ops.map(|&(_, op)| op).collect();
    let op = ops[usize::from(op) % ops.len()];
    let args = match op {
        OP_SUPERVISION if unknown == NIL => return, // That is the supervision of the roots.
        OP_EXIT | OP_CRASH => [unknown, 0, NIL],
        OP_INIT_DONE => [unknown, 0, NIL],
        OP_CANCEL_CALL => [NIL - 1, 0, 0],
        _ => [unknown, NIL, 0],
    };
    isolate.control(op, &args, Some("nobody"));
}
