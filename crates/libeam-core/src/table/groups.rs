//! Process groups of this node (OTP's `pg`): named sets of actors in the order in which they joined.

use crate::actor_id::ActorIndex;
use std::collections::{BTreeMap, HashMap};

/// All groups that have members.
#[derive(Debug, Default)]
pub struct Groups {
    /// Members by ticket; tickets grow, so this is joining order.
    members: HashMap<Box<str>, BTreeMap<u64, ActorIndex>>,
    /// Next ticket.
    ticket: u64,
}

impl Groups {
    /// Adds a member and gives its ticket. The caller keeps an actor from joining twice.
    pub fn join(&mut self, group: &str, actor: ActorIndex) -> u64 {
        self.ticket += 1;
        self.members.entry(group.into()).or_default().insert(self.ticket, actor);
        self.ticket
    }

    /// Removes the member with that ticket; a group without members is forgotten.
    pub fn leave(&mut self, group: &str, ticket: u64) {
        if let Some(members) = self.members.get_mut(group) {
            members.remove(&ticket);
            if members.is_empty() {
                self.members.remove(group);
            }
        }
    }

    /// The members of a group in joining order.
    pub fn members(&self, group: &str) -> impl Iterator<Item = ActorIndex> + '_ {
        self.members.get(group).into_iter().flat_map(|members| members.values().copied())
    }

    /// Memberships in all groups.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.values().map(BTreeMap::len).sum()
    }

    /// Whether no group has a member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}
