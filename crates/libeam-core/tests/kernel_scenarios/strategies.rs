//! Restarts of several siblings: order, delays, plans that are joined, left and given up.

use super::*;

#[test]
fn one_for_all_stops_in_reverse_order_and_starts_in_order() {
    let mut isolate = isolate();
    let (_, children) = family(&mut isolate, Strategy::OneForAll, 3);
    let [a, b, c] = children[..] else { unreachable!() };
    let start = isolate.log.len();
    crash(&mut isolate, b);
    let expected = [(c, 't'), (b, 't'), (a, 't'), (a, 'i'), (b, 'i'), (c, 'i')];
    assert_eq!(starts_and_ends(&isolate, start), expected);
    isolate.wind_up();
}

#[test]
fn rest_for_one_leaves_the_older_siblings_alone() {
    let mut isolate = isolate();
    let (_, children) = family(&mut isolate, Strategy::RestForOne, 4);
    let [_, b, c, d] = children[..] else { unreachable!() };
    let start = isolate.log.len();
    crash(&mut isolate, b);
    let expected = [(d, 't'), (c, 't'), (b, 't'), (b, 'i'), (c, 'i'), (d, 'i')];
    assert_eq!(starts_and_ends(&isolate, start), expected);
    isolate.wind_up();
}

#[test]
fn each_member_waits_for_the_terminate_and_the_init_of_the_one_before() {
    let mut isolate = isolate();
    let parent = spawn(&mut isolate, &Spawn::root());
    isolate.supervise(Some(parent), &supervised(Strategy::OneForAll));
    let slow = Spawn::child(parent).terminate(Handler::pending()).inits(&[Handler::ok(), Handler::pending()]);
    let (a, b) = (spawn(&mut isolate, &slow), spawn(&mut isolate, &slow));
    let start = isolate.log.len();
    crash(&mut isolate, a);
    assert_eq!(starts_and_ends(&isolate, start), [(b, 't')]);
    isolate.settle(b, Ending::Ok, 0);
    quiet(&mut isolate);
    assert_eq!(starts_and_ends(&isolate, start), [(b, 't'), (a, 't')]);
    isolate.settle(a, Ending::Ok, 0);
    quiet(&mut isolate);
    assert_eq!(starts_and_ends(&isolate, start)[2..], [(a, 'i')]);
    isolate.settle(a, Ending::Ok, 0);
    quiet(&mut isolate);
    assert_eq!(starts_and_ends(&isolate, start)[2..], [(a, 'i'), (b, 'i')]);
    isolate.settle(b, Ending::Ok, 0);
    quiet(&mut isolate);
    isolate.wind_up();
}

#[test]
fn the_delay_comes_once_before_the_first_start() {
    let mut isolate = isolate();
    let (parent, children) = family(&mut isolate, Strategy::OneForAll, 2);
    isolate.supervise(Some(parent), &Supervision { backoff: backoff(40), ..supervised(Strategy::OneForAll) });
    crash(&mut isolate, children[0]);
    isolate.advance(100);
    for &child in &children {
        assert_eq!(times_of(&isolate, child, is_init), [0, 40]);
    }
    isolate.wind_up();
}

#[test]
fn a_member_that_fails_to_start_makes_a_new_plan_with_what_was_left_to_do() {
    let mut isolate = isolate();
    let parent = spawn(&mut isolate, &Spawn::root());
    isolate.supervise(Some(parent), &supervised(Strategy::RestForOne));
    let steady = Spawn::child(parent).terminate(Handler::ok());
    let flaky = steady.clone().inits(&[Handler::ok(), Handler::crash(), Handler::ok()]);
    let a = spawn(&mut isolate, &steady);
    let b = spawn(&mut isolate, &flaky);
    let c = spawn(&mut isolate, &steady);
    let start = isolate.log.len();
    crash(&mut isolate, a);
    // b fails while c is still down: the new plan has b and c, and the delay of a failed init.
    assert_eq!(starts_and_ends(&isolate, start), [(c, 't'), (b, 't'), (a, 't'), (a, 'i'), (b, 'i')]);
    check::everything(&mut isolate);
    isolate.advance(9);
    assert_eq!(times_of(&isolate, b, is_init), [0, 0]);
    isolate.advance(1);
    assert_eq!(times_of(&isolate, b, is_init), [0, 0, 10]);
    assert_eq!(times_of(&isolate, c, is_init), [0, 10]);
    assert_eq!(times_of(&isolate, a, is_init), [0, 0], "a does not start again");
    isolate.wind_up();
}

#[test]
fn a_second_crash_widens_a_plan_that_is_under_way() {
    let mut isolate = isolate();
    let parent = spawn(&mut isolate, &Spawn::root());
    isolate.supervise(Some(parent), &supervised(Strategy::RestForOne));
    let steady = Spawn::child(parent).terminate(Handler::ok());
    let slow = Spawn::child(parent).terminate(Handler::pending());
    let (a, b, c) = (spawn(&mut isolate, &steady), spawn(&mut isolate, &steady), spawn(&mut isolate, &slow));
    let start = isolate.log.len();
    crash(&mut isolate, b);
    assert_eq!(starts_and_ends(&isolate, start), [(c, 't')]);
    crash(&mut isolate, a);
    isolate.settle(c, Ending::Ok, 0);
    quiet(&mut isolate);
    let expected = [(c, 't'), (b, 't'), (a, 't'), (a, 'i'), (b, 'i'), (c, 'i')];
    assert_eq!(starts_and_ends(&isolate, start), expected);
    isolate.wind_up();
}

#[test]
fn a_member_that_is_stopped_leaves_the_plan_to_the_others() {
    let mut isolate = isolate();
    let parent = spawn(&mut isolate, &Spawn::root());
    isolate.supervise(Some(parent), &supervised(Strategy::OneForAll));
    let steady = Spawn::child(parent).terminate(Handler::ok());
    let slow = Spawn::child(parent).terminate(Handler::pending());
    let (a, b, c) = (spawn(&mut isolate, &steady), spawn(&mut isolate, &steady), spawn(&mut isolate, &slow));
    let start = isolate.log.len();
    crash(&mut isolate, a);
    isolate.stop(b);
    isolate.settle(c, Ending::Ok, 0);
    quiet(&mut isolate);
    let mut seen = starts_and_ends(&isolate, start);
    seen.retain(|&(_, letter)| letter != 'g');
    assert_eq!(seen, [(c, 't'), (b, 't'), (a, 't'), (a, 'i'), (c, 'i')]);
    assert!(isolate.cell(b).dead);
    isolate.wind_up();
}

#[test]
fn a_parent_that_stops_takes_its_plan_along() {
    let mut isolate = isolate();
    let (parent, children) = family(&mut isolate, Strategy::OneForAll, 2);
    isolate.supervise(Some(parent), &Supervision { backoff: backoff(40), ..supervised(Strategy::OneForAll) });
    crash(&mut isolate, children[1]);
    isolate.advance(20);
    isolate.stop(parent);
    quiet(&mut isolate);
    assert_eq!(isolate.living(), []);
    isolate.advance(100);
    assert_eq!(times_of(&isolate, children[0], is_init), [0]);
    isolate.wind_up();
}

#[test]
fn a_plain_member_that_is_stopped_leaves_the_plan_to_the_others() {
    let mut isolate = isolate();
    let parent = spawn(&mut isolate, &Spawn::root());
    isolate.supervise(Some(parent), &supervised(Strategy::OneForAll));
    let plain = Spawn::child(parent);
    let slow = Spawn::child(parent).terminate(Handler::pending());
    let (a, b, c) = (spawn(&mut isolate, &plain), spawn(&mut isolate, &plain), spawn(&mut isolate, &slow));
    crash(&mut isolate, a);
    isolate.stop(b);
    isolate.settle(c, Ending::Ok, 0);
    quiet(&mut isolate);
    assert_eq!(times_of(&isolate, a, is_init).len(), 2, "a starts again");
    assert_eq!(times_of(&isolate, c, is_init).len(), 2, "c starts again");
    isolate.wind_up();
}

#[test]
fn a_crash_of_a_member_that_waits_for_its_stop_changes_nothing() {
    let mut isolate = isolate();
    let parent = spawn(&mut isolate, &Spawn::root());
    isolate.supervise(Some(parent), &supervised(Strategy::OneForAll));
    let a = spawn(&mut isolate, &Spawn::child(parent));
    let slow = spawn(&mut isolate, &Spawn::child(parent).terminate(Handler::pending()));
    crash(&mut isolate, a);
    isolate.exit(None, a, Signal::Reason);
    isolate.flush();
    assert_eq!(decisions(&isolate, a), [(DECISION_RESTART, 1, 0), (DECISION_IGNORED, 0, 0)]);
    isolate.settle(slow, Ending::Ok, 0);
    quiet(&mut isolate);
    isolate.wind_up();
}
