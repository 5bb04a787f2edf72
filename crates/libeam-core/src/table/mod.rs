//! The actor table: who exists, in what state, and who is related to whom.
//!
//! Facts that every message touches sit in [`Actor`], a flat record; what most actors never need is
//! in [`Cold`], made on first use. The state words (flags, pending, incarnation) are in memory shared
//! with the isolate; see [`crate::ring::protocol`] for who writes which.

mod actor;
pub mod groups;
pub mod names;
pub mod relation;

pub use actor::{Actor, Cold, Exit, Overflow, Phase, Plan, TURN_MAX, Then};

use crate::actor_id::{ActorIndex, NIL};
use crate::ring::Words;
use crate::ring::protocol::{CHUNK_ACTORS, FLAG_DEAD, STATE_WORDS};

const WORD_FLAGS: usize = 0;
const WORD_PENDING: usize = 1;
const WORD_INCARNATION: usize = 2;
const WORD_CAPACITY: usize = 3;

/// All actors of one kernel.
#[derive(Default)]
pub struct Table {
    /// Records by index; free ones keep their generation.
    actors: Vec<Actor>,
    /// State words, one chunk per `CHUNK_ACTORS` actors.
    chunks: Vec<Words>,
    /// Indices to use again, last freed first.
    free: Vec<ActorIndex>,
    /// Actors that are not free.
    live: u32,
}

impl Table {
    /// Actors that are not free.
    #[must_use]
    pub fn live(&self) -> u32 {
        self.live
    }

    /// State chunks so far.
    #[must_use]
    pub fn chunks(&self) -> &[Words] {
        &self.chunks
    }

    /// Records ever used, free ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.actors.len()
    }

    /// Whether no actor was ever made.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.actors.is_empty()
    }

    /// Takes a free index and makes it an actor without relations.
    pub fn allocate(&mut self) -> ActorIndex {
        self.live += 1;
        let index = self.free.pop().unwrap_or_else(|| {
            let index = self.actors.len() as u32;
            if index.is_multiple_of(CHUNK_ACTORS) {
                self.chunks.push(Words::allocate((CHUNK_ACTORS * STATE_WORDS) as usize));
            }
            self.actors.push(Actor::default());
            index
        });
        let generation = self.actors[index as usize].generation;
        self.actors[index as usize] = Actor { generation, phase: Phase::Alive, ..Actor::default() };
        self.set_word(index, WORD_FLAGS, 0);
        self.set_word(index, WORD_PENDING, 0);
        self.set_word(index, WORD_INCARNATION, 0);
        self.set_word(index, WORD_CAPACITY, 0);
        index
    }

    /// Gives an index back; names of the old actor do not fit the next one.
    pub fn release(&mut self, index: ActorIndex) {
        self.live -= 1;
        let actor = &mut self.actors[index as usize];
        actor.generation = actor.generation.wrapping_add(1);
        actor.phase = Phase::Free;
        actor.cold = None;
        self.set_word(index, WORD_FLAGS, FLAG_DEAD);
        self.set_word(index, WORD_PENDING, 0);
        self.free.push(index);
    }

    /// The record of an actor.
    #[inline]
    #[must_use]
    pub fn get(&self, index: ActorIndex) -> &Actor {
        &self.actors[index as usize]
    }

    /// The record of an actor, for changes.
    #[inline]
    pub fn get_mut(&mut self, index: ActorIndex) -> &mut Actor {
        &mut self.actors[index as usize]
    }

    /// The rarely used part, made if it is not there.
    pub fn cold_mut(&mut self, index: ActorIndex) -> &mut Cold {
        self.actors[index as usize].cold.get_or_insert_with(Box::default)
    }

    /// Whether the index names an actor that has not ended.
    #[inline]
    #[must_use]
    pub fn exists(&self, index: ActorIndex) -> bool {
        self.actors.get(index as usize).is_some_and(|actor| !matches!(actor.phase, Phase::Free | Phase::Limbo))
    }

    /// Indices of the actors that have not ended.
    pub fn iter(&self) -> impl Iterator<Item = ActorIndex> + '_ {
        (0..self.actors.len() as u32).filter(|&index| self.exists(index))
    }

    #[inline]
    fn word(&self, index: ActorIndex, word: usize) -> u32 {
        let at = (index % CHUNK_ACTORS * STATE_WORDS) as usize + word;
        self.chunks[(index / CHUNK_ACTORS) as usize].get(at)
    }

    #[inline]
    fn set_word(&mut self, index: ActorIndex, word: usize, value: u32) {
        let at = (index % CHUNK_ACTORS * STATE_WORDS) as usize + word;
        self.chunks[(index / CHUNK_ACTORS) as usize].set(at, value);
    }

    /// The flags; those of a dead actor for an index that was never used.
    #[inline]
    #[must_use]
    pub fn flags(&self, index: ActorIndex) -> u32 {
        match self.chunks.get((index / CHUNK_ACTORS) as usize) {
            Some(chunk) if (index as usize) < self.actors.len() => {
                chunk.get((index % CHUNK_ACTORS * STATE_WORDS) as usize + WORD_FLAGS)
            }
            _ => FLAG_DEAD,
        }
    }

    /// Sets flags.
    #[inline]
    pub fn raise(&mut self, index: ActorIndex, flags: u32) {
        self.set_word(index, WORD_FLAGS, self.flags(index) | flags);
    }

    /// Clears flags.
    #[inline]
    pub fn lower(&mut self, index: ActorIndex, flags: u32) {
        self.set_word(index, WORD_FLAGS, self.flags(index) & !flags);
    }

    /// Messages anywhere in the pipeline.
    #[inline]
    #[must_use]
    pub fn pending(&self, index: ActorIndex) -> u32 {
        self.word(index, WORD_PENDING)
    }

    /// Whether an actor has no flag up and one message anywhere in the pipeline.
    #[inline]
    #[must_use]
    pub fn has_one_message(&self, index: ActorIndex) -> bool {
        self.flags(index) == 0 && self.pending(index) == 1
    }

    /// Counts messages that the core put into the pipeline.
    #[inline]
    pub fn add_pending(&mut self, index: ActorIndex, count: u32) {
        self.set_word(index, WORD_PENDING, self.pending(index).wrapping_add(count));
    }

    /// Counts messages that the core took out of the pipeline.
    #[inline]
    pub fn sub_pending(&mut self, index: ActorIndex, count: u32) {
        self.set_word(index, WORD_PENDING, self.pending(index).saturating_sub(count));
    }

    /// Publishes the incarnation.
    pub fn set_incarnation(&mut self, index: ActorIndex, incarnation: u32) {
        self.get_mut(index).incarnation = incarnation;
        self.set_word(index, WORD_INCARNATION, incarnation);
    }

    /// Bounds a mailbox and publishes that; 0 is unbounded.
    pub fn set_capacity(&mut self, index: ActorIndex, capacity: u32) {
        self.get_mut(index).capacity = capacity;
        self.set_word(index, WORD_CAPACITY, capacity);
    }

    /// Appends a child to its parent's list.
    pub fn adopt(&mut self, parent: ActorIndex, child: ActorIndex) {
        let last = self.get(parent).last_child;
        let record = self.get_mut(child);
        record.parent = parent;
        record.prev_sibling = last;
        record.next_sibling = NIL;
        if last == NIL {
            self.get_mut(parent).first_child = child;
        } else {
            self.get_mut(last).next_sibling = child;
        }
        self.get_mut(parent).last_child = child;
    }

    /// Takes a child out of its parent's list; its own record keeps the parent.
    pub fn disown(&mut self, child: ActorIndex) {
        let Actor { parent, prev_sibling, next_sibling, .. } = *self.get(child);
        if parent == NIL {
            return;
        }
        if prev_sibling == NIL {
            self.get_mut(parent).first_child = next_sibling;
        } else {
            self.get_mut(prev_sibling).next_sibling = next_sibling;
        }
        if next_sibling == NIL {
            self.get_mut(parent).last_child = prev_sibling;
        } else {
            self.get_mut(next_sibling).prev_sibling = prev_sibling;
        }
    }

    /// The children of an actor in the order in which they were spawned.
    pub fn children(&self, parent: ActorIndex) -> impl Iterator<Item = ActorIndex> + '_ {
        let mut child = self.get(parent).first_child;
        std::iter::from_fn(move || {
            if child == NIL {
                return None;
            }
            let current = child;
            child = self.get(current).next_sibling;
            Some(current)
        })
    }
}
