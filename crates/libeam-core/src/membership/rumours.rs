//! News that is still to be spread.
//!
//! Of each node only the latest news is kept. What was sent least often goes first, the newest first
//! among equals, and what has been sent often enough is forgotten.

use super::member::NodeId;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Times sent, and the newest first: a number that falls with time.
type Rank = (u32, u64);

/// A queue of encoded messages, one per node that they are about.
#[derive(Debug, Default)]
pub struct Rumours {
    queue: BTreeMap<Rank, (NodeId, Arc<[u8]>)>,
    ranks: HashMap<NodeId, Rank>,
    /// Messages so far.
    count: u64,
}

impl Rumours {
    /// Has news about a node spread, in place of older news about it.
    pub fn spread(&mut self, about: NodeId, message: Arc<[u8]>) {
        self.count += 1;
        let rank = (0, u64::MAX - self.count);
        if let Some(old) = self.ranks.insert(about.clone(), rank) {
            self.queue.remove(&old);
        }
        self.queue.insert(rank, (about, message));
    }

    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Appends as much as fits into `room` bytes, and counts it as sent.
    pub fn fill(&mut self, out: &mut Vec<u8>, room: usize, transmits: u32) {
        let end = out.len() + room;
        let mut sent = Vec::new();
        let mut misfits = 0;
        for (&rank, (_, message)) in &self.queue {
            if out.len() + message.len() <= end {
                out.extend_from_slice(message);
                sent.push(rank);
            } else {
                misfits += 1;
                if misfits == MISFITS_MAX || end - out.len() < SMALLEST {
                    break;
                }
            }
        }
        for rank in sent {
            let Some((about, message)) = self.queue.remove(&rank) else { continue };
            let next = (rank.0 + 1, rank.1);
            if next.0 >= transmits {
                self.ranks.remove(&about);
            } else {
                self.ranks.insert(about.clone(), next);
                self.queue.insert(next, (about, message));
            }
        }
    }
}

/// No news is shorter, in bytes.
const SMALLEST: usize = 16;
/// A datagram is full when so many pieces of news did not fit: while a thousand nodes join, the queue is a thousand
/// long.
const MISFITS_MAX: usize = 8;
