//! Deadlines and withdrawals of calls, wherever they are.

use super::*;

#[test]
fn a_queued_call_that_times_out_is_never_handled() {
    let mut isolate = isolate();
    let actor = spawn(&mut isolate, &Spawn::root());
    isolate.cast(actor, &Handler::pending());
    isolate.flush();
    let call = isolate.call(actor, &Handler::ok().label(1), Some(50), Sending::Queued);
    isolate.advance(49);
    assert_eq!(isolate.answer_of(call), None);
    isolate.advance(1);
    assert_eq!(isolate.answer_of(call), Some(Answer::Rejected(CAUSE_TIMEOUT)));
    isolate.settle(actor, Ending::Ok, 8);
    quiet(&mut isolate);
    assert_eq!(handled(&isolate, actor), [0]);
    isolate.wind_up();
}

#[test]
fn a_stashed_call_keeps_its_deadline() {
    let mut isolate = isolate();
    let actor = spawn(&mut isolate, &Spawn::root());
    let queued = isolate.call(actor, &Handler::stash(), Some(50), Sending::Queued);
    let inline = spawn(&mut isolate, &Spawn::root());
    let deferred = isolate.call(inline, &Handler::stash(), Some(80), Sending::Inline);
    quiet(&mut isolate);
    isolate.advance(50);
    assert_eq!(isolate.answer_of(queued), Some(Answer::Rejected(CAUSE_TIMEOUT)));
    assert_eq!(isolate.answer_of(deferred), None);
    isolate.advance(30);
    assert_eq!(isolate.answer_of(deferred), Some(Answer::Rejected(CAUSE_TIMEOUT)));
    assert_eq!(isolate.unstash(actor, u32::MAX), 0, "it is not in the stash any more");
    quiet(&mut isolate);
    isolate.wind_up();
}

#[test]
fn a_call_that_is_stashed_inline_has_its_clock_started_without_further_ado() {
    let mut isolate = isolate();
    let actor = spawn(&mut isolate, &Spawn::root());
    isolate.call(actor, &Handler::stash(), Some(80), Sending::Inline);
    // The isolate enters when there is something to do, and is woken when the kernel says so.
    assert!(isolate.has_work() || isolate.kernel.poll_timeout().is_some(), "nobody starts the clock");
    isolate.wind_up();
}

#[test]
fn a_call_that_times_out_after_the_pump_took_it_is_not_handled() {
    let mut isolate = isolate();
    let actor = spawn(&mut isolate, &Spawn::root());
    isolate.cast(actor, &Handler::pending().label(1));
    isolate.flush();
    isolate.cast(actor, &Handler::pending().label(2));
    let call = isolate.call(actor, &Handler::ok().label(3), Some(50), Sending::Queued);
    isolate.cast(actor, &Handler::ok().label(4));
    isolate.flush();
    isolate.settle(actor, Ending::Ok, 8);
    isolate.advance(50);
    assert_eq!(isolate.answer_of(call), Some(Answer::Rejected(CAUSE_TIMEOUT)));
    isolate.settle(actor, Ending::Ok, 8);
    quiet(&mut isolate);
    assert_eq!(handled(&isolate, actor), [1, 2, 4]);
    isolate.wind_up();
}

#[test]
fn a_running_call_that_times_out_goes_on_without_its_caller() {
    let mut isolate = isolate();
    let actor = spawn(&mut isolate, &Spawn::root());
    let inline = isolate.call(actor, &Handler::pending(), Some(50), Sending::Inline);
    isolate.advance(50);
    assert_eq!(isolate.answer_of(inline), Some(Answer::Rejected(CAUSE_TIMEOUT)));
    assert!(isolate.is_running(actor));
    check::everything(&mut isolate);
    isolate.settle(actor, Ending::Ok, 0);
    quiet(&mut isolate);
    assert!(isolate.is_idle(actor));
    isolate.wind_up();
}

#[test]
fn the_news_of_a_timeout_does_not_reach_the_next_user_of_a_slot() {
    let mut isolate = isolate();
    let actors: Vec<Ref> = (0..200).map(|_| spawn(&mut isolate, &Spawn::root())).collect();
    for &actor in &actors {
        isolate.call(actor, &Handler::pending(), Some(10), Sending::Inline);
    }
    isolate.flush();
    isolate.sleep(10);
    isolate.enter(); // A batch is too short for all the news.
    let last = actors[199];
    isolate.settle(last, Ending::Ok, 0);
    let next = isolate.call(last, &Handler::pending(), None, Sending::Inline);
    isolate.flush();
    assert_eq!(isolate.answer_of(next), None);
    isolate.wind_up();
}

#[test]
fn a_call_without_a_timeout_waits_for_ever() {
    let mut isolate = isolate();
    let actor = spawn(&mut isolate, &Spawn::root());
    let call = isolate.call(actor, &Handler::pending(), Some(NIL), Sending::Queued);
    isolate.advance(1 << 30);
    assert_eq!(isolate.answer_of(call), None);
    isolate.settle(actor, Ending::Ok, 0);
    quiet(&mut isolate);
    assert_eq!(isolate.answer_of(call), Some(Answer::Ok));
    isolate.wind_up();
}

#[test]
fn a_cancelled_call_that_waits_is_never_handled() {
    let mut isolate = isolate();
    let actor = spawn(&mut isolate, &Spawn::root());
    isolate.pause(actor);
    let call = isolate.call(actor, &Handler::ok(), None, Sending::Queued);
    isolate.flush();
    isolate.cancel_call(call);
    isolate.resume(actor);
    quiet(&mut isolate);
    assert_eq!((isolate.answer_of(call), handled(&isolate, actor)), (Some(Answer::Cancelled), vec![]));
    isolate.wind_up();
}

#[test]
fn the_news_of_a_timeout_goes_with_the_call_when_that_is_withdrawn_before_it_arrives() {
    let mut isolate = isolate();
    let full = spawn(&mut isolate, &Spawn::root().bounded(1, POLICY_DROP_NEWEST));
    let actor = spawn(&mut isolate, &Spawn::root());
    isolate.pause(full);
    let call = isolate.call(actor, &Handler::pending(), Some(10), Sending::Inline);
    quiet(&mut isolate);
    for _ in 0..=COMPLETE_WORDS / EVENT_WORDS + 1 {
        isolate.cast(full, &Handler::ok());
    }
    isolate.sleep(20);
    isolate.enter(); // The refusals fill the batch, so the timeout stays behind.
    assert_eq!(isolate.answer_of(call), None);
    isolate.settle(actor, Ending::Stash, 0);
    isolate.cancel_call(call);
    isolate.cast(actor, &Handler::ok().label(1)); // In the slot of the call.
    quiet(&mut isolate);
    assert_eq!(isolate.answer_of(call), Some(Answer::Cancelled));
    assert_eq!(handled(&isolate, actor), [0, 1]);
    isolate.wind_up();
}

/// A call that a pump has taken times out, and before the news of that, in the same batch, `meanwhile` sees the call back
/// in its mailbox, with another call to come.
fn before_the_news(meanwhile: impl Fn(&mut Isolate, Ref, CallId) + 'static) {
    let mut isolate = isolate();
    let busy = spawn(&mut isolate, &Spawn::root());
    isolate.cast(busy, &Handler::pending());
    isolate.flush();
    isolate.cast(busy, &Handler::pending());
    let call = isolate.call(busy, &Handler::ok().label(1), Some(50), Sending::Queued);
    isolate.flush();
    isolate.settle(busy, Ending::Ok, 2);
    let init = Handler::ok().after(move |isolate, _| {
        isolate.look(busy);
        meanwhile(isolate, busy, call);
        isolate.call(busy, &Handler::ok().label(2), None, Sending::Queued);
    });
    let other = spawn(&mut isolate, &Spawn::root().inits(&[Handler::ok(), init]));
    isolate.sleep(50);
    isolate.crash(other);
    isolate.flush();
    let next = CallId(call.0 + 1);
    assert_eq!(isolate.answer_of(next), None, "it is refused with news that are not for it");
    isolate.resume(busy);
    isolate.settle(busy, Ending::Ok, 0);
    quiet(&mut isolate);
    assert_eq!((isolate.answer_of(next), handled(&isolate, busy)), (Some(Answer::Ok), vec![0, 0, 2]));
    isolate.wind_up();
}

#[test]
fn the_news_of_a_timeout_that_a_batch_has_do_not_reach_the_next_user_of_a_cancelled_calls_slot() {
    before_the_news(|isolate, _, call| isolate.cancel_call(call));
}

#[test]
fn the_news_of_a_timeout_that_a_batch_has_do_not_reach_the_next_user_of_a_drained_calls_slot() {
    before_the_news(|isolate, busy, _| assert_eq!(isolate.drain(busy), 0, "its time is up"));
}

#[test]
fn a_drained_call_keeps_its_deadline_and_is_not_handled_after_it() {
    let mut isolate = isolate();
    let actor = spawn(&mut isolate, &Spawn::root());
    isolate.pause(actor);
    let early = isolate.call(actor, &Handler::ok().label(1), Some(50), Sending::Queued);
    let late = isolate.call(actor, &Handler::ok().label(2), Some(100), Sending::Queued);
    let never = isolate.call(actor, &Handler::ok().label(3), Some(200), Sending::Queued);
    assert_eq!(isolate.drain(actor), 3);
    isolate.advance(51);
    assert_eq!(isolate.answer_of(early), Some(Answer::Rejected(CAUSE_TIMEOUT)));
    isolate.inject(actor);
    isolate.advance(50);
    assert_eq!(isolate.answer_of(late), Some(Answer::Rejected(CAUSE_TIMEOUT)), "put back, it has the deadline it had");
    isolate.resume(actor);
    quiet(&mut isolate);
    assert_eq!((isolate.answer_of(never), handled(&isolate, actor)), (Some(Answer::Ok), vec![3]));
    isolate.wind_up();
}

#[test]
fn the_caller_of_a_drained_call_may_give_up() {
    let mut isolate = isolate();
    let actor = spawn(&mut isolate, &Spawn::root());
    isolate.pause(actor);
    let held = isolate.call(actor, &Handler::ok().label(1), Some(50), Sending::Queued);
    let back = isolate.call(actor, &Handler::ok().label(2), Some(50), Sending::Queued);
    assert_eq!(isolate.drain(actor), 2);
    isolate.cancel_call(held);
    isolate.inject(actor);
    isolate.cancel_call(back);
    isolate.resume(actor);
    quiet(&mut isolate);
    assert_eq!(handled(&isolate, actor), [0u32; 0]);
    isolate.wind_up();
}
