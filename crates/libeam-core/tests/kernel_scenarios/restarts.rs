//! Restarts of one actor: limits, delays, what waits for the next incarnation and what does not.

use super::*;

#[test]
fn failed_inits_wait_longer_each_time_and_then_give_up() {
    let mut isolate = isolate();
    let settings = Supervision { max_restarts: 4, period_ms: 60_000, ..Supervision::default() };
    isolate.supervise(None, &settings);
    let actor = spawn(&mut isolate, &Spawn::root().inits(&[Handler::ok(), Handler::crash()]));
    crash(&mut isolate, actor);
    isolate.advance(1_000);
    // At once after the crash of the handler, then 20, 40 and 80 ms after each failed init.
    assert_eq!(times_of(&isolate, actor, is_init), [0, 0, 20, 60, 140]);
    assert_eq!(decisions(&isolate, actor).last(), Some(&(DECISION_GIVE_UP, 5, 0)));
    assert_eq!(isolate.history(actor).last(), Some(&What::Gone { kind: ReasonKind::Killed, children: 0 }));
    isolate.wind_up();
}

#[test]
fn each_child_has_a_window_of_its_own() {
    let mut isolate = isolate();
    let parent = spawn(&mut isolate, &Spawn::root());
    isolate.supervise(Some(parent), &Supervision { max_restarts: 2, ..Supervision::default() });
    let (a, b) = (spawn(&mut isolate, &Spawn::child(parent)), spawn(&mut isolate, &Spawn::child(parent)));
    for actor in [a, b, a, b] {
        crash(&mut isolate, actor);
    }
    let allowed = [(DECISION_RESTART, 1, 0), (DECISION_RESTART, 2, 0)];
    assert_eq!((decisions(&isolate, a), decisions(&isolate, b)), (allowed.to_vec(), allowed.to_vec()));
    isolate.advance(4_999);
    crash(&mut isolate, a);
    assert_eq!(decisions(&isolate, a).last(), Some(&(DECISION_GIVE_UP, 3, 0)));
    isolate.advance(1);
    crash(&mut isolate, b);
    assert_eq!(decisions(&isolate, b).last(), Some(&(DECISION_RESTART, 1, 0)));
    isolate.wind_up();
}

#[test]
fn messages_wait_for_the_next_incarnation_stashed_ones_first() {
    let mut isolate = isolate();
    isolate.supervise(None, &Supervision { backoff: backoff(30), ..Supervision::default() });
    let actor = spawn(&mut isolate, &Spawn::root());
    isolate.cast(actor, &Handler::stash().label(1));
    isolate.cast(actor, &Handler::stash().label(2));
    isolate.cast(actor, &Handler::crash().label(3));
    isolate.cast(actor, &Handler::ok().label(4));
    isolate.flush();
    isolate.cast(actor, &Handler::ok().label(5));
    quiet(&mut isolate);
    assert_eq!(handled(&isolate, actor), [1, 2, 3]);
    isolate.advance(30);
    assert_eq!(handled(&isolate, actor), [1, 2, 3, 1, 2, 4, 5]);
    isolate.wind_up();
}

#[test]
fn a_restart_keeps_what_was_unstashed_before_what_is_stashed() {
    let mut isolate = isolate();
    isolate.supervise(None, &Supervision { backoff: backoff(30), ..Supervision::default() });
    let actor = spawn(&mut isolate, &Spawn::root());
    for label in 1..4 {
        isolate.cast(actor, &Handler::stash().label(label));
    }
    isolate.cast(actor, &Handler::pending().label(4));
    isolate.flush();
    assert_eq!(isolate.unstash(actor, 1), 1);
    isolate.settle(actor, Ending::Crash, 8);
    quiet(&mut isolate);
    isolate.advance(30);
    assert_eq!(handled(&isolate, actor), [1, 2, 3, 4, 1, 2, 3]);
    isolate.wind_up();
}

#[test]
fn a_stop_during_the_backoff_ends_the_actor_at_once() {
    let mut isolate = isolate();
    isolate.supervise(None, &Supervision { backoff: backoff(1_000), ..Supervision::default() });
    let watcher = spawn(&mut isolate, &Spawn::root());
    let actor = spawn(&mut isolate, &Spawn::root().terminate(Handler::ok()));
    isolate.watch(watcher, actor);
    crash(&mut isolate, actor);
    let call = isolate.call(actor, &Handler::ok(), None, Sending::Queued);
    isolate.advance(10);
    isolate.stop(actor);
    quiet(&mut isolate);
    assert_eq!(isolate.answer_of(call), Some(Answer::Rejected(CAUSE_GONE)));
    assert_eq!(isolate.history(watcher).last(), Some(&What::Down(actor, ReasonKind::Normal)));
    isolate.advance(2_000);
    assert_eq!(times_of(&isolate, actor, is_init), [0]);
    isolate.wind_up();
}

#[test]
fn children_that_were_spawned_during_the_backoff_stop_with_their_parent() {
    let mut isolate = isolate();
    isolate.supervise(None, &Supervision { backoff: backoff(1_000), ..Supervision::default() });
    let actor = spawn(&mut isolate, &Spawn::root());
    crash(&mut isolate, actor);
    let child = isolate.spawn(&Spawn::child(actor));
    isolate.stop(actor);
    quiet(&mut isolate);
    if let Some(child) = child {
        assert!(isolate.cell(child).dead, "the child outlives its parent");
    }
    isolate.wind_up();
}

#[test]
fn a_stop_hardens_a_restart_that_waits_for_its_handler() {
    let mut isolate = isolate();
    let (a, b) = (spawn(&mut isolate, &Spawn::root()), spawn(&mut isolate, &Spawn::root()));
    isolate.link(a, b);
    isolate.cast(a, &Handler::pending());
    isolate.flush();
    crash(&mut isolate, b);
    assert_eq!(decisions(&isolate, a), [(DECISION_RESTART, 1, 0)]);
    isolate.stop(a);
    isolate.settle(a, Ending::Ok, 0);
    quiet(&mut isolate);
    assert!(isolate.cell(a).dead);
    assert_eq!(times_of(&isolate, a, is_init), [0]);
    isolate.wind_up();
}

#[test]
fn the_delay_begins_when_the_handler_has_ended_however_long_the_kernel_was_not_entered() {
    let mut isolate = isolate();
    isolate.supervise(None, &Supervision { backoff: backoff(40), ..Supervision::default() });
    let (a, b) = (spawn(&mut isolate, &Spawn::root()), spawn(&mut isolate, &Spawn::root()));
    isolate.link(a, b);
    isolate.cast(a, &Handler::pending());
    isolate.flush();
    crash(&mut isolate, b);
    isolate.advance(100);
    isolate.sleep(1_000);
    isolate.settle(a, Ending::Ok, 0);
    isolate.advance(100);
    assert_eq!(times_of(&isolate, a, is_init), [0, 1_140]);
    isolate.wind_up();
}

#[test]
fn escalation_crashes_the_parent_with_the_same_reason() {
    let mut isolate = isolate();
    let parent = spawn(&mut isolate, &Spawn::root().terminate(Handler::ok()));
    isolate.supervise(Some(parent), &Supervision { on_crash: OnCrash::Escalate, ..Supervision::default() });
    let child = spawn(&mut isolate, &Spawn::child(parent));
    crash(&mut isolate, child);
    assert_eq!(isolate.history(child).last(), Some(&What::Gone { kind: ReasonKind::Error, children: 0 }));
    assert_eq!(times_of(&isolate, parent, is_init), [0, 0]);
    quiet(&mut isolate);
    isolate.wind_up();
}

#[test]
fn an_init_that_fails_during_a_stop_is_not_terminated() {
    let mut isolate = isolate();
    let spec = Spawn::root().inits(&[Handler::pending()]).terminate(Handler::ok());
    let actor = spawn(&mut isolate, &spec);
    isolate.stop(actor);
    isolate.flush();
    isolate.settle(actor, Ending::Crash, 0);
    quiet(&mut isolate);
    assert!(isolate.cell(actor).dead);
    isolate.wind_up();
}

#[test]
fn nothing_of_the_last_incarnation_reaches_the_next() {
    let mut isolate = isolate();
    let actor = spawn(&mut isolate, &Spawn::root());
    isolate.start_timer(actor, &Handler::ok().label(7), 10, true);
    isolate.trap_exit(actor, true);
    isolate.sleep(10);
    isolate.cast(actor, &Handler::crash());
    isolate.exit(None, actor, Signal::Reason);
    isolate.flush();
    quiet(&mut isolate);
    let exits = isolate.history(actor).into_iter().filter(|what| matches!(what, What::Exit(..))).count();
    assert_eq!(exits, 0, "the signal was for the incarnation that trapped exits");
    assert!(isolate.is_idle(actor), "nothing is left to handle");
    isolate.wind_up();
}

#[test]
fn an_incarnation_that_is_given_up_before_it_begins_is_not_started() {
    let mut isolate = Isolate::new(KernelConfig { stop_timeout_ms: 20, ..KernelConfig::default() });
    let parent = spawn(&mut isolate, &Spawn::root());
    let [a, b] = [(); 2].map(|()| spawn(&mut isolate, &Spawn::child(parent)));
    isolate.crash(a);
    isolate.supervise(Some(parent), &supervised(Strategy::OneForAll));
    isolate.crash(b);
    isolate.sleep(20); // The patience with an `init` that the isolate has not been asked for yet.
    quiet(&mut isolate);
    let inits: Vec<What> = isolate.history(a).into_iter().filter(is_init).collect();
    let [first, last] = [(0, 0), (2, 1)].map(|(incarnation, attempt)| What::Init { incarnation, attempt });
    assert_eq!(inits, [first, last]);
    isolate.wind_up();
}

#[test]
fn a_restart_without_a_crash_is_not_counted_and_leaves_the_siblings_alone() {
    let mut isolate = isolate();
    let (parent, children) = family(&mut isolate, Strategy::OneForAll, 2);
    isolate.supervise(Some(parent), &Supervision { max_restarts: 0, ..supervised(Strategy::OneForAll) });
    let linked = spawn(&mut isolate, &Spawn::root());
    isolate.link(linked, children[0]);
    let start = isolate.log.len();
    for _ in 0..3 {
        assert!(isolate.restart(children[0]) && isolate.restart(children[0]), "the second one is the same");
        quiet(&mut isolate);
    }
    let (child, life) = (children[0], ['t', 'i', 't', 'i', 't', 'i']);
    assert_eq!(starts_and_ends(&isolate, start), life.map(|what| (child, what)));
    crash(&mut isolate, child);
    assert_eq!(decisions(&isolate, child), [(DECISION_GIVE_UP, 1, 0)]);
    assert!(!isolate.restart(child));
    isolate.wind_up();
}

#[test]
fn a_restart_ends_the_backoff_and_waits_for_a_handler() {
    let mut isolate = isolate();
    isolate.supervise(None, &Supervision { backoff: backoff(1_000), ..Supervision::default() });
    let actor = spawn(&mut isolate, &Spawn::root());
    crash(&mut isolate, actor);
    isolate.advance(10);
    assert!(isolate.restart(actor));
    isolate.cast(actor, &Handler::pending().label(1));
    isolate.cast(actor, &Handler::ok().label(2));
    quiet(&mut isolate);
    isolate.advance(90);
    assert!(isolate.restart(actor));
    isolate.advance(100);
    assert_eq!(times_of(&isolate, actor, is_init), [0, 10]);
    isolate.settle(actor, Ending::Ok, 8);
    quiet(&mut isolate);
    assert_eq!((times_of(&isolate, actor, is_init), handled(&isolate, actor)), (vec![0, 10, 200], vec![0, 1, 2]));
    isolate.wind_up();
}

#[test]
fn a_first_init_that_fails_leaves_nothing_though_a_restart_was_asked_for() {
    let mut isolate = isolate();
    isolate.spawn(&Spawn::root().inits(&[Handler::crash().after(|isolate, actor| {
        isolate.restart(actor);
    })]));
    quiet(&mut isolate);
    isolate.wind_up();
}

#[test]
fn a_restart_leaves_the_delay_of_siblings_alone_that_start_together() {
    let mut isolate = isolate();
    let (parent, children) = family(&mut isolate, Strategy::RestForOne, 3);
    let delayed = Supervision { backoff: backoff(1_000), ..supervised(Strategy::RestForOne) };
    isolate.supervise(Some(parent), &delayed);
    crash(&mut isolate, children[1]);
    isolate.advance(10);
    for &child in &children {
        assert!(isolate.restart(child));
    }
    isolate.advance(2_000);
    let starts: Vec<_> = children.iter().map(|&child| times_of(&isolate, child, is_init)).collect();
    assert_eq!(starts, [vec![0, 10], vec![0, 1_000], vec![0, 1_000]]);
    isolate.wind_up();
}

#[test]
fn a_restart_of_siblings_that_are_being_restarted_together_ends_with_all_of_them_up() {
    for at in 0..3 {
        let mut isolate = isolate();
        let parent = spawn(&mut isolate, &Spawn::root());
        isolate.supervise(Some(parent), &supervised(Strategy::OneForAll));
        let spec = Spawn::child(parent).terminate(Handler::pending()).inits(&[Handler::ok(), Handler::pending()]);
        let children: Vec<_> = (0..3).map(|_| spawn(&mut isolate, &spec)).collect();
        crash(&mut isolate, children[0]);
        for step in 0..36 {
            if step < 9 {
                isolate.restart(children[at]);
            }
            quiet(&mut isolate);
            isolate.settle(children[step % 3], Ending::Ok, 0);
            quiet(&mut isolate);
        }
        assert!(children.iter().all(|&child| isolate.is_idle(child)), "restarting {at}");
        isolate.wind_up();
    }
}
