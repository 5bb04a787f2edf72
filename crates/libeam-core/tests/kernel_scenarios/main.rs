//! The kernel in directed situations, in virtual time: what happens, to whom, in what order, and when.

use libeam_core::actor_id::NIL;
use libeam_core::config::KernelConfig;
use libeam_core::reason::ReasonKind;
use libeam_core::ring::protocol::*;
use libeam_core::supervision::{Backoff, OnCrash, Strategy, Supervision};
use libeam_core::testing::{Answer, CallId, Ending, Handler, Isolate, Ref, Sending, Signal, Spawn, What, check};

mod calls;
mod exits;
mod links;
mod mailboxes;
mod restarts;
mod strategies;
mod timers;
mod turns;

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
