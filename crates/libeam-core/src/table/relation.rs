//! Links and monitors: relations between two actors, each in a list at both ends.
//!
//! Making, finding and removing one is O(1); an actor that ends walks its own lists only. A relation
//! is named by index and generation, so that a stale name does nothing.

use crate::actor_id::{ActorIndex, NIL};
use crate::ring::protocol::next_generation;

/// Which end of a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The watcher, or the actor that asked for the link.
    First = 0,
    /// The watched, or the other one.
    Second = 1,
}

/// Name of a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelationId {
    /// Position in its table.
    pub index: u32,
    /// Which user of the position.
    pub generation: u32,
}

impl RelationId {
    /// No relation.
    pub const NONE: Self = Self { index: NIL, generation: 0 };
}

/// The relations of one actor, oldest first.
#[derive(Clone, Copy, Debug)]
pub struct List {
    head: u32,
    tail: u32,
}

impl Default for List {
    fn default() -> Self {
        Self { head: NIL, tail: NIL }
    }
}

impl List {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.head == NIL
    }

    /// The oldest, or `NIL`.
    #[must_use]
    pub fn first(&self) -> u32 {
        self.head
    }
}

#[derive(Clone, Copy, Debug)]
struct Relation {
    ends: [ActorIndex; 2],
    prev: [u32; 2],
    next: [u32; 2],
    generation: u32,
    used: bool,
}

/// All relations of one kind.
#[derive(Debug, Default)]
pub struct RelationTable {
    relations: Vec<Relation>,
    free: Vec<u32>,
    len: usize,
}

impl RelationTable {
    /// Relations in use.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Makes a relation that is in no list yet.
    pub fn create(&mut self, first: ActorIndex, second: ActorIndex) -> RelationId {
        self.len += 1;
        let fresh = Relation { ends: [first, second], prev: [NIL; 2], next: [NIL; 2], generation: 0, used: true };
        let index = match self.free.pop() {
            Some(index) => {
                let generation = self.relations[index as usize].generation;
                self.relations[index as usize] = Relation { generation, ..fresh };
                index
            }
            None => {
                self.relations.push(fresh);
                (self.relations.len() - 1) as u32
            }
        };
        RelationId { index, generation: self.relations[index as usize].generation }
    }

    /// Puts one end of a relation at the end of its actor's list.
    pub fn attach(&mut self, index: u32, end: End, list: &mut List) {
        let last = list.tail;
        self.relations[index as usize].prev[end as usize] = last;
        if last == NIL {
            list.head = index;
        } else {
            let side = self.end_in(last, self.relations[index as usize].ends[end as usize], end);
            self.relations[last as usize].next[side as usize] = index;
        }
        list.tail = index;
    }

    /// Takes one end of a relation out of its actor's list.
    pub fn detach(&mut self, index: u32, end: End, list: &mut List) {
        let actor = self.relations[index as usize].ends[end as usize];
        let prev = self.relations[index as usize].prev[end as usize];
        let next = self.relations[index as usize].next[end as usize];
        if prev == NIL {
            list.head = next;
        } else {
            let side = self.end_in(prev, actor, end);
            self.relations[prev as usize].next[side as usize] = next;
        }
        if next == NIL {
            list.tail = prev;
        } else {
            let side = self.end_in(next, actor, end);
            self.relations[next as usize].prev[side as usize] = prev;
        }
    }

    /// Forgets a relation that is in no list any more.
    pub fn remove(&mut self, index: u32) {
        let relation = &mut self.relations[index as usize];
        relation.used = false;
        relation.generation = next_generation(relation.generation);
        self.free.push(index);
        self.len -= 1;
    }

    /// The index behind a name, if the relation still exists.
    #[must_use]
    pub fn find(&self, id: RelationId) -> Option<u32> {
        let relation = self.relations.get(id.index as usize)?;
        (relation.used && relation.generation == id.generation).then_some(id.index)
    }

    /// The name of a relation.
    #[must_use]
    pub fn id(&self, index: u32) -> RelationId {
        RelationId { index, generation: self.relations[index as usize].generation }
    }

    /// The actors at the two ends.
    #[must_use]
    pub fn ends(&self, index: u32) -> [ActorIndex; 2] {
        self.relations[index as usize].ends
    }

    /// The following relation in the list of the actor at that end, or `NIL`.
    #[must_use]
    pub fn next(&self, index: u32, end: End) -> u32 {
        self.relations[index as usize].next[end as usize]
    }

    /// At which end of a relation an actor is. In lists of links an actor may be at either end of
    /// each; in lists of monitors `usual` decides, also for an actor that watches itself.
    #[must_use]
    pub fn end_in(&self, index: u32, actor: ActorIndex, usual: End) -> End {
        let ends = self.relations[index as usize].ends;
        if ends[usual as usize] == actor {
            return usual;
        }
        if ends[0] == actor { End::First } else { End::Second }
    }
}
