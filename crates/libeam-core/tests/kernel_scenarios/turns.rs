//! Who gets how much of a batch.

use super::*;
use std::rc::Rc;

fn cast_ok(isolate: &mut Isolate, actor: Ref, count: u32) {
    for _ in 0..count {
        isolate.cast(actor, &Handler::ok());
    }
}

/// Who handled something since, as actor and number of messages in a row.
fn runs(isolate: &Isolate, start: usize) -> Vec<(Ref, u32)> {
    let mut runs: Vec<(Ref, u32)> = Vec::new();
    for (actor, _) in since(isolate, start, |what| matches!(what, What::Handled(_))) {
        match runs.last_mut() {
            Some((last, count)) if *last == actor => *count += 1,
            _ => runs.push((actor, 1)),
        }
    }
    runs
}

/// A handler that hands its token on to the next of a ring, for ever.
fn hand_on(ring: Rc<[Ref]>, at: usize) -> Handler {
    Handler::ok().after(move |isolate, _| {
        let next = (at + 1) % ring.len();
        isolate.cast(ring[next], &hand_on(Rc::clone(&ring), next));
    })
}

#[test]
fn actors_with_full_queues_take_turns_until_the_batch_is_full() {
    let mut isolate = isolate();
    let (a, b) = (spawn(&mut isolate, &Spawn::root()), spawn(&mut isolate, &Spawn::root()));
    let start = isolate.log.len();
    cast_ok(&mut isolate, a, QUANTUM * 2 + 10);
    cast_ok(&mut isolate, b, QUANTUM + 5);
    isolate.enter();
    assert_eq!(runs(&isolate, start), [(a, QUANTUM), (b, QUANTUM), (a, QUANTUM), (b, 5), (a, 10)]);
    isolate.wind_up();
}

#[test]
fn the_only_message_of_an_actor_does_not_wait_for_the_queues_of_others() {
    let mut isolate = isolate();
    let (flooded, idle) = (spawn(&mut isolate, &Spawn::root()), spawn(&mut isolate, &Spawn::root()));
    cast_ok(&mut isolate, flooded, COMPLETE_WORDS);
    isolate.enter();
    let start = isolate.log.len();
    isolate.cast(idle, &Handler::ok());
    isolate.enter();
    assert_eq!(runs(&isolate, start)[0], (idle, 1));
    isolate.wind_up();
}

#[test]
fn a_queue_gets_its_part_of_each_batch_whatever_idle_actors_are_sent() {
    let mut isolate = isolate();
    let ring: Rc<[Ref]> = (0..COMPLETE_WORDS).map(|_| spawn(&mut isolate, &Spawn::root())).collect();
    let queue = spawn(&mut isolate, &Spawn::root());
    for at in 0..ring.len() {
        isolate.cast(ring[at], &hand_on(Rc::clone(&ring), at));
    }
    cast_ok(&mut isolate, queue, QUANTUM);
    for _ in 0..8 {
        isolate.enter();
    }
    assert_eq!(handled(&isolate, queue).len(), QUANTUM as usize);
    for actor in ring.iter() {
        isolate.stop(*actor);
    }
    isolate.wind_up();
}

#[test]
fn an_actor_whose_messages_came_back_gets_one_and_then_twice_as_many_up_to_the_quantum() {
    let mut isolate = isolate();
    let actor = spawn(&mut isolate, &Spawn::root());
    isolate.cast(actor, &Handler::pending());
    cast_ok(&mut isolate, actor, 200);
    quiet(&mut isolate);
    isolate.settle(actor, Ending::Ok, 0);
    let mut turns = Vec::new();
    while turns.iter().sum::<usize>() < 200 {
        let before = handled(&isolate, actor).len();
        isolate.enter();
        turns.push(handled(&isolate, actor).len() - before);
    }
    // In a turn of its full quantum it gets all, because nobody else waits.
    let growing = std::iter::successors(Some(1), |turn| Some(turn * 2)).take_while(|&turn| turn < QUANTUM as usize);
    let mut expected: Vec<usize> = growing.collect();
    expected.push(200 - expected.iter().sum::<usize>());
    assert_eq!(turns, expected);
    isolate.wind_up();
}
