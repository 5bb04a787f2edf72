//! The record of one actor.

use super::relation::List;
use crate::actor_id::{ActorIndex, NIL};
use crate::mailbox::{Pool, Queue};
use crate::reason::Reason;
use crate::ring::protocol::{ENTRY_CAST, QUANTUM, kind_of};
use crate::supervision::{RestartWindow, Supervision};
use std::collections::BTreeMap;

/// Messages per turn of an actor whose messages do not come back.
pub const TURN_MAX: u16 = QUANTUM as u16;

/// Where an actor is between spawn and gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The index is not in use.
    Free,
    /// Starting or running; `FLAG_STARTING` tells which.
    Alive,
    /// Exit asked for; its handler (or asynchronous `init`) still runs.
    AwaitHandler,
    /// Its children are stopping, one after another.
    StopChildren,
    /// Its `terminate` runs.
    Terminating,
    /// Ended, waiting to be started again.
    Down,
    /// Gone; the isolate has not been told yet, so the index cannot be used again.
    Limbo,
}

/// What a full mailbox does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// Refuses the newest message.
    DropNewest,
    /// Pushes out the oldest message.
    DropOldest,
    /// Refuses the newest message, as an error.
    Error,
}

/// What follows an exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Nothing: the actor is gone.
    Stop,
    /// Nothing, and no handler of it or below it is waited for.
    Kill,
    /// The next incarnation.
    Restart,
}

impl Then {
    /// Whether the actor is gone afterwards.
    #[must_use]
    pub fn is_end(self) -> bool {
        self != Self::Restart
    }
}

/// An exit under way.
#[derive(Clone, Copy, Debug)]
pub struct Exit {
    /// What watchers will be told if this is for good.
    pub reason: Reason,
    /// What follows.
    pub then: Then,
    /// Timer that ends the wait for a handler or `terminate`, or `NIL`.
    pub deadline: u32,
}

/// A restart of several siblings: all stop in reverse order, then start in order.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The siblings in spawn order; `NIL` for one that has left for good.
    pub members: Vec<ActorIndex>,
    /// Members at this position and after it are down.
    pub stopped_from: usize,
    /// Members before this position have been started.
    pub started_to: usize,
    /// Delay before the first start, in milliseconds; 0 when it has passed.
    pub delay_ms: u32,
    /// Timer of that delay, or `NIL`.
    pub timer: u32,
}

/// What every message may touch.
///
/// Perf: one cache line, what messages touch first ("bulk cast", 1,000 actors).
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Actor {
    /// Waiting messages and signals.
    pub mailbox: Queue,
    /// Casts and calls among them; what the capacity bounds.
    pub queued: u32,
    /// Casts and calls at most; 0 is unbounded.
    pub capacity: u32,
    /// Where in its life.
    pub phase: Phase,
    /// What the mailbox does when full.
    pub overflow: Overflow,
    /// In the run queue.
    pub scheduled: bool,
    /// Messages per turn: one after a batch with messages that came back, as those of an asynchronous
    /// actor do; twice as many after each turn that was handled, up to [`TURN_MAX`].
    pub turn: u16,
    /// Exit signals become messages.
    pub traps_exit: bool,
    /// The isolate has something to run in `terminate`.
    pub terminates: bool,
    /// Leaves before its `init` has ended well: there is nothing to terminate.
    pub unborn: bool,
    /// No message was taken since one was put back from the stash: what is put back next goes behind
    /// [`Cold::put_back`].
    pub puts_back: bool,
    /// Counts the users of this index.
    pub generation: u32,
    /// Counts the starts of this actor.
    pub incarnation: u32,
    /// Parent, or `NIL`.
    pub parent: ActorIndex,
    /// Oldest child, or `NIL`.
    pub first_child: ActorIndex,
    /// Youngest child, or `NIL`.
    pub last_child: ActorIndex,
    /// Next older child of the same parent, or `NIL`.
    pub prev_sibling: ActorIndex,
    /// Next younger child of the same parent, or `NIL`.
    pub next_sibling: ActorIndex,
    /// What most actors never need.
    pub cold: Option<Box<Cold>>,
}

const _: () = assert!(size_of::<Actor>() == 64, "an actor outgrew its cache line");

impl Actor {
    /// Takes casts out of the mailbox up to the first other entry, so many at most, and tells how many.
    #[inline]
    pub fn issue_casts(&mut self, pool: &mut Pool, most: usize, mut write: impl FnMut(u32)) -> usize {
        let issued = self.mailbox.pop_while(pool, most, |entry| {
            let is_cast = kind_of(entry) == ENTRY_CAST;
            if is_cast {
                write(entry);
            }
            is_cast
        });
        self.queued -= issued as u32;
        self.puts_back = false;
        issued
    }
}

impl Default for Actor {
    fn default() -> Self {
        Self {
            generation: 0,
            incarnation: 0,
            mailbox: Queue::default(),
            queued: 0,
            capacity: 0,
            parent: NIL,
            first_child: NIL,
            last_child: NIL,
            prev_sibling: NIL,
            next_sibling: NIL,
            phase: Phase::Free,
            overflow: Overflow::DropNewest,
            scheduled: false,
            turn: TURN_MAX,
            traps_exit: false,
            terminates: false,
            unborn: false,
            puts_back: false,
            cold: None,
        }
    }
}

/// What most actors never need.
#[derive(Debug, Default)]
pub struct Cold {
    /// How this actor's children are supervised; `None` is the default.
    pub child_supervision: Option<Supervision>,
    /// Restarts of this actor, counted over all its incarnations.
    pub window: RestartWindow,
    /// Number of the last restart within the period.
    pub attempt: u32,
    /// Stashed messages, oldest first.
    pub stash: Queue,
    /// How many.
    pub stashed: u32,
    /// Cell of the message that was put back last; see [`Actor::puts_back`].
    pub put_back: u32,
    /// Monitors in which this actor is the watcher.
    pub watching: List,
    /// Monitors in which this actor is watched.
    pub watched_by: List,
    /// Links.
    pub links: List,
    /// First and number of its timers.
    pub timers: Option<u32>,
    /// How many timers.
    pub timers_len: u32,
    /// Idle timeout in milliseconds; 0 is none.
    pub idle_ms: u32,
    /// When the last message was handled, in ticks.
    pub idle_since: u64,
    /// Timer of the idle timeout.
    pub idle_timer: Option<u32>,
    /// Registered name.
    pub name: Option<Box<str>>,
    /// Groups, with the ticket under which each group knows this actor.
    pub groups: BTreeMap<Box<str>, u64>,
    /// Exit under way.
    pub exit: Option<Exit>,
    /// Timer of a delayed restart.
    pub restart_timer: Option<u32>,
    /// Delay of the coming restart in milliseconds.
    pub restart_delay_ms: u32,
    /// Restart of several children under way.
    pub plan: Option<Box<Plan>>,
    /// Children stopped by the exit under way.
    pub children_stopped: u32,
}
