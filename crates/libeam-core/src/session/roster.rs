//! Which life of a node is known, and which connection speaks for it.
//!
//! A node has one session towards this one at a time. Another one of the same life replaces it: the node has
//! dialled anew because its connection broke, even if that has not been noticed here. What still comes over the
//! replaced one is stale, or order would not hold. A node is remembered while it has a session or is expected.
//!
//! A life that begins later by its node's clock is the later one. That clock may be set back between two lives, so which of
//! two comes after the other is for membership to say in the end: whom the owner forgets has no life that is known. What a
//! life that was forgotten still says is its last words: it is no node that has come and is not expected yet.

use crate::membership::member::NodeId;
use std::collections::HashMap;

#[derive(Debug, Default)]
struct Known {
    /// The latest life; 0 if none is known.
    epoch: u64,
    session: Option<u64>,
    /// The life of the session.
    life: u64,
    /// The life that was forgotten last; 0 if none was.
    over: u64,
    expected: bool,
}

/// What is known of the nodes at the other ends.
#[derive(Debug, Default)]
pub struct Roster {
    nodes: HashMap<NodeId, Known>,
    sessions: u64,
}

impl Roster {
    /// The latest life of a node.
    #[must_use]
    pub fn epoch(&self, node: &str) -> Option<u64> {
        self.nodes.get(node).map(|known| known.epoch).filter(|&epoch| epoch > 0)
    }

    /// A node has been admitted; names its session.
    pub fn seat(&mut self, node: &NodeId, epoch: u64) -> u64 {
        self.sessions += 1;
        let known = self.nodes.entry(node.clone()).or_default();
        known.epoch = known.epoch.max(epoch);
        known.session = Some(self.sessions);
        known.life = epoch;
        self.sessions
    }

    /// Whether a node has a session that is not the last words of a life that was forgotten.
    #[must_use]
    pub fn is_here(&self, node: &str) -> bool {
        self.nodes.get(node).is_some_and(|known| known.session.is_some() && known.life != known.over)
    }

    /// A node has said which life it lives.
    pub fn note(&mut self, node: &NodeId, epoch: u64) {
        if let Some(known) = self.nodes.get_mut(node) {
            known.epoch = known.epoch.max(epoch);
        }
    }

    /// Whether what comes over a session is still the node's word.
    #[must_use]
    pub fn is_current(&self, node: &str, session: u64) -> bool {
        self.nodes.get(node).is_some_and(|known| known.session == Some(session))
    }

    /// A session is over.
    pub fn leave(&mut self, node: &str, session: u64) {
        if let Some(known) = self.nodes.get_mut(node)
            && known.session == Some(session)
        {
            known.session = None;
            self.drop_if_unknown(node);
        }
    }

    /// Somebody wants to talk to the node.
    pub fn expect(&mut self, node: &NodeId) {
        let known = self.nodes.entry(node.clone()).or_default();
        known.expected = true;
        known.over = 0;
    }

    /// Nobody does any more: the node's life is over, the one that is given or that of its session. What that still brings
    /// was said before.
    pub fn forget(&mut self, node: &str, life: Option<u64>) {
        if let Some(known) = self.nodes.get_mut(node) {
            known.over = life.unwrap_or(known.life);
            known.expected = false;
            known.epoch = 0;
            self.drop_if_unknown(node);
        }
    }

    fn drop_if_unknown(&mut self, node: &str) {
        if self.nodes.get(node).is_some_and(|known| !known.expected && known.session.is_none()) {
            self.nodes.remove(node);
        }
    }
}
