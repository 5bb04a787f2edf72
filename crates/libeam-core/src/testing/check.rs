//! What has to be true between any two operations.
//!
//! * The table: parents and children agree, nobody is its own ancestor, siblings are linked both ways,
//!   every name belongs to exactly one actor, and the kernel's counters count what is in the table.
//! * Messages: the number that bounds a mailbox is the number of messages in it, and the pending word
//!   counts those, the signals behind them, what is submitted and what is being handled.
//! * When the isolate is quiet: nobody who may run has anything to do (no lost wake-up), whoever waits
//!   waits for something that will come, every watch and link has two living ends, and the isolate knows
//!   every watch and link of the core's: news of one that it has forgotten would be lost.
//! * At the end: nothing is left of anything.

use super::cell::Ref;
use super::slots::Value;
use super::{Cell, Isolate};
use crate::actor_id::{ActorIndex, NIL};
use crate::kernel::{BLOCKED, COUNTERS};
use crate::ring::protocol::*;
use crate::table::{Phase, Plan, Table};
use std::collections::HashSet;

/// Checks everything that can be checked now.
///
/// # Panics
/// When something is not as it has to be.
pub fn everything(isolate: &mut Isolate) {
    tree(isolate.kernel.table());
    counted(isolate);
    names(isolate);
    messages(isolate);
    handlers(isolate);
    if isolate.is_quiet() {
        waits(isolate);
        relations(isolate);
        remembered(isolate);
        calls(isolate);
    }
}

fn counter(isolate: &Isolate, name: &str) -> u32 {
    let at = COUNTERS.iter().position(|&other| other == name).expect("a counter of that name");
    isolate.kernel.counters()[at]
}

/// Parents, children and siblings.
fn tree(table: &Table) {
    let mut listed = HashSet::new();
    for parent in table.iter() {
        let mut last = NIL;
        for child in table.children(parent) {
            assert!(table.exists(child), "child {child} of {parent} does not exist");
            assert!(listed.insert(child), "child {child} is listed twice");
            let record = table.get(child);
            assert_eq!(record.parent, parent, "child {child} knows another parent");
            assert_eq!(record.prev_sibling, last, "child {child} knows another older sibling");
            last = child;
        }
        assert_eq!(table.get(parent).last_child, last, "the youngest child of {parent} is another");
    }
    for actor in table.iter() {
        let parent = table.get(actor).parent;
        assert_eq!(parent != NIL, listed.contains(&actor), "{actor} is not among the children of {parent}");
        let (mut ancestor, mut steps) = (parent, 0);
        while ancestor != NIL {
            assert!(steps <= table.len(), "{actor} is its own ancestor");
            ancestor = table.get(ancestor).parent;
            steps += 1;
        }
    }
}

/// Timers and memberships against the kernel's counters.
fn counted(isolate: &Isolate) {
    let table = isolate.kernel.table();
    let (mut alarms, mut memberships) = (0, 0);
    for cold in table.iter().filter_map(|actor| table.get(actor).cold.as_deref()) {
        let plan = cold.plan.as_ref().is_some_and(|plan| plan.timer != NIL);
        let exit = cold.exit.is_some_and(|exit| exit.deadline != NIL);
        alarms += cold.timers_len + u32::from(plan) + u32::from(exit);
        alarms += u32::from(cold.idle_timer.is_some()) + u32::from(cold.restart_timer.is_some());
        memberships += cold.groups.len() as u32;
    }
    assert_eq!(counter(isolate, "alarms"), alarms, "alarms that belong to nobody");
    assert_eq!(counter(isolate, "memberships"), memberships, "memberships that belong to nobody");
}

fn names(isolate: &mut Isolate) {
    let table = isolate.kernel.table();
    let owned: Vec<(ActorIndex, Box<str>)> =
        table.iter().filter_map(|actor| Some((actor, table.get(actor).cold.as_deref()?.name.clone()?))).collect();
    assert_eq!(counter(isolate, "names") as usize, owned.len(), "names that belong to nobody");
    for (actor, name) in owned {
        let owner = isolate.peek(OP_WHEREIS, &[], Some(&name))[0];
        assert_eq!(owner, actor, "the name {name} belongs to two actors");
    }
}

/// Bounds and pending words.
fn messages(isolate: &mut Isolate) {
    let mut submitted = vec![0; isolate.kernel.table().len()];
    for (actor, word, _) in isolate.submitted() {
        if matches!(kind_of(word), SUBMIT_CAST | SUBMIT_CALL | SUBMIT_CALL_TIMED | SUBMIT_UNREAD) {
            submitted[actor as usize] += 1;
        }
    }
    let mut signals = 0;
    for actor in isolate.living() {
        let index = isolate.cell(actor).index;
        if !isolate.kernel.table().exists(index) {
            continue;
        }
        isolate.peek(OP_PENDING, &[index, 0], None);
        let waiting = isolate.kernel.listing().len() as u32;
        let queued = isolate.kernel.table().get(index).queued;
        assert_eq!(queued, waiting, "{actor:?} counts {queued} messages in a mailbox of {waiting}");
        assert!(isolate.kernel.knows_put_back(index), "what {actor:?} has put back last is not in its mailbox");
        assert!(isolate.kernel.knows_ticks(index), "a tick of {actor:?} is not where its timer says");
        if isolate.flags(actor) & FLAG_STOPPING != 0 {
            continue;
        }
        let cell = isolate.cell(actor);
        let held = (cell.prefetched.len() + cell.lane.len()) as u32 + u32::from(isolate.is_running(actor));
        let known = waiting + submitted[index as usize] + held;
        let pending = isolate.pending(actor);
        assert!(pending >= known, "the pending word of {actor:?} is {pending}, but {known} messages are under way");
        signals += pending - known;
    }
    let stored = counter(isolate, "signals");
    assert!(signals <= stored, "pending words count {signals} signals, but there are {stored}");
}

/// Flags, phases and what the isolate has running.
fn handlers(isolate: &Isolate) {
    for actor in isolate.living() {
        let flags = isolate.flags(actor);
        let cell = isolate.cell(actor);
        let running = flags & FLAG_RUNNING != 0;
        assert!(!running || cell.running.is_some(), "{actor:?} is busy with nothing");
        match isolate.kernel.table().get(cell.index).phase {
            Phase::Down => assert!(flags & FLAG_RESTARTING != 0, "{actor:?} is down without a flag"),
            Phase::Limbo => assert!(flags & FLAG_DEAD != 0, "{actor:?} has ended without a flag"),
            Phase::Alive => assert!(flags & FLAG_STOPPING == 0, "{actor:?} is alive with the flag of a stop"),
            Phase::Free => panic!("{actor:?} was never told that it is gone"),
            _ => assert!(flags & FLAG_EXITING != 0, "{actor:?} leaves without a flag"),
        }
    }
}

/// Whoever waits, waits for something that will come.
fn waits(isolate: &mut Isolate) {
    for actor in isolate.living() {
        let flags = isolate.flags(actor);
        let cell = isolate.cell(actor);
        let phase = isolate.kernel.table().get(cell.index).phase;
        if flags & BLOCKED == 0 {
            let pending = isolate.pending(actor);
            assert_eq!(pending, 0, "{actor:?} may run and has {pending} messages, but nobody wakes it");
        }
        assert!(flags & FLAG_STARTING == 0 || cell.starting, "{actor:?} waits for an init that nobody runs");
        assert!(flags & FLAG_RUNNING != 0 || cell.running.is_none(), "the handler of {actor:?} is not waited for");
        match phase {
            Phase::AwaitHandler => assert!(cell.starting || cell.running.is_some(), "{actor:?} awaits no handler"),
            Phase::StopChildren => assert!(has_children(isolate, cell), "{actor:?} stops children that it has not"),
            Phase::Terminating => assert!(cell.terminating.is_some(), "{actor:?} awaits no terminate"),
            Phase::Limbo => panic!("{actor:?} has ended, but nobody says so"),
            Phase::Down => assert!(will_restart(isolate.kernel.table(), cell.index), "{actor:?} is never restarted"),
            Phase::Alive if flags & FLAG_EXITING != 0 => {
                let table = isolate.kernel.table();
                let comes = is_planned(table, cell.index) || parent_leaves(table, cell.index);
                assert!(comes, "{actor:?} leaves, but nothing comes of it");
            }
            Phase::Alive | Phase::Free => {}
        }
        if let Some(plan) = plan_of(isolate.kernel.table(), cell.index) {
            let moves = flags & (FLAG_EXITING | FLAG_STOPPING) != 0 || plan_moves(isolate.kernel.table(), plan);
            assert!(moves, "the plan of {actor:?} is stuck: {plan:?}");
        }
    }
}

fn has_children(isolate: &Isolate, cell: &Cell) -> bool {
    isolate.kernel.table().get(cell.index).first_child != NIL
}

fn plan_of(table: &Table, parent: ActorIndex) -> Option<&Plan> {
    if parent == NIL { None } else { table.get(parent).cold.as_ref()?.plan.as_deref() }
}

fn is_planned(table: &Table, actor: ActorIndex) -> bool {
    plan_of(table, table.get(actor).parent).is_some_and(|plan| plan.members.contains(&actor))
}

fn will_restart(table: &Table, actor: ActorIndex) -> bool {
    let timer = table.get(actor).cold.as_ref().is_some_and(|cold| cold.restart_timer.is_some());
    timer || is_planned(table, actor) || parent_leaves(table, actor)
}

/// Whether the parent stops its children one after another, and will come to this one.
fn parent_leaves(table: &Table, actor: ActorIndex) -> bool {
    let parent = table.get(actor).parent;
    parent != NIL && table.flags(parent) & (FLAG_EXITING | FLAG_STOPPING) != 0
}

fn plan_moves(table: &Table, plan: &Plan) -> bool {
    if plan.timer != NIL {
        return true;
    }
    let (stopping, at) = match plan.stopped_from {
        0 => (false, plan.started_to),
        from => (true, from - 1),
    };
    let Some(&member) = plan.members.get(at) else { return false };
    if !table.exists(member) {
        return false;
    }
    let leaves = matches!(table.get(member).phase, Phase::AwaitHandler | Phase::StopChildren | Phase::Terminating);
    leaves || (!stopping && table.flags(member) & FLAG_STARTING != 0)
}

/// Every watch and link that has caused no message yet has two living ends.
fn relations(isolate: &Isolate) {
    for actor in isolate.living() {
        if isolate.flags(actor) & BLOCKED != 0 {
            continue; // The news waits in its mailbox.
        }
        let cell = isolate.cell(actor);
        for noted in cell.watches.values() {
            assert!(!isolate.is_gone(noted.other), "{actor:?} is not told that {:?} is gone", noted.other);
        }
        for (key, noted) in &cell.links {
            let other = isolate.cell(noted.other);
            assert!(!isolate.is_gone(noted.other), "{actor:?} is still linked to {:?}, which is gone", noted.other);
            let blocked = isolate.flags(noted.other) & BLOCKED != 0;
            let leaves = isolate.buried(noted.other).is_some();
            assert!(
                blocked || leaves || other.links.contains_key(key),
                "{:?} forgot its link to {actor:?}",
                noted.other
            );
        }
    }
}

/// The isolate has forgotten no watch and no link that the kernel has.
fn remembered(isolate: &Isolate) {
    let (mut watches, mut ends) = (0, 0);
    for actor in isolate.living() {
        let cell = isolate.cell(actor);
        watches += cell.watches.len() as u32;
        for (key, noted) in &cell.links {
            ends += u32::from(isolate.cell(noted.other).links.contains_key(key));
            ends += 2 * u32::from(isolate.buried(noted.other).is_some_and(|left| left.links.contains_key(key)));
        }
    }
    for (_, left) in isolate.buried.values() {
        watches += left.watches as u32;
        let buried = left.links.values().filter(|noted| isolate.buried(noted.other).is_some());
        ends += buried.count() as u32;
    }
    let (monitors, links) = (counter(isolate, "monitors"), counter(isolate, "links"));
    assert!(monitors <= watches, "there are {monitors} watches, but only {watches} are known to their watchers");
    assert!(links <= ends / 2, "there are {links} links, but only {} are known on both sides", ends / 2);
}

/// The kernel knows the calls that the isolate has, and bounds the time of no others.
fn calls(isolate: &Isolate) {
    let open = isolate.slots.iter().filter(|(_, value)| matches!(value, Value::Call(..)));
    assert_eq!(counter(isolate, "calls") as usize, open.count(), "the kernel counts other calls");
    assert!(counter(isolate, "deadlines") <= counter(isolate, "calls"), "deadlines of calls that are over");
}

/// Checks that nothing is left after everything was stopped.
///
/// # Panics
/// When something is.
pub fn nothing_left(isolate: &Isolate) {
    let living: Vec<Ref> = isolate.living();
    assert!(living.is_empty(), "{living:?} outlive the end");
    for (name, count) in COUNTERS.iter().zip(isolate.kernel.counters()) {
        assert_eq!(count, 0, "{count} {name} are left");
    }
    let slots: Vec<_> = isolate.slots.iter().collect();
    assert!(slots.is_empty(), "slots are left: {slots:?}");
    for (at, call) in isolate.calls.iter().enumerate() {
        assert!(call.answer.is_some(), "call {at} to {:?} was never answered", call.actor);
        assert!(call.slot.is_none(), "call {at} still has a slot");
    }
    assert_eq!(isolate.kernel.poll_timeout(), None, "an empty kernel waits for something");
}
