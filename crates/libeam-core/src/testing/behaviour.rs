//! Handlers as data: what they do, and how they end.

use super::{Isolate, Ref};
use crate::ring::protocol::POLICY_DROP_NEWEST;
use std::fmt;
use std::rc::Rc;

/// What a handler does before it ends. It gets the actor that it belongs to.
pub type Deed = Rc<dyn Fn(&mut Isolate, Ref)>;

/// How the synchronous part of a handler ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It returns; a call is answered.
    Ok,
    /// It throws: a call is rejected, anything else crashes the actor.
    Crash,
    /// It returns a promise that is pending until [`Isolate::settle`].
    Pending,
    /// It returns after having stashed its message; the same as `Ok` where there is none.
    Stash,
    /// An `init` asks for `handleContinue`; the same as `Ok` elsewhere.
    Continue,
}

/// A handler of a message, an `init` or a `terminate`.
#[derive(Clone)]
pub struct Handler {
    /// Names the message in the log.
    pub label: u32,
    /// How it ends.
    pub ending: Ending,
    /// What it does before.
    pub deed: Option<Deed>,
    /// How it ends when its message comes back out of the stash; `None` is the same again.
    pub again: Option<Ending>,
}

impl fmt::Debug for Handler {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let deed = if self.deed.is_some() { " after a deed" } else { "" };
        write!(formatter, "#{} {:?}{deed}", self.label, self.ending)
    }
}

impl Handler {
    /// A handler that does nothing and ends that way.
    #[must_use]
    pub fn new(ending: Ending) -> Self {
        Self { label: 0, ending, deed: None, again: None }
    }

    /// Returns at once.
    #[must_use]
    pub fn ok() -> Self {
        Self::new(Ending::Ok)
    }

    /// Throws at once.
    #[must_use]
    pub fn crash() -> Self {
        Self::new(Ending::Crash)
    }

    /// Returns a pending promise.
    #[must_use]
    pub fn pending() -> Self {
        Self::new(Ending::Pending)
    }

    /// Stashes its message the first time, and returns the next time.
    #[must_use]
    pub fn stash() -> Self {
        Self { again: Some(Ending::Ok), ..Self::new(Ending::Stash) }
    }

    /// The same handler with a label for the log.
    #[must_use]
    pub fn label(self, label: u32) -> Self {
        Self { label, ..self }
    }

    /// The same handler, doing something before it ends.
    #[must_use]
    pub fn after(self, deed: impl Fn(&mut Isolate, Ref) + 'static) -> Self {
        Self { deed: Some(Rc::new(deed)), ..self }
    }
}

/// A new actor.
#[derive(Clone, Debug)]
pub struct Spawn {
    /// Its parent; `None` for a root.
    pub parent: Option<Ref>,
    /// Its name.
    pub name: Option<String>,
    /// Messages at most in its mailbox; 0 is unbounded.
    pub capacity: u32,
    /// One of the `POLICY_…` numbers.
    pub policy: u32,
    /// Its `init` by incarnation; the last one serves all further incarnations.
    pub inits: Vec<Handler>,
    /// Its `terminate`, if it has one.
    pub terminate: Option<Handler>,
    /// Its `handleInfo`: down, exit and idle messages.
    pub info: Handler,
    /// Its `handleContinue`.
    pub continues: Handler,
    /// Its `postRestart`.
    pub restarted: Handler,
}

impl Default for Spawn {
    fn default() -> Self {
        Self {
            parent: None,
            name: None,
            capacity: 0,
            policy: POLICY_DROP_NEWEST,
            inits: vec![Handler::ok()],
            terminate: None,
            info: Handler::ok(),
            continues: Handler::ok(),
            restarted: Handler::ok(),
        }
    }
}

impl Spawn {
    /// A root whose `init` returns at once, without a `terminate`.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// The same as a child.
    #[must_use]
    pub fn child(parent: Ref) -> Self {
        Self { parent: Some(parent), ..Self::default() }
    }

    /// With a `terminate`.
    #[must_use]
    pub fn terminate(self, handler: Handler) -> Self {
        Self { terminate: Some(handler), ..self }
    }

    /// With other `init`s, by incarnation.
    #[must_use]
    pub fn inits(self, inits: &[Handler]) -> Self {
        Self { inits: inits.to_vec(), ..self }
    }

    /// With a name.
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self }
    }

    /// With a bounded mailbox.
    #[must_use]
    pub fn bounded(self, capacity: u32, policy: u32) -> Self {
        Self { capacity, policy, ..self }
    }
}
