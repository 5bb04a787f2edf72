//! Birth and death of actors on the isolate's side.

use super::cell::{Answer, Buried, Cell, Ref, What};
use super::slots::Value;
use super::{Ending, Handler, Isolate, Spawn};
use crate::actor_id::NIL;
use crate::reason::ReasonKind;
use crate::ring::protocol::*;
use crate::supervision::{OnCrash, Strategy, Supervision};

/// An exit signal that the program sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Stops only the actor that sends it to itself; for others the core is asked.
    Normal,
    /// Cannot be trapped.
    Kill,
    /// With a reason of the sender's own.
    Reason,
}

/// What failed, as the fourth argument of `OP_CRASH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
enum Origin {
    Running = 0,
    Init = 1,
}

impl Isolate {
    /// Makes an actor and runs the synchronous part of its `init`. `None` when the core refuses, or
    /// when that part throws.
    pub fn spawn(&mut self, spec: &Spawn) -> Option<Ref> {
        let parent = match spec.parent {
            Some(parent) if self.cell(parent).dead => return None,
            Some(parent) => self.cell(parent).index,
            None => NIL,
        };
        let args = [parent, spec.capacity, spec.policy, 0];
        let [status, index, generation, ..] = self.control(OP_SPAWN, &args, spec.name.as_deref());
        if status != STATUS_OK {
            return None;
        }
        let actor = Ref(self.cells.len());
        self.cells.push(Cell::new(index, generation, spec.clone()));
        let at = index as usize;
        self.by_index.resize(self.by_index.len().max(at + 1), None);
        let old = self.by_index[at].replace(actor);
        assert!(old.is_none(), "index {index} of {actor:?} still belongs to {old:?}");
        if let Some(parent) = spec.parent {
            self.cell_mut(parent).children += 1;
        }
        self.first_init(actor)
    }

    fn first_init(&mut self, actor: Ref) -> Option<Ref> {
        let index = self.cell(actor).index;
        match self.run_init(actor, 0) {
            Ending::Crash => {
                self.control(OP_SPAWN_FAILED, &[index], None);
                self.bury(actor);
                return None;
            }
            Ending::Pending => {
                self.cell_mut(actor).starting = true;
                return Some(actor);
            }
            Ending::Continue => {
                let slot = self.slots.alloc(Value::Continue(self.cell(actor).spec.continues.clone()));
                self.control(OP_CONTINUE, &[index, slot], None);
            }
            Ending::Ok | Ending::Stash => {}
        }
        self.cell_mut(actor).born = self.flags(actor) & FLAG_STARTING != 0;
        self.set_flags(actor, self.flags(actor) & !FLAG_STARTING);
        if (self.flags(actor) & !FLAG_OBSERVED) | self.pending(actor) != 0 {
            self.push(index, SUBMIT_WAKE, 0);
        }
        Some(actor)
    }

    /// Nobody has seen the actor: it leaves now, whatever the core still has to clear up.
    fn bury(&mut self, actor: Ref) {
        self.discard_drained(actor);
        let cell = self.cell_mut(actor);
        cell.dead = true;
        cell.timers.clear();
        let buried =
            Buried { watches: std::mem::take(&mut cell.watches).len(), links: std::mem::take(&mut cell.links) };
        let (index, parent) = (cell.index, cell.spec.parent);
        self.by_index[index as usize] = None;
        self.buried.insert(index, (actor, buried));
        if let Some(parent) = parent {
            self.cell_mut(parent).children -= 1;
        }
    }

    fn run_init(&mut self, actor: Ref, attempt: u32) -> Ending {
        let Cell { incarnation, ref spec, .. } = *self.cell(actor);
        let handler = spec.inits[spec.inits.len().min(incarnation as usize + 1) - 1].clone();
        self.note(actor, What::Init { incarnation, attempt });
        let ending = self.run(actor, &handler);
        if ending != Ending::Crash && self.cell(actor).spec.terminate.is_some() {
            self.act(actor, OP_TRAITS, &[TRAIT_TERMINATE]);
        }
        ending
    }

    /// The core wants the next incarnation.
    pub(super) fn reinit(&mut self, actor: Ref, incarnation: u32, attempt: u32) {
        let flags = self.flags(actor);
        if flags & FLAG_STARTING == 0 {
            return;
        }
        self.reincarnate(actor, incarnation);
        if flags & FLAG_STOPPING != 0 {
            self.act(actor, OP_SPAWN_FAILED, &[]);
            return;
        }
        match self.run_init(actor, attempt) {
            Ending::Crash => self.crash_with(actor, Origin::Init),
            Ending::Pending => self.cell_mut(actor).starting = true,
            ending => self.init_settled(actor, ending),
        }
    }

    fn reincarnate(&mut self, actor: Ref, incarnation: u32) {
        self.assert_incarnation_over(actor);
        let cell = self.cell_mut(actor);
        assert!(cell.running.is_none(), "{actor:?} starts again while a handler of its runs");
        assert!(incarnation > cell.incarnation, "{actor:?} starts incarnation {incarnation} out of order");
        cell.incarnation = incarnation;
        cell.starting = false;
        let late = cell.terminating.take();
        cell.late_terminates.extend(late);
        cell.born = false;
        cell.terminated = false;
        cell.watches.clear();
        cell.links.clear();
        cell.timers.clear();
        self.set_flags(actor, self.flags(actor) & !FLAG_RESTARTING);
    }

    fn assert_incarnation_over(&self, actor: Ref) {
        let Cell { born, terminated, ref spec, incarnation, .. } = *self.cell(actor);
        let due = born && spec.terminate.is_some();
        assert!(!due || terminated, "{actor:?} ended incarnation {incarnation} without its terminate");
    }

    /// An `init` of a further incarnation, or an asynchronous one, has ended.
    pub(super) fn init_settled(&mut self, actor: Ref, ending: Ending) {
        if ending == Ending::Crash {
            self.crash_with(actor, Origin::Init);
            return;
        }
        let Cell { index, incarnation, ref spec, .. } = *self.cell(actor);
        // An exit or a crash that did not wait for this `init` has taken the flag away.
        let awaited = self.flags(actor) & FLAG_STARTING != 0;
        let slot = match ending {
            Ending::Continue => self.slots.alloc(Value::Continue(spec.continues.clone())),
            _ => NIL,
        };
        let [status, ..] = self.control(OP_INIT_DONE, &[index, incarnation, slot], None);
        if status != STATUS_OK && slot != NIL {
            self.slots.free(slot);
        }
        self.cell_mut(actor).born = status == STATUS_OK && awaited;
        if incarnation > 0 && self.flags(actor) & FLAG_STOPPING == 0 {
            self.run_restarted(actor);
        }
    }

    /// Runs `postRestart`, outside a message.
    fn run_restarted(&mut self, actor: Ref) {
        let handler = self.cell(actor).spec.restarted.clone();
        if self.run(actor, &handler) == Ending::Crash {
            self.crash(actor);
        }
    }

    /// Something of the actor's failed: a handler, or a promise that nobody awaited.
    pub fn crash(&mut self, actor: Ref) {
        self.crash_with(actor, Origin::Running);
    }

    fn crash_with(&mut self, actor: Ref, origin: Origin) {
        if self.cell(actor).dead {
            return;
        }
        self.recall(actor);
        let token = self.slots.alloc(Value::Token(None));
        let Cell { index, incarnation, .. } = *self.cell(actor);
        let [decision, attempt, delay_ms, ..] =
            self.control(OP_CRASH, &[index, incarnation, token, origin as u32], None);
        self.note(actor, What::Crashed { decision, attempt, delay_ms });
    }

    /// The core wants `terminate` to run.
    pub(super) fn run_terminate(&mut self, actor: Ref, incarnation: u32, restarting: bool) {
        let cell = self.cell_mut(actor);
        assert_eq!(cell.incarnation, incarnation, "{actor:?} is to terminate another incarnation");
        assert!(cell.born, "{actor:?} is to terminate, but its init has not ended well");
        assert!(!cell.terminated, "{actor:?} is to terminate a second time");
        cell.terminated = true;
        let handler = cell.spec.terminate.clone();
        if !self.is_reborn(actor) {
            self.assert_childless(actor); // Else its patience was lost before it was asked.
        }
        self.note(actor, What::Terminate { incarnation, restarting });
        let Some(handler) = handler else { panic!("{actor:?} is to terminate, but has no terminate") };
        match self.run(actor, &handler) {
            Ending::Pending => self.cell_mut(actor).terminating = Some(incarnation),
            _ => self.terminate_settled(actor, incarnation),
        }
    }

    pub(super) fn terminate_settled(&mut self, actor: Ref, incarnation: u32) {
        self.act(actor, OP_TERMINATED, &[incarnation]);
    }

    fn assert_childless(&self, actor: Ref) {
        if self.cell(actor).children == 0 {
            return;
        }
        // The news that a child is gone may still be under way.
        let left = self.living().into_iter().find(|&child| {
            self.cell(child).spec.parent == Some(actor) && self.kernel.table().exists(self.cell(child).index)
        });
        assert!(left.is_none(), "{actor:?} ends before its child {left:?}");
    }

    /// Stops an actor and everything below it.
    pub fn stop(&mut self, actor: Ref) {
        if self.cell(actor).dead {
            return;
        }
        if self.act(actor, OP_STOP, &[]) == STATUS_OK {
            self.gone(actor, ReasonKind::Normal, 0);
        }
    }

    /// Starts an actor again without a crash; false if it is gone or about to be.
    pub fn restart(&mut self, actor: Ref) -> bool {
        !self.cell(actor).dead && self.act(actor, OP_RESTART, &[]) == STATUS_STARTED
    }

    /// Sends an exit signal.
    pub fn exit(&mut self, sender: Option<Ref>, target: Ref, signal: Signal) {
        if self.cell(target).dead {
            return;
        }
        match signal {
            Signal::Normal if sender == Some(target) => self.stop(target),
            Signal::Normal => drop(self.act(target, OP_EXIT, &[ReasonKind::Normal as u32, NIL])),
            Signal::Kill => drop(self.act(target, OP_EXIT, &[ReasonKind::Killed as u32, NIL])),
            Signal::Reason => {
                let token = self.slots.alloc(Value::Token(Some(target)));
                self.act(target, OP_EXIT, &[ReasonKind::Exit as u32, token]);
            }
        }
    }

    /// An exit went on without what still runs: its end will be ignored.
    pub(super) fn abandoned(&mut self, actor: Ref) {
        self.note(actor, What::Abandoned);
        self.put_back(actor);
        let cell = self.cell_mut(actor);
        cell.starting = false;
        let Some(running) = cell.running.take() else { return };
        assert!(!cell.untold, "{actor:?} is given up, but its call is not known");
        // Its message is not being handled any more. Only here is that known exactly once: until the event
        // comes the handler may still end by itself, and is taken off then.
        self.take_pending(actor);
        let Some(slot) = running.slot else { return };
        self.push(0, SUBMIT_SETTLED, slot);
        if let Value::Call(_, call) = *self.slots.get(slot) {
            self.answer(call, Answer::Abandoned);
        }
        self.free_after_batch(slot);
    }

    /// An actor is gone.
    pub(super) fn gone(&mut self, actor: Ref, kind: ReasonKind, children: u32) {
        self.note(actor, What::Gone { kind, children });
        assert!(!self.cell(actor).dead, "{actor:?} is gone a second time");
        assert!(!self.is_running(actor), "{actor:?} is gone while a handler of its runs");
        let cell = self.cell(actor);
        assert!(cell.prefetched.is_empty() && cell.lane.is_empty(), "{actor:?} is gone with messages that it took");
        self.assert_incarnation_over(actor);
        self.assert_childless(actor);
        self.discard_drained(actor);
        let cell = self.cell_mut(actor);
        cell.dead = true;
        cell.starting = false;
        cell.terminating = None;
        cell.watches.clear();
        cell.links.clear();
        cell.timers.clear();
        let (at, parent) = (cell.index as usize, cell.spec.parent);
        self.by_index[at] = None;
        if let Some(parent) = parent {
            self.cell_mut(parent).children -= 1;
        }
    }

    /// Sets how the children of an actor (or, with `None`, the roots) are supervised.
    pub fn supervise(&mut self, parent: Option<Ref>, settings: &Supervision) {
        let index = match parent {
            Some(parent) if self.cell(parent).dead => return,
            Some(parent) => self.cell(parent).index,
            None => NIL,
        };
        let on_crash = match settings.on_crash {
            OnCrash::Restart => 0,
            OnCrash::Stop => 1,
            OnCrash::Escalate => 2,
        };
        let strategy = match settings.strategy {
            Strategy::OneForOne => 0,
            Strategy::OneForAll => 1,
            Strategy::RestForOne => 2,
        };
        let (initial_ms, max_ms, multiplier, jitter) = match settings.backoff {
            Some(backoff) => (backoff.initial_ms, backoff.max_ms.max(1), backoff.multiplier, backoff.jitter),
            None => (0, 0, 0.0, 0.0),
        };
        let results = H_RESULTS as usize;
        self.kernel.page().set(results, (multiplier * 1e6) as u32);
        self.kernel.page().set(results + 1, (jitter * 1e6) as u32);
        let args = [index, on_crash, strategy, settings.max_restarts, settings.period_ms, initial_ms, max_ms];
        self.control(OP_SUPERVISION, &args, None);
    }

    /// Has an actor join or leave a group.
    pub fn set_member(&mut self, actor: Ref, group: &str, joins: bool) {
        if !self.cell(actor).dead {
            let op = if joins { OP_GROUP_JOIN } else { OP_GROUP_LEAVE };
            self.control(op, &[self.cell(actor).index], Some(group));
        }
    }

    /// A handler of the spec's for messages of the system.
    pub(super) fn info_of(&self, actor: Ref) -> Handler {
        self.cell(actor).spec.info.clone()
    }
}
