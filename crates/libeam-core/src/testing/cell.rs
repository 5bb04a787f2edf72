//! What the isolate knows of one logical actor, and what it remembers of what happened.

use super::Spawn;
use super::slots::Value;
use crate::actor_id::ActorIndex;
use crate::reason::ReasonKind;
use std::collections::{HashMap, VecDeque};

/// A logical actor of this isolate, in the order of spawning; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ref(pub usize);

/// A call, in the order of calling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallId(pub usize);

/// A timer, in the order of starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerId(pub usize);

/// A watch, in the order of making.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchId(pub usize);

/// A link, in the order of making.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkId(pub usize);

/// Index and generation of something of the core's.
pub type Key = (u32, u32);

/// How a call ended for its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The handler returned.
    Ok,
    /// The handler threw.
    Failed,
    /// The core refused it, for one of the `CAUSE_…` reasons.
    Rejected(u32),
    /// Its handler was abandoned.
    Abandoned,
    /// Its caller withdrew it.
    Cancelled,
    /// The stash was full, or its actor gone.
    NotStashed,
    /// It was drained and thrown away.
    Drained,
    /// It was never sent: the actor is gone, or it is the caller.
    NotSent,
}

/// Something that happened, in the order in which the isolate saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// When, in virtual microseconds.
    pub at_us: u64,
    /// To whom.
    pub actor: Ref,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A handler of a cast or call with that label began.
    Handled(u32),
    /// A handler of a tick with that label began.
    Tick(u32),
    /// A watched actor ended.
    Down(Ref, ReasonKind),
    /// A linked actor ended, or somebody sent an exit signal (`None`).
    Exit(Option<Ref>, ReasonKind),
    /// Nothing happened for that many milliseconds.
    Idle(u32),
    /// `handleContinue` ran.
    Continued,
    /// `init` of an incarnation began.
    Init {
        /// Which incarnation.
        incarnation: u32,
        /// Which restart within the period; 0 for the first start.
        attempt: u32,
    },
    /// `terminate` of an incarnation began.
    Terminate {
        /// Which incarnation.
        incarnation: u32,
        /// Whether a restart follows.
        restarting: bool,
    },
    /// The actor is gone.
    Gone {
        /// What watchers were told.
        kind: ReasonKind,
        /// Children stopped with it.
        children: u32,
    },
    /// It crashed, and the core decided.
    Crashed {
        /// One of the `DECISION_…` numbers.
        decision: u32,
        /// Which restart within the period.
        attempt: u32,
        /// Milliseconds before the next start.
        delay_ms: u32,
    },
    /// Its handler or `init` was given up.
    Abandoned,
    /// A cast to it was refused.
    Dropped(u32),
}

/// A handler whose promise is pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Running {
    /// Slot of its message; `None` for info, continue and the like.
    pub slot: Option<u32>,
}

/// A relation or timer in the cell of whoever is to be told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noted {
    /// The other side, or the owner of a timer.
    pub other: Ref,
    /// Position in the isolate's list of all of its kind.
    pub at: usize,
}

/// What is left of an actor whose first `init` has failed until the core has cleared it up.
#[derive(Debug)]
pub(super) struct Buried {
    /// How many watches it had made.
    pub watches: usize,
    /// Its links.
    pub links: HashMap<Key, Noted>,
}

/// One logical actor.
#[derive(Debug)]
pub struct Cell {
    /// Its index in the core's table.
    pub index: ActorIndex,
    /// The user of that index.
    pub generation: u32,
    /// Which incarnation runs.
    pub incarnation: u32,
    /// It is gone, and the isolate knows.
    pub dead: bool,
    /// How it was made.
    pub spec: Spawn,
    /// Its handler whose promise is pending.
    pub(super) running: Option<Running>,
    /// The promise of its `init` is pending.
    pub(super) starting: bool,
    /// Its `terminate` whose promise is pending: the incarnation.
    pub(super) terminating: Option<u32>,
    /// Incarnations whose `terminate` nobody waits for any more, and that may end all the same.
    pub(super) late_terminates: Vec<u32>,
    /// `init` of this incarnation has ended well.
    pub(super) born: bool,
    /// `terminate` of this incarnation was asked for.
    pub(super) terminated: bool,
    /// Watches in which it is the watcher.
    pub(super) watches: HashMap<Key, Noted>,
    /// Its links.
    pub(super) links: HashMap<Key, Noted>,
    /// Its timers.
    pub(super) timers: HashMap<Key, Noted>,
    /// Sequence of the youngest fresh message that was handled.
    pub(super) youngest: u64,
    /// Entries that the pump has taken out of its mailbox and not got to yet, next one last.
    pub(super) prefetched: Vec<u32>,
    /// Slots of calls that wait with the pump, and that the core does not know of.
    pub(super) lane: VecDeque<u32>,
    /// The core does not know of the call that runs either.
    pub(super) untold: bool,
    /// Its children that are not known to be gone.
    pub(super) children: u32,
    /// What was drained out of its mailbox.
    pub(super) drained: Vec<Value>,
}

impl Cell {
    pub(super) fn new(index: ActorIndex, generation: u32, spec: Spawn) -> Self {
        Self {
            index,
            generation,
            incarnation: 0,
            dead: false,
            spec,
            running: None,
            starting: false,
            terminating: None,
            late_terminates: Vec::new(),
            born: false,
            terminated: false,
            watches: HashMap::new(),
            links: HashMap::new(),
            timers: HashMap::new(),
            youngest: 0,
            prefetched: Vec::new(),
            lane: VecDeque::new(),
            untold: false,
            children: 0,
            drained: Vec::new(),
        }
    }

    /// Whether something of its waits for [`super::Isolate::settle`].
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.running.is_some() || self.starting || self.terminating.is_some()
    }
}
