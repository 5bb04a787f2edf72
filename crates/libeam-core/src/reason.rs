//! Why an actor ended.
//!
//! The core never sees the value that a JavaScript program threw: it keeps the token of the slot
//! where the isolate stored it, and counts how many undelivered signals still need it
//! ([`ReasonStore`]). The isolate frees the slot when the core says that nobody does any more.

use crate::actor_id::NIL;
use std::collections::HashMap;

/// The four kinds of ending that a watcher can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ReasonKind {
    /// Stopped on purpose.
    Normal = 0,
    /// A handler, `init` or a timer failed.
    Error = 1,
    /// Killed, or given up after too many restarts.
    Killed = 2,
    /// An exit signal with a reason of the sender's own.
    Exit = 3,
}

impl ReasonKind {
    /// Reads the number that stands for a kind on the ring; unknown numbers read as an error.
    #[must_use]
    pub fn from_word(word: u32) -> Self {
        match word {
            0 => Self::Normal,
            2 => Self::Killed,
            3 => Self::Exit,
            _ => Self::Error,
        }
    }
}

/// A kind, and the slot that holds the value belonging to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    /// What kind of ending.
    pub kind: ReasonKind,
    /// Slot of the error or exit value, or [`NIL`].
    pub token: u32,
}

impl Reason {
    /// Stopped on purpose.
    pub const NORMAL: Self = Self { kind: ReasonKind::Normal, token: NIL };
    /// Killed or given up.
    pub const KILLED: Self = Self { kind: ReasonKind::Killed, token: NIL };

    /// Whether linked actors that do not trap exits go down with this one.
    #[must_use]
    pub fn is_abnormal(self) -> bool {
        self.kind != ReasonKind::Normal
    }
}

/// Whether a token is still needed after a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Release {
    /// Nobody needs the slot: the isolate may free it.
    Free,
    /// Somebody still does, or there was nothing to free.
    Keep,
}

/// Counts the holders of reason tokens.
#[derive(Debug, Default)]
pub struct ReasonStore {
    /// Holders per token; absent means nobody.
    holders: HashMap<u32, u32>,
}

impl ReasonStore {
    /// Notes one more holder of the reason's token.
    pub fn retain(&mut self, reason: Reason) {
        if reason.token != NIL {
            *self.holders.entry(reason.token).or_insert(0) += 1;
        }
    }

    /// Takes one holder away.
    pub fn release(&mut self, reason: Reason) -> Release {
        let Some(count) = self.holders.get_mut(&reason.token) else {
            return Release::Keep;
        };
        *count -= 1;
        if *count > 0 {
            return Release::Keep;
        }
        self.holders.remove(&reason.token);
        Release::Free
    }

    /// Tokens that somebody still holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.holders.len()
    }

    /// Whether nobody holds any token.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.holders.is_empty()
    }
}
