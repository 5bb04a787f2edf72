//! Registered names: each belongs to one actor, each actor has at most one.

use crate::actor_id::ActorIndex;
use std::collections::HashMap;

/// Names and their owners.
#[derive(Debug, Default)]
pub struct Names {
    owners: HashMap<Box<str>, ActorIndex>,
}

/// What came of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Registration {
    /// The name is the actor's.
    Registered,
    /// The name belongs to somebody else.
    Taken(ActorIndex),
}

impl Names {
    /// Gives a free name to an actor.
    pub fn register(&mut self, name: &str, actor: ActorIndex) -> Registration {
        if let Some(&owner) = self.owners.get(name) {
            return Registration::Taken(owner);
        }
        self.owners.insert(name.into(), actor);
        Registration::Registered
    }

    /// Frees a name.
    pub fn unregister(&mut self, name: &str) {
        self.owners.remove(name);
    }

    /// Who has the name.
    #[must_use]
    pub fn whereis(&self, name: &str) -> Option<ActorIndex> {
        self.owners.get(name).copied()
    }

    /// Names in use.
    #[must_use]
    pub fn len(&self) -> usize {
        self.owners.len()
    }

    /// Whether no name is in use.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }
}
