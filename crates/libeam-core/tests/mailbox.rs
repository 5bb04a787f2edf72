//! Queues in one pool against vectors.

use libeam_core::mailbox::{Pool, Queue};
use proptest::prelude::*;
use std::collections::VecDeque;

/// Queues that share the pool.
const QUEUES: usize = 3;

#[derive(Clone, Debug)]
enum Op {
    PushBack(usize, u32),
    PushFront(usize, u32),
    Pop(usize),
    /// Takes entries off the front up to the first that is not even, so many at most.
    PopWhileEven(usize, usize),
    /// Takes out the entry at that position, modulo the length.
    Remove(usize, usize),
    /// Puts the second queue before the first.
    Prepend(usize, usize),
    /// Moves the first cell of the first queue in front of the second, as `unstash` does.
    MoveFirst(usize, usize),
    /// Puts the second queue behind the entry at that position of the first, modulo its length.
    InsertAfter(usize, usize, usize),
}

fn op() -> impl Strategy<Value = Op> {
    let queue = 0..QUEUES;
    prop_oneof![
        5 => (queue.clone(), any::<u32>()).prop_map(|(at, entry)| Op::PushBack(at, entry)),
        2 => (queue.clone(), any::<u32>()).prop_map(|(at, entry)| Op::PushFront(at, entry)),
        3 => queue.clone().prop_map(Op::Pop),
        2 => (queue.clone(), 0..6usize).prop_map(|(at, most)| Op::PopWhileEven(at, most)),
        3 => (queue.clone(), any::<usize>()).prop_map(|(at, position)| Op::Remove(at, position)),
        1 => (queue.clone(), queue.clone()).prop_map(|(a, b)| Op::Prepend(a, b)),
        2 => (queue.clone(), queue.clone()).prop_map(|(a, b)| Op::MoveFirst(a, b)),
        2 => (queue.clone(), any::<usize>(), queue).prop_map(|(a, at, b)| Op::InsertAfter(a, at, b)),
    ]
}

#[derive(Default)]
struct Model {
    pool: Pool,
    queues: [Queue; QUEUES],
    /// Cell and entry of everything that waits, by queue.
    expected: [VecDeque<(u32, u32)>; QUEUES],
}

impl Model {
    fn apply(&mut self, op: &Op) {
        match *op {
            Op::PushBack(at, entry) => {
                let cell = self.queues[at].push_back(&mut self.pool, entry);
                self.expected[at].push_back((cell, entry));
            }
            Op::PushFront(at, entry) => {
                let cell = self.queues[at].push_front(&mut self.pool, entry);
                self.expected[at].push_front((cell, entry));
            }
            Op::Pop(at) => {
                let expected = self.expected[at].pop_front().map(|(_, entry)| entry);
                assert_eq!(self.queues[at].pop(&mut self.pool), expected);
            }
            Op::PopWhileEven(at, most) => {
                let mut popped = Vec::new();
                let taken = self.queues[at].pop_while(&mut self.pool, most, |entry| {
                    let wanted = entry % 2 == 0;
                    popped.extend(wanted.then_some(entry));
                    wanted
                });
                let wanted = self.expected[at].iter().take(most).take_while(|&&(_, entry)| entry % 2 == 0).count();
                let expected: Vec<u32> = self.expected[at].drain(..wanted).map(|(_, entry)| entry).collect();
                assert_eq!((taken, popped), (wanted, expected));
            }
            Op::Remove(at, position) if !self.expected[at].is_empty() => {
                let position = position % self.expected[at].len();
                let (cell, _) = self.expected[at].remove(position).expect("a position within");
                self.queues[at].remove(&mut self.pool, cell);
            }
            Op::Prepend(a, b) if a != b => {
                let mut other = self.queues[b];
                self.queues[a].prepend(&mut self.pool, &mut other);
                self.queues[b] = other;
                let mut moved = std::mem::take(&mut self.expected[b]);
                moved.append(&mut self.expected[a]);
                self.expected[a] = moved;
            }
            Op::MoveFirst(a, b) => {
                let first = self.queues[a].split_first(&mut self.pool);
                assert_eq!(first.is_some(), !self.expected[a].is_empty());
                if let Some(mut first) = first {
                    self.queues[b].prepend(&mut self.pool, &mut first);
                    assert!(first.is_empty(), "a queue that was put before another one is empty");
                    let moved = self.expected[a].pop_front().expect("a first entry");
                    self.expected[b].push_front(moved);
                }
            }
            Op::InsertAfter(a, position, b) if a != b && !self.expected[a].is_empty() => {
                let position = position % self.expected[a].len();
                let cell = self.expected[a][position].0;
                let before = position.checked_sub(1).map(|before| self.expected[a][before].0);
                assert_eq!(self.queues[a].before(&self.pool, cell), before);
                let mut other = self.queues[b];
                self.queues[a].insert_after(&mut self.pool, cell, &mut other);
                self.queues[b] = other;
                let mut rest = self.expected[a].split_off(position + 1);
                let mut moved = std::mem::take(&mut self.expected[b]);
                self.expected[a].append(&mut moved);
                self.expected[a].append(&mut rest);
            }
            Op::Remove(..) | Op::Prepend(..) | Op::InsertAfter(..) => {}
        }
    }

    fn check(&self) {
        for (queue, expected) in self.queues.iter().zip(&self.expected) {
            let actual: VecDeque<(u32, u32)> = queue.iter(&self.pool).collect();
            assert_eq!(&actual, expected);
            assert_eq!(queue.is_empty(), expected.is_empty());
            assert_eq!(queue.first(&self.pool), expected.front().map(|&(_, entry)| entry));
            assert_eq!(queue.last_cell(), expected.back().map(|&(cell, _)| cell));
            for &(cell, entry) in expected {
                assert_eq!(self.pool.entry(cell), entry);
            }
        }
        let len: usize = self.expected.iter().map(VecDeque::len).sum();
        assert_eq!((self.pool.len(), self.pool.is_empty()), (len, len == 0));
    }
}

proptest! {
    #[test]
    fn queues_behave_like_vectors(ops in prop::collection::vec(op(), 0..200)) {
        let mut model = Model::default();
        for op in &ops {
            model.apply(op);
            model.check();
        }
        for at in 0..QUEUES {
            while !model.expected[at].is_empty() {
                model.apply(&Op::Pop(at));
            }
        }
        model.check();
    }

    #[test]
    fn cells_are_used_again(entries in prop::collection::vec(any::<u32>(), 1..50)) {
        let mut pool = Pool::default();
        let mut queue = Queue::default();
        let mut largest = 0;
        for _ in 0..3 {
            for &entry in &entries {
                largest = largest.max(queue.push_back(&mut pool, entry));
            }
            for &entry in &entries {
                prop_assert_eq!(queue.pop(&mut pool), Some(entry));
            }
        }
        prop_assert_eq!(largest as usize, entries.len() - 1);
    }
}

#[test]
fn a_queue_of_one_loses_both_ends_at_once() {
    let mut pool = Pool::default();
    let mut queue = Queue::default();
    let cell = queue.push_front(&mut pool, 7);
    queue.remove(&mut pool, cell);
    assert!(queue.is_empty() && pool.is_empty());
    queue.push_back(&mut pool, 8);
    queue.push_back(&mut pool, 9);
    assert_eq!((queue.pop(&mut pool), queue.pop(&mut pool), queue.pop(&mut pool)), (Some(8), Some(9), None));
}
