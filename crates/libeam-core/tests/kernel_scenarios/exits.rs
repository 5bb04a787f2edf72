//! Ways out: stops, kills, patience, and long chains of descendants.

use super::*;

#[test]
fn children_stop_before_their_parent_oldest_first() {
    let mut isolate = isolate();
    let spec = |parent| Spawn { parent, ..Spawn::root().terminate(Handler::ok()) };
    let root = spawn(&mut isolate, &spec(None));
    let a = spawn(&mut isolate, &spec(Some(root)));
    let b = spawn(&mut isolate, &spec(Some(root)));
    let a1 = spawn(&mut isolate, &spec(Some(a)));
    let start = isolate.log.len();
    isolate.stop(root);
    quiet(&mut isolate);
    let order: Vec<Ref> = since(&isolate, start, |what| matches!(what, What::Terminate { .. }))
        .into_iter()
        .map(|(actor, _)| actor)
        .collect();
    assert_eq!(order, [a1, a, b, root]);
    assert_eq!(isolate.history(root).last(), Some(&What::Gone { kind: ReasonKind::Normal, children: 2 }));
    isolate.wind_up();
}

#[test]
fn a_child_that_leaves_by_itself_meanwhile_is_not_counted_twice() {
    let mut isolate = isolate();
    let root = spawn(&mut isolate, &Spawn::root());
    let slow = spawn(&mut isolate, &Spawn::child(root).terminate(Handler::pending()));
    let other = spawn(&mut isolate, &Spawn::child(root));
    isolate.stop(root);
    isolate.flush();
    isolate.exit(None, other, Signal::Kill);
    isolate.flush();
    isolate.settle(slow, Ending::Ok, 0);
    quiet(&mut isolate);
    let Some(What::Gone { children, .. }) = isolate.history(root).last().copied() else { unreachable!() };
    assert!(children <= 2, "{children} of two children were stopped");
    isolate.wind_up();
}

#[test]
fn a_kill_does_not_wait_for_the_handler() {
    let mut isolate = isolate();
    let actor = spawn(&mut isolate, &Spawn::root().terminate(Handler::ok()));
    let running = isolate.call(actor, &Handler::pending(), None, Sending::Queued);
    isolate.flush();
    let waiting = isolate.call(actor, &Handler::ok(), None, Sending::Queued);
    isolate.exit(None, actor, Signal::Kill);
    quiet(&mut isolate);
    assert_eq!(isolate.answer_of(running), Some(Answer::Abandoned));
    assert_eq!(isolate.answer_of(waiting), Some(Answer::Rejected(CAUSE_GONE)));
    let history = isolate.history(actor);
    let terminate = What::Terminate { incarnation: 0, restarting: false };
    let gone = What::Gone { kind: ReasonKind::Killed, children: 0 };
    assert_eq!(history[history.len() - 3..], [What::Abandoned, terminate, gone]);
    isolate.settle(actor, Ending::Ok, 0);
    quiet(&mut isolate);
    isolate.wind_up();
}

#[test]
fn a_kill_ends_the_wait_of_a_stop() {
    let mut isolate = isolate();
    let actor = spawn(&mut isolate, &Spawn::root());
    isolate.cast(actor, &Handler::pending());
    isolate.flush();
    isolate.stop(actor);
    quiet(&mut isolate);
    assert!(!isolate.cell(actor).dead);
    isolate.exit(None, actor, Signal::Kill);
    quiet(&mut isolate);
    assert_eq!(isolate.history(actor).last(), Some(&What::Gone { kind: ReasonKind::Killed, children: 0 }));
    isolate.wind_up();
}

#[test]
fn a_stop_waits_for_the_handler_but_not_for_ever() {
    let mut isolate = Isolate::new(KernelConfig { stop_timeout_ms: 300, ..KernelConfig::default() });
    let actor = spawn(&mut isolate, &Spawn::root().terminate(Handler::pending()));
    isolate.cast(actor, &Handler::pending());
    isolate.flush();
    isolate.stop(actor);
    isolate.advance(299);
    assert_eq!(isolate.log.last().map(|record| record.what), Some(What::Handled(0)));
    isolate.advance(1);
    let terminate = What::Terminate { incarnation: 0, restarting: false };
    assert_eq!(isolate.history(actor).last(), Some(&terminate));
    isolate.advance(299);
    assert!(!isolate.cell(actor).dead);
    isolate.advance(1);
    assert!(isolate.cell(actor).dead);
    isolate.wind_up();
}

#[test]
fn a_handler_that_ends_in_time_ends_the_wait() {
    let mut isolate = isolate();
    let actor = spawn(&mut isolate, &Spawn::root());
    let call = isolate.call(actor, &Handler::pending(), None, Sending::Inline);
    isolate.stop(actor);
    isolate.advance(1_000);
    isolate.settle(actor, Ending::Ok, 0);
    quiet(&mut isolate);
    assert_eq!(isolate.answer_of(call), Some(Answer::Ok));
    assert!(isolate.cell(actor).dead);
    assert_eq!(isolate.kernel.poll_timeout(), None, "the patience was taken back");
    isolate.wind_up();
}

#[test]
fn a_restart_that_gives_a_handler_up_forgets_its_message() {
    let mut isolate = Isolate::new(KernelConfig { stop_timeout_ms: 100, ..KernelConfig::default() });
    let actor = spawn(&mut isolate, &Spawn::root());
    isolate.cast(actor, &Handler::pending());
    isolate.flush();
    isolate.exit(None, actor, Signal::Reason);
    isolate.advance(100);
    assert_eq!(times_of(&isolate, actor, is_init), [0, 100]);
    check::everything(&mut isolate);
    assert!(isolate.is_idle(actor), "the abandoned message is still pending");
    isolate.wind_up();
}

#[test]
fn a_chain_of_a_hundred_thousand_stops_without_a_stack() {
    let mut isolate = isolate();
    let mut parent = spawn(&mut isolate, &Spawn::root());
    let root = parent;
    for _ in 0..100_000 {
        parent = spawn(&mut isolate, &Spawn::child(parent));
    }
    isolate.stop(root);
    isolate.flush();
    isolate.wind_up();
}

#[test]
fn a_chain_of_a_hundred_thousand_escalates_without_a_stack() {
    let mut isolate = isolate();
    let settings = Supervision { on_crash: OnCrash::Escalate, ..Supervision::default() };
    isolate.supervise(None, &Supervision { on_crash: OnCrash::Stop, ..Supervision::default() });
    let mut leaf = spawn(&mut isolate, &Spawn::root());
    for _ in 0..100_000 {
        isolate.supervise(Some(leaf), &settings);
        leaf = spawn(&mut isolate, &Spawn::child(leaf));
    }
    isolate.crash(leaf);
    isolate.flush();
    isolate.wind_up();
}

#[test]
fn a_signal_does_not_reach_the_next_user_of_an_index() {
    let mut isolate = isolate();
    let old = spawn(&mut isolate, &Spawn::root());
    isolate.exit(None, old, Signal::Reason);
    isolate.stop(old);
    let new = spawn(&mut isolate, &Spawn::root());
    quiet(&mut isolate);
    assert_eq!(decisions(&isolate, new), []);
    isolate.wind_up();
}

#[test]
fn an_actor_that_kills_itself_in_its_init_keeps_no_continue() {
    let mut isolate = isolate();
    let suicide = Handler::new(Ending::Continue).after(|isolate, me| isolate.exit(None, me, Signal::Kill));
    isolate.spawn(&Spawn::root().inits(&[suicide]));
    quiet(&mut isolate);
    isolate.wind_up();
}
