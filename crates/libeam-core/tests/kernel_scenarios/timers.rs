//! Timers, intervals and idle timeouts, to the millisecond.

use super::*;

fn ticks(isolate: &Isolate, actor: Ref) -> Vec<u64> {
    times_of(isolate, actor, |what| matches!(what, What::Tick(_)))
}

#[test]
fn an_interval_has_one_tick_waiting_at_most() {
    let mut isolate = isolate();
    let actor = spawn(&mut isolate, &Spawn::root());
    isolate.start_timer(actor, &Handler::ok(), 10, true);
    isolate.advance(25);
    assert_eq!(ticks(&isolate, actor), [10, 20]);
    isolate.cast(actor, &Handler::pending());
    isolate.flush();
    isolate.advance(50);
    isolate.settle(actor, Ending::Ok, 8);
    quiet(&mut isolate);
    assert_eq!(ticks(&isolate, actor), [10, 20, 75]);
    isolate.advance(10);
    assert_eq!(ticks(&isolate, actor), [10, 20, 75, 80]);
    isolate.wind_up();
}

#[test]
fn a_cancelled_tick_does_not_come_even_when_it_waits() {
    let mut isolate = isolate();
    let actor = spawn(&mut isolate, &Spawn::root());
    isolate.pause(actor);
    let timer = isolate.start_timer(actor, &Handler::ok(), 10, false).unwrap();
    isolate.advance(20);
    assert!(isolate.cancel_timer(timer));
    isolate.resume(actor);
    quiet(&mut isolate);
    assert_eq!(ticks(&isolate, actor), []);
    assert!(isolate.is_idle(actor));
    isolate.wind_up();
}

#[test]
fn a_tick_that_is_cancelled_while_it_is_in_a_batch_leaves_nothing_behind() {
    let mut isolate = isolate();
    let actor = spawn(&mut isolate, &Spawn::root());
    let timer = isolate.start_timer(actor, &Handler::ok(), 10, true).unwrap();
    isolate.sleep(10);
    isolate.cast(actor, &Handler::pending().after(move |isolate, _| assert!(isolate.cancel_timer(timer))));
    isolate.flush();
    isolate.settle(actor, Ending::Ok, 0);
    quiet(&mut isolate);
    assert_eq!(ticks(&isolate, actor), []);
    assert!(isolate.is_idle(actor));
    isolate.wind_up();
}

#[test]
fn the_same_with_the_next_message_asked_for() {
    let mut isolate = isolate();
    let actor = spawn(&mut isolate, &Spawn::root());
    let timer = isolate.start_timer(actor, &Handler::ok(), 10, true).unwrap();
    isolate.sleep(10);
    isolate.cast(actor, &Handler::pending().after(move |isolate, _| assert!(isolate.cancel_timer(timer))));
    isolate.flush();
    isolate.settle(actor, Ending::Ok, 8);
    quiet(&mut isolate);
    assert!(isolate.is_idle(actor));
    isolate.wind_up();
}

#[test]
fn an_alarm_that_is_set_while_others_fire_waits_for_its_own_time() {
    let mut isolate = Isolate::new(KernelConfig { stop_timeout_ms: 100, ..KernelConfig::default() });
    isolate.supervise(None, &Supervision { backoff: backoff(500), ..Supervision::default() });
    let actor = spawn(&mut isolate, &Spawn::root());
    isolate.cast(actor, &Handler::pending());
    isolate.flush();
    isolate.exit(None, actor, Signal::Reason);
    isolate.flush(); // Its patience ends at 100 ms.
    isolate.start_timer(actor, &Handler::ok(), 100, false);
    isolate.advance(2_000);
    assert_eq!(times_of(&isolate, actor, is_init), [0, 600]);
    isolate.wind_up();
}

#[test]
fn the_idle_timeout_counts_from_the_last_message() {
    let mut isolate = isolate();
    let actor = spawn(&mut isolate, &Spawn::root());
    isolate.idle_timeout(actor, 100);
    isolate.advance(60);
    isolate.cast(actor, &Handler::ok());
    isolate.advance(99);
    assert_eq!(times_of(&isolate, actor, |what| matches!(what, What::Idle(_))), []);
    isolate.advance(241);
    let idle: Vec<_> = since(&isolate, 0, |what| matches!(what, What::Idle(_)));
    assert_eq!(times_of(&isolate, actor, |what| matches!(what, What::Idle(_))), [160, 260, 360]);
    assert_eq!(idle, [(actor, What::Idle(100)), (actor, What::Idle(200)), (actor, What::Idle(300))]);
    isolate.idle_timeout(actor, 0);
    isolate.advance(1_000);
    assert_eq!(isolate.kernel.poll_timeout(), None);
    assert!(isolate.is_idle(actor));
    isolate.wind_up();
}

#[test]
fn the_idle_timeout_starts_anew_with_the_messages_of_timers_and_watches() {
    let mut isolate = isolate();
    let actor = spawn(&mut isolate, &Spawn::root());
    let watched = spawn(&mut isolate, &Spawn::root());
    isolate.idle_timeout(actor, 100);
    isolate.start_timer(actor, &Handler::ok(), 80, false);
    isolate.watch(actor, watched);
    isolate.advance(150);
    isolate.stop(watched);
    isolate.advance(200);
    assert_eq!(times_of(&isolate, actor, |what| matches!(what, What::Idle(_))), [250, 350]);
    isolate.wind_up();
}

/// If each tick were looked for in the mailbox, this would take half a minute.
#[test]
fn ticks_are_withdrawn_from_behind_any_number_of_messages() {
    let mut isolate = isolate();
    let actor = spawn(&mut isolate, &Spawn::root());
    let timers: Vec<_> =
        (0..5_000).filter_map(|_| isolate.start_timer(actor, &Handler::ok().label(1), 10, false)).collect();
    isolate.pause(actor);
    for _ in 0..200_000 {
        isolate.cast(actor, &Handler::ok());
    }
    isolate.advance(20);
    assert_eq!((timers.len(), isolate.kernel.knows_ticks(isolate.cell(actor).index)), (5_000, true));
    assert!(timers.into_iter().all(|timer| isolate.cancel_timer(timer)));
    isolate.resume(actor);
    quiet(&mut isolate);
    assert_eq!(ticks(&isolate, actor), []);
    isolate.wind_up();
}

#[test]
fn the_idle_timeout_tells_of_no_less_than_it_was_when_nothing_came_for_months() {
    const MONTH: u32 = i32::MAX as u32;
    let mut isolate = isolate();
    let actor = spawn(&mut isolate, &Spawn::root());
    isolate.idle_timeout(actor, MONTH);
    for _ in 0..3 {
        isolate.advance(MONTH.into());
    }
    let idle = since(&isolate, 0, |what| matches!(what, What::Idle(_)));
    assert_eq!(idle, [MONTH, 2 * MONTH, u32::MAX].map(|ms| (actor, What::Idle(ms))));
    isolate.wind_up();
}

#[test]
fn the_idle_timeout_does_not_come_while_a_handler_runs() {
    let mut isolate = isolate();
    let actor = spawn(&mut isolate, &Spawn::root());
    isolate.idle_timeout(actor, 100);
    isolate.cast(actor, &Handler::pending());
    isolate.advance(450);
    isolate.settle(actor, Ending::Ok, 0);
    quiet(&mut isolate);
    assert_eq!(times_of(&isolate, actor, |what| matches!(what, What::Idle(_))), []);
    isolate.advance(100);
    assert_eq!(times_of(&isolate, actor, |what| matches!(what, What::Idle(_))), [500]);
    isolate.wind_up();
}
