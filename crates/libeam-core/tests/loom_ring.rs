//! Interleavings of the hand-off between threads: inbox and bell together.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test -p libeam-core --release --test loom_ring`.
//!
//! The channel stands for the threadsafe function: a wake-up is a message without content, and the
//! consumer does nothing unless it gets one. A lost wake-up leaves it waiting for ever, which loom
//! reports as a deadlock. The largest model bounds the number of preemptions (its full space takes more
//! than minutes), the others are exhaustive.
#![cfg(loom)]

use libeam_core::ring::bell::{Bell, Ring};
use libeam_core::ring::inbox::Inbox;
use loom::sync::Arc;
use loom::sync::mpsc::{Receiver, Sender, channel};
use loom::thread;

/// Preemptions per execution in the model with two producers of two items each.
const PREEMPTIONS_MAX: usize = 3;

type Item = (u8, u8);

struct Isolate {
    inbox: Inbox<Item>,
    bell: Bell,
}

impl Isolate {
    fn new(items_max: usize) -> Arc<Self> {
        Arc::new(Self { inbox: Inbox::new(items_max), bell: Bell::new() })
    }

    fn send(&self, item: Item, wakes: &Sender<()>) -> Result<(), Item> {
        self.inbox.push(item)?;
        if self.bell.ring() == Ring::Wake {
            wakes.send(()).expect("the consumer has gone");
        }
        Ok(())
    }

    fn answer_wakes(&self, wakes: &Receiver<()>, until: usize) -> Vec<Item> {
        let mut items = Vec::new();
        while items.len() < until {
            wakes.recv().expect("the producers have gone");
            self.bell.answer();
            self.inbox.drain_into(&mut items);
        }
        items
    }
}

fn of(producer: u8, items: &[Item]) -> Vec<u8> {
    let own = items.iter().filter(|item| item.0 == producer);
    own.map(|item| item.1).collect()
}

#[test]
fn everything_pushed_is_drained_after_a_wake_in_the_order_of_its_producer() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(PREEMPTIONS_MAX);
    model.check(|| {
        let isolate = Isolate::new(4);
        let (wakes_in, wakes) = channel();
        let producers = [1, 2].map(|producer| {
            let (isolate, wakes_in) = (isolate.clone(), wakes_in.clone());
            thread::spawn(move || {
                for number in [1, 2] {
                    let sent = isolate.send((producer, number), &wakes_in);
                    sent.expect("there is room for four");
                }
            })
        });
        let items = isolate.answer_wakes(&wakes, 4);
        assert_eq!(of(1, &items), [1, 2]);
        assert_eq!(of(2, &items), [1, 2]);
        for producer in producers {
            producer.join().expect("a producer panicked");
        }
        assert!(isolate.inbox.is_empty());
    });
}

#[test]
fn a_visit_without_a_wake_loses_nothing() {
    loom::model(|| {
        let isolate = Isolate::new(2);
        let (wakes_in, wakes) = channel();
        let producer = {
            let isolate = isolate.clone();
            thread::spawn(move || {
                for number in [1, 2] {
                    let sent = isolate.send((1, number), &wakes_in);
                    sent.expect("there is room for two");
                }
            })
        };
        // An isolate that enters for its own reasons drains as well.
        let mut items = Vec::new();
        isolate.bell.answer();
        isolate.inbox.drain_into(&mut items);
        let left = 2 - items.len();
        items.extend(isolate.answer_wakes(&wakes, left));
        assert_eq!(of(1, &items), [1, 2]);
        producer.join().expect("the producer panicked");
    });
}

#[test]
fn a_full_inbox_gives_back_exactly_what_it_did_not_take() {
    loom::model(|| {
        let isolate = Isolate::new(1);
        let (wakes_in, wakes) = channel();
        let producers = [1, 2].map(|producer| {
            let (isolate, wakes_in) = (isolate.clone(), wakes_in.clone());
            thread::spawn(move || isolate.send((producer, 1), &wakes_in))
        });
        let mut seen = isolate.answer_wakes(&wakes, 1);
        for producer in producers {
            if let Err(item) = producer.join().expect("a producer panicked") {
                seen.push(item);
            }
        }
        isolate.inbox.drain_into(&mut seen);
        seen.sort_unstable();
        assert_eq!(seen, [(1, 1), (2, 1)]);
    });
}
