//! Tables of links and monitors against a list that is searched from scratch every time.

use libeam_core::actor_id::{ActorIndex, NIL};
use libeam_core::ring::protocol::GENERATION_BITS;
use libeam_core::table::relation::{End, List, RelationId, RelationTable};
use proptest::prelude::*;

const ACTORS: u32 = 4;

#[derive(Clone, Debug)]
enum Op {
    /// The two ends; for links they differ.
    Make(ActorIndex, ActorIndex),
    /// Removes the relation made that many before, modulo all ever made.
    Remove(usize),
    /// Removes all in the list of that actor at that end, oldest first, as the end of an actor does.
    Clear(ActorIndex, bool),
}

fn op() -> impl Strategy<Value = Op> {
    let actor = 0..ACTORS;
    prop_oneof![
        5 => (actor.clone(), actor.clone()).prop_map(|(a, b)| Op::Make(a, b)),
        3 => any::<usize>().prop_map(Op::Remove),
        1 => (actor, any::<bool>()).prop_map(|(actor, second)| Op::Clear(actor, second)),
    ]
}

/// Whether an actor keeps one list for both ends (links) or one for each (monitors).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lists {
    One,
    Two,
}

struct Model {
    lists: Lists,
    table: RelationTable,
    /// Lists by actor and end; with one list per actor, those at `First`.
    actual: Vec<[List; 2]>,
    /// What is in them, oldest first.
    expected: Vec<[Vec<RelationId>; 2]>,
    /// Relations that exist, and their ends.
    alive: Vec<(RelationId, [ActorIndex; 2])>,
    /// Every name ever given.
    names: Vec<RelationId>,
}

impl Model {
    fn new(lists: Lists) -> Self {
        let actors = 0..ACTORS;
        Self {
            lists,
            table: RelationTable::default(),
            actual: actors.clone().map(|_| Default::default()).collect(),
            expected: actors.map(|_| Default::default()).collect(),
            alive: Vec::new(),
            names: Vec::new(),
        }
    }

    fn side(&self, end: End) -> usize {
        if self.lists == Lists::One { 0 } else { end as usize }
    }

    fn make(&mut self, first: ActorIndex, second: ActorIndex) {
        if self.lists == Lists::One && first == second {
            return;
        }
        let id = self.table.create(first, second);
        assert!(!self.names.contains(&id), "a name is given twice");
        for (actor, end) in [(first, End::First), (second, End::Second)] {
            let side = self.side(end);
            self.table.attach(id.index, end, &mut self.actual[actor as usize][side]);
            self.expected[actor as usize][side].push(id);
        }
        self.alive.push((id, [first, second]));
        self.names.push(id);
    }

    fn remove(&mut self, id: RelationId) {
        let found = self.table.find(id);
        let position = self.alive.iter().position(|&(other, _)| other == id);
        assert_eq!(found, position.map(|_| id.index), "{id:?} is known, or is not");
        let Some(position) = position else { return };
        let (_, ends) = self.alive.remove(position);
        assert_eq!(self.table.ends(id.index), ends);
        for (actor, end) in [(ends[0], End::First), (ends[1], End::Second)] {
            let side = self.side(end);
            self.table.detach(id.index, end, &mut self.actual[actor as usize][side]);
            self.expected[actor as usize][side].retain(|&other| other != id);
        }
        self.table.remove(id.index);
    }

    fn clear(&mut self, actor: ActorIndex, second: bool) {
        let side = self.side(if second { End::Second } else { End::First });
        while let Some(&oldest) = self.expected[actor as usize][side].first() {
            assert_eq!(self.actual[actor as usize][side].first(), oldest.index, "the oldest comes first");
            self.remove(oldest);
        }
        assert!(self.actual[actor as usize][side].is_empty());
    }

    fn listed(&self, actor: ActorIndex, side: usize) -> Vec<RelationId> {
        let mut index = self.actual[actor as usize][side].first();
        let mut listed = Vec::new();
        while index != NIL {
            listed.push(self.table.id(index));
            assert!(listed.len() <= self.alive.len(), "the list of {actor} goes round in circles");
            let usual = if side == 0 { End::First } else { End::Second };
            let end = self.table.end_in(index, actor, usual);
            index = self.table.next(index, end);
        }
        listed
    }

    fn check(&self) {
        assert_eq!((self.table.len(), self.table.is_empty()), (self.alive.len(), self.alive.is_empty()));
        for actor in 0..ACTORS {
            for side in 0..2 {
                assert_eq!(self.listed(actor, side), self.expected[actor as usize][side]);
            }
        }
        for id in &self.names {
            let alive = self.alive.iter().any(|(other, _)| other == id);
            assert_eq!(self.table.find(*id).is_some(), alive, "a stale name does nothing");
        }
    }

    fn run(&mut self, ops: &[Op]) {
        for op in ops {
            match *op {
                Op::Make(first, second) => self.make(first, second),
                Op::Remove(_) if self.names.is_empty() => {}
                Op::Remove(at) => self.remove(self.names[at % self.names.len()]),
                Op::Clear(actor, second) => self.clear(actor, second),
            }
            self.check();
        }
    }
}

proptest! {
    #[test]
    fn monitors_are_in_a_list_at_each_end(ops in prop::collection::vec(op(), 0..80)) {
        Model::new(Lists::Two).run(&ops);
    }

    #[test]
    fn links_are_in_one_list_of_either_actor(ops in prop::collection::vec(op(), 0..80)) {
        Model::new(Lists::One).run(&ops);
    }
}

#[test]
fn an_actor_may_watch_itself() {
    let mut model = Model::new(Lists::Two);
    model.run(&[Op::Make(1, 1), Op::Make(1, 1), Op::Make(0, 1), Op::Make(1, 0), Op::Remove(0), Op::Clear(1, true)]);
    assert_eq!(model.alive.len(), 1, "only the watch of 0 is left");
}

#[test]
fn no_relation_has_no_name() {
    assert_eq!(RelationTable::default().find(RelationId::NONE), None);
}

#[test]
fn a_name_is_one_number_of_javascripts_however_often_its_index_was_used() {
    let mut table = RelationTable::default();
    let first = table.create(0, 1);
    let mut before = first;
    for _ in 0..=1 << GENERATION_BITS {
        table.remove(before.index);
        let next = table.create(0, 1);
        assert!(next.index == first.index && next != before && next.generation >> GENERATION_BITS == 0);
        before = next;
    }
    const { assert!(GENERATION_BITS + u32::BITS <= f64::MANTISSA_DIGITS) };
}
