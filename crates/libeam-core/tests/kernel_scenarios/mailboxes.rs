//! Order, bounds, the stash and what is put back in front.

use super::*;

#[test]
fn drop_oldest_passes_over_signals() {
    let mut isolate = isolate();
    let other = spawn(&mut isolate, &Spawn::root());
    let actor = spawn(&mut isolate, &Spawn::root().bounded(1, POLICY_DROP_OLDEST));
    isolate.pause(actor);
    isolate.watch(actor, other);
    isolate.stop(other);
    isolate.flush();
    isolate.cast(actor, &Handler::ok().label(1));
    isolate.cast(actor, &Handler::ok().label(2));
    quiet(&mut isolate);
    isolate.resume(actor);
    quiet(&mut isolate);
    let history = isolate.history(actor);
    let expected = [What::Dropped(CAUSE_EVICTED), What::Down(other, ReasonKind::Normal), What::Handled(2)];
    assert_eq!(history[1..], expected);
    isolate.wind_up();
}

#[test]
fn full_mailboxes_refuse_by_their_policy() {
    let mut isolate = isolate();
    for (policy, cause) in [(POLICY_DROP_NEWEST, CAUSE_FULL), (POLICY_ERROR, CAUSE_FULL_ERROR)] {
        let actor = spawn(&mut isolate, &Spawn::root().bounded(1, policy));
        isolate.pause(actor);
        let first = isolate.call(actor, &Handler::ok(), None, Sending::Queued);
        let second = isolate.call(actor, &Handler::ok(), None, Sending::Queued);
        quiet(&mut isolate);
        assert_eq!(isolate.answer_of(second), Some(Answer::Rejected(cause)));
        isolate.resume(actor);
        quiet(&mut isolate);
        assert_eq!(isolate.answer_of(first), Some(Answer::Ok));
    }
    isolate.wind_up();
}

#[test]
fn a_down_comes_after_what_the_ended_actor_sent() {
    let mut isolate = isolate();
    let (watcher, actor) = (spawn(&mut isolate, &Spawn::root()), spawn(&mut isolate, &Spawn::root()));
    isolate.watch(watcher, actor);
    let says_goodbye = Handler::ok().after(move |isolate, me| {
        isolate.cast(watcher, &Handler::ok().label(1));
        isolate.stop(me);
        isolate.cast(watcher, &Handler::ok().label(2));
    });
    isolate.cast(actor, &says_goodbye);
    quiet(&mut isolate);
    let expected = [What::Handled(1), What::Handled(2), What::Down(actor, ReasonKind::Normal)];
    assert_eq!(isolate.history(watcher)[1..], expected);
    isolate.wind_up();
}

#[test]
fn the_rest_of_a_batch_goes_back_in_its_order() {
    let mut isolate = isolate();
    let actor = spawn(&mut isolate, &Spawn::root());
    isolate.cast(actor, &Handler::pending().label(1));
    for label in 2..6 {
        isolate.cast(actor, &Handler::ok().label(label));
    }
    quiet(&mut isolate);
    assert_eq!(handled(&isolate, actor), [1]);
    isolate.settle(actor, Ending::Ok, 2);
    assert_eq!(handled(&isolate, actor), [1, 2, 3]);
    quiet(&mut isolate);
    assert_eq!(handled(&isolate, actor), [1, 2, 3, 4, 5]);
    isolate.wind_up();
}

#[test]
fn drained_messages_come_back_before_the_waiting_ones() {
    let mut isolate = isolate();
    let actor = spawn(&mut isolate, &Spawn::root());
    isolate.pause(actor);
    isolate.cast(actor, &Handler::ok().label(1));
    let call = isolate.call(actor, &Handler::ok().label(2), None, Sending::Queued);
    assert_eq!(isolate.drain(actor), 2);
    isolate.cast(actor, &Handler::ok().label(3));
    isolate.inject(actor);
    quiet(&mut isolate);
    isolate.resume(actor);
    quiet(&mut isolate);
    assert_eq!(handled(&isolate, actor), [1, 2, 3]);
    assert_eq!(isolate.answer_of(call), Some(Answer::Ok));
    isolate.wind_up();
}

#[test]
fn unstash_moves_the_oldest_and_no_more_than_asked_for() {
    let mut isolate = isolate();
    let actor = spawn(&mut isolate, &Spawn::root());
    for label in 1..5 {
        isolate.cast(actor, &Handler::stash().label(label));
    }
    isolate.flush();
    assert_eq!(isolate.unstash(actor, 0), 0);
    assert_eq!(isolate.unstash(actor, 1), 1);
    quiet(&mut isolate);
    assert_eq!(handled(&isolate, actor)[4..], [1]);
    assert_eq!(isolate.unstash(actor, u32::MAX), 3);
    quiet(&mut isolate);
    assert_eq!(handled(&isolate, actor)[4..], [1, 2, 3, 4]);
    isolate.wind_up();
}

#[test]
fn what_is_unstashed_goes_behind_what_was_unstashed_before_and_still_waits() {
    let mut isolate = isolate();
    let actor = spawn(&mut isolate, &Spawn::root());
    for label in 1..7 {
        isolate.cast(actor, &Handler::stash().label(label));
    }
    isolate.flush();
    isolate.pause(actor);
    isolate.cast(actor, &Handler::ok().label(9));
    for _ in 0..3 {
        assert_eq!(isolate.unstash(actor, 1), 1);
    }
    isolate.resume(actor);
    quiet(&mut isolate);
    assert_eq!(handled(&isolate, actor)[6..], [1, 2, 3, 9]);
    // What has been handled meanwhile does not count.
    isolate.pause(actor);
    isolate.cast(actor, &Handler::ok().label(8));
    assert_eq!(isolate.unstash(actor, 2), 2);
    assert_eq!(isolate.unstash(actor, 1), 1);
    isolate.resume(actor);
    quiet(&mut isolate);
    assert_eq!(handled(&isolate, actor)[10..], [4, 5, 6, 8]);
    isolate.wind_up();
}

#[test]
fn what_was_unstashed_last_may_leave_before_the_next_is_unstashed() {
    let mut isolate = isolate();
    let actor = spawn(&mut isolate, &Spawn::root());
    isolate.cast(actor, &Handler::stash().label(1));
    isolate.call(actor, &Handler::stash().label(2), Some(50), Sending::Queued);
    isolate.cast(actor, &Handler::stash().label(3));
    isolate.flush();
    isolate.pause(actor);
    assert_eq!(isolate.unstash(actor, 1), 1);
    assert_eq!(isolate.unstash(actor, 1), 1);
    isolate.advance(51);
    assert_eq!(isolate.unstash(actor, 1), 1);
    isolate.resume(actor);
    quiet(&mut isolate);
    assert_eq!(handled(&isolate, actor)[3..], [1, 3]);
    isolate.wind_up();
}
