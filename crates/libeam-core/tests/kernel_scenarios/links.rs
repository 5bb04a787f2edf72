//! Links, watches and exit signals.

use super::*;

#[test]
fn an_abnormal_end_takes_the_other_side_down_and_a_normal_one_does_not() {
    let mut isolate = isolate();
    let [a, b, c] = [(); 3].map(|()| spawn(&mut isolate, &Spawn::root()));
    isolate.link(a, b);
    isolate.link(b, c);
    isolate.stop(c);
    quiet(&mut isolate);
    assert_eq!(decisions(&isolate, b), []);
    crash(&mut isolate, a);
    assert_eq!(decisions(&isolate, b), [(DECISION_RESTART, 1, 0)]);
    crash(&mut isolate, a);
    assert_eq!(decisions(&isolate, b).len(), 1, "the link ended with the first crash");
    quiet(&mut isolate);
    isolate.wind_up();
}

#[test]
fn an_actor_that_traps_exits_gets_a_message_for_every_end() {
    let mut isolate = isolate();
    let [trap, a, b] = [(); 3].map(|()| spawn(&mut isolate, &Spawn::root()));
    isolate.trap_exit(trap, true);
    isolate.link(trap, a);
    isolate.link(b, trap);
    isolate.stop(a);
    crash(&mut isolate, b);
    quiet(&mut isolate);
    let expected = [What::Exit(Some(a), ReasonKind::Normal), What::Exit(Some(b), ReasonKind::Error)];
    assert_eq!(isolate.history(trap)[1..], expected);
    isolate.wind_up();
}

#[test]
fn a_watch_sees_the_end_and_not_the_restarts() {
    let mut isolate = isolate();
    let [watcher, actor] = [(); 2].map(|()| spawn(&mut isolate, &Spawn::root()));
    isolate.watch(watcher, actor);
    for _ in 0..4 {
        crash(&mut isolate, actor);
    }
    quiet(&mut isolate);
    assert_eq!(isolate.history(watcher)[1..], [What::Down(actor, ReasonKind::Killed)]);
    isolate.watch(watcher, actor);
    quiet(&mut isolate);
    assert_eq!(isolate.history(watcher)[2..], [What::Down(actor, ReasonKind::Normal)]);
    isolate.wind_up();
}

#[test]
fn nothing_comes_after_an_unwatch_even_if_it_was_under_way() {
    let mut isolate = isolate();
    let [watcher, actor] = [(); 2].map(|()| spawn(&mut isolate, &Spawn::root()));
    isolate.pause(watcher);
    let watch = isolate.watch(watcher, actor).unwrap();
    isolate.exit(None, actor, Signal::Kill);
    isolate.flush();
    isolate.unwatch(watch);
    isolate.resume(watcher);
    quiet(&mut isolate);
    assert_eq!(isolate.history(watcher).len(), 1);
    assert!(isolate.is_idle(watcher));
    isolate.wind_up();
}

#[test]
fn an_actor_that_is_about_to_start_again_makes_no_relations_until_it_does() {
    let mut isolate = isolate();
    let [actor, other] = [(); 2].map(|()| spawn(&mut isolate, &Spawn::root()));
    isolate.crash(actor);
    // The core waits for the isolate to begin the next incarnation.
    assert_eq!(isolate.link(actor, other), None);
    assert_eq!(isolate.link(other, actor), None);
    assert_eq!(isolate.watch(actor, other), None);
    assert_eq!(isolate.start_timer(actor, &Handler::ok(), 10, false), None);
    assert_eq!(isolate.spawn(&Spawn::child(actor)), None);
    let watch = isolate.watch(other, actor);
    assert!(watch.is_some(), "a watch is bound to the logical actor");
    isolate.trap_exit(actor, true);
    quiet(&mut isolate);
    assert!(isolate.link(actor, other).is_some(), "the next incarnation has begun");
    crash(&mut isolate, other);
    let taken_down = [(DECISION_RESTART, 1, 0), (DECISION_RESTART, 2, 0)];
    assert_eq!(decisions(&isolate, actor), taken_down, "nobody asked the next incarnation to trap exits");
    quiet(&mut isolate);
    isolate.wind_up();
}

#[test]
fn a_link_to_an_actor_whose_child_takes_long_to_end_breaks_once() {
    let mut isolate = Isolate::new(KernelConfig { stop_timeout_ms: 20, ..KernelConfig::default() });
    let [parent, trap] = [(); 2].map(|()| spawn(&mut isolate, &Spawn::root()));
    isolate.trap_exit(trap, true);
    spawn(&mut isolate, &Spawn::child(parent).terminate(Handler::pending()));
    isolate.crash(parent);
    assert!(isolate.link(parent, trap).is_some(), "the incarnation still ends");
    isolate.advance(20);
    quiet(&mut isolate);
    crash(&mut isolate, parent);
    assert_eq!(isolate.history(trap)[1..], [What::Exit(Some(parent), ReasonKind::Error)]);
    isolate.wind_up();
}
