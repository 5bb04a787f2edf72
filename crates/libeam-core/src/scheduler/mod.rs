//! Who runs next.
//!
//! A round-robin queue of actors that have something to do. An actor is in it at most once (the
//! kernel keeps that bit with the actor) and gives way after a quantum of messages, so that one
//! flooded actor delays the others by at most one quantum each (the reductions of the BEAM).

use crate::actor_id::ActorIndex;
use std::collections::VecDeque;

/// Actors that wait for their turn.
#[derive(Debug, Default)]
pub struct RunQueue {
    /// First is next.
    waiting: VecDeque<ActorIndex>,
}

impl RunQueue {
    /// Adds at the end. The caller keeps actors from being added twice.
    #[inline]
    pub fn push(&mut self, actor: ActorIndex) {
        self.waiting.push_back(actor);
    }

    /// Takes the next.
    #[inline]
    pub fn pop(&mut self) -> Option<ActorIndex> {
        self.waiting.pop_front()
    }

    /// Whether nobody waits.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
