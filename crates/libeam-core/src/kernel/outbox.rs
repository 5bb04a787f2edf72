//! What the kernel wants the isolate to do or to know.

use crate::actor_id::ActorIndex;
use crate::reason::{Reason, ReasonKind};
use crate::ring::protocol::EVENT_WORDS;
use std::collections::VecDeque;

/// Words of an event that are its own.
const OWN_WORDS: usize = EVENT_WORDS as usize - 2;

/// One event record; see [`crate::ring::protocol`] for codes and words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// What it is.
    pub code: u32,
    /// Whom it concerns, or `NIL`.
    pub actor: ActorIndex,
    /// Its own words.
    pub words: [u32; OWN_WORDS],
}

impl Event {
    /// An event with the given first words; the others are zero.
    #[must_use]
    pub fn new(code: u32, actor: ActorIndex, first: &[u32]) -> Self {
        let mut words = [0; OWN_WORDS];
        words[..first.len()].copy_from_slice(first);
        Self { code, actor, words }
    }

    /// The reason in words c and d of a signal.
    #[must_use]
    pub fn reason(&self) -> Reason {
        Reason { kind: ReasonKind::from_word(self.words[2]), token: self.words[3] }
    }
}

/// Events in the order in which they happened.
#[derive(Debug, Default)]
pub struct Outbox {
    events: VecDeque<Event>,
}

impl Outbox {
    /// Adds the newest.
    pub fn push(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// Takes the oldest.
    pub fn pop(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Takes back the events of a kind whose first word is `word`.
    pub fn withdraw(&mut self, code: u32, word: u32) {
        self.events.retain(|event| event.code != code || event.words[0] != word);
    }

    /// Takes back the events of a kind for an actor.
    pub fn withdraw_for(&mut self, code: u32, actor: ActorIndex) {
        self.events.retain(|event| event.code != code || event.actor != actor);
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Events waiting.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }
}
