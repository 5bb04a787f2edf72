//! The kernel in directed situations, in virtual time: what happens, to whom, in what order, and when.

use libeam_core::actor_id::NIL;
use libeam_core::config::KernelConfig;
use libeam_core::reason::ReasonKind;
use libeam_core::ring::protocol::*;
use libeam_core::supervision::{Backoff, OnCrash, Strategy, Supervision};
use libeam_core::testing::{Answer, Ending, Handler, Isolate, Ref, Sending, Signal, Spawn, What, check};

fn isolate() -> Isolate {
    Isolate::new(KernelConfig::default())
}

fn supervised(strategy: Strategy) -> Supervision {
    Supervision { strategy, max_restarts: 10, ..Supervision::default() }
}

fn backoff(initial_ms: u32) -> Option<Backoff> {
    Some(Backoff { initial_ms, max_ms: 60_000, multiplier: 2.0, jitter: 0.0 })
}

fn spawn(isolate: &mut Isolate, spec: &Spawn) -> Ref {
    isolate.spawn(spec).expect("a spawn that is not refused")
}

/// A parent with that many children that all have a `terminate`.
fn family(isolate: &mut Isolate, strategy: Strategy, children: usize) -> (Ref, Vec<Ref>) {
    let parent = spawn(isolate, &Spawn::root());
    isolate.supervise(Some(parent), &supervised(strategy));
    let spec = Spawn::child(parent).terminate(Handler::ok());
    let children = (0..children).map(|_| spawn(isolate, &spec)).collect();
    (parent, children)
}

/// What happened since, as pairs of actor and event, restricted to what `wanted` lets through.
fn since(isolate: &Isolate, start: usize, wanted: impl Fn(&What) -> bool) -> Vec<(Ref, What)> {
    let records = isolate.log[start..].iter().filter(|record| wanted(&record.what));
    records.map(|record| (record.actor, record.what)).collect()
}

fn is_life(what: &What) -> bool {
    matches!(what, What::Init { .. } | What::Terminate { .. } | What::Gone { .. })
}

fn starts_and_ends(isolate: &Isolate, start: usize) -> Vec<(Ref, char)> {
    let letter = |what: &What| match what {
        What::Init { .. } => 'i',
        What::Terminate { .. } => 't',
        _ => 'g',
    };
    since(isolate, start, is_life).iter().map(|(actor, what)| (*actor, letter(what))).collect()
}

fn times_of(isolate: &Isolate, actor: Ref, wanted: impl Fn(&What) -> bool) -> Vec<u64> {
    let records = isolate.log.iter().filter(|record| record.actor == actor && wanted(&record.what));
    records.map(|record| record.at_us / 1_000).collect()
}

fn is_init(what: &What) -> bool {
    matches!(what, What::Init { .. })
}

fn handled(isolate: &Isolate, actor: Ref) -> Vec<u32> {
    let labels = isolate.history(actor).into_iter().filter_map(|what| match what {
        What::Handled(label) => Some(label),
        _ => None,
    });
    labels.collect()
}

fn crash(isolate: &mut Isolate, actor: Ref) {
    isolate.cast(actor, &Handler::crash());
    isolate.flush();
}

fn decisions(isolate: &Isolate, actor: Ref) -> Vec<(u32, u32, u32)> {
    let crashes = isolate.history(actor).into_iter().filter_map(|what| match what {
        What::Crashed { decision, attempt, delay_ms } => Some((decision, attempt, delay_ms)),
        _ => None,
    });
    crashes.collect()
}

fn quiet(isolate: &mut Isolate) {
    isolate.flush();
    check::everything(isolate);
}

mod strategies {
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
}

mod restarts {
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
}

mod exits {
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
}

mod calls {
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
}

mod mailboxes {
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
}

mod timers {
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
        isolate.cast(actor, &Handler::pending().after(move |isolate, _| drop(isolate.cancel_timer(timer))));
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
        isolate.cast(actor, &Handler::pending().after(move |isolate, _| drop(isolate.cancel_timer(timer))));
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
}

mod links {
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
}
