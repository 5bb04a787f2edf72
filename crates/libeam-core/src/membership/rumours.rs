//! News that is still to be spread.
//!
//! Of each node only the latest news is kept. What was sent least often goes first, the newest first
//! among equals, and what has been sent often enough is forgotten.

use super::member::NodeId;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Times sent, and the newest first: a number that falls with time.
type Rank = (u32, u64);

/// An encoded message.
#[derive(Debug)]
struct News {
    about: NodeId,
    message: Arc<[u8]>,
    rank: Rank,
}

/// A queue of encoded messages, one per node that they are about.
#[derive(Debug, Default)]
pub struct Rumours {
    /// What is to be sent, and what was forgotten, at places that are free.
    news: Vec<Option<News>>,
    /// Places in `news` that are free.
    free: Vec<usize>,
    /// Places in `news`, in the order in which they are sent.
    queue: BTreeMap<Rank, usize>,
    /// Places in `news`, by node.
    index: HashMap<NodeId, usize>,
    /// Messages so far.
    count: u64,
}

impl Rumours {
    /// Has news about a node spread, in place of older news about it.
    pub fn spread(&mut self, about: NodeId, message: Arc<[u8]>) {
        self.count += 1;
        let rank = (0, u64::MAX - self.count);
        let place = match self.index.get(&about) {
            Some(&place) => place,
            None => {
                let place = self.free.pop().unwrap_or(self.news.len());
                self.index.insert(about.clone(), place);
                place
            }
        };
        if place == self.news.len() {
            self.news.push(None);
        }
        if let Some(old) = self.news[place].replace(News { about, message, rank }) {
            self.queue.remove(&old.rank);
        }
        self.queue.insert(rank, place);
    }

    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Appends as much as fits into `room` bytes, and counts it as sent.
    pub fn fill(&mut self, out: &mut Vec<u8>, room: usize, transmits: u32) {
        if self.queue.is_empty() {
            return;
        }
        out.reserve(room);
        let end = out.len() + room;
        let mut sent = Vec::with_capacity(room / SMALLEST);
        let mut misfits = 0;
        for &place in self.queue.values() {
            let Some(News { message, .. }) = &self.news[place] else { continue };
            if out.len() + message.len() <= end {
                out.extend_from_slice(message);
                sent.push(place);
            } else {
                misfits += 1;
                if misfits == MISFITS_MAX || end - out.len() < SMALLEST {
                    break;
                }
            }
        }
        sent.into_iter().for_each(|place| self.count_sent(place, transmits));
    }

    /// Moves news back in the queue, or forgets it.
    fn count_sent(&mut self, place: usize, transmits: u32) {
        let Some(news) = &mut self.news[place] else { return };
        self.queue.remove(&news.rank);
        news.rank.0 += 1;
        if news.rank.0 < transmits {
            self.queue.insert(news.rank, place);
        } else if let Some(News { about, .. }) = self.news[place].take() {
            self.index.remove(&about);
            self.free.push(place);
        }
    }
}

/// No news is shorter, in bytes.
const SMALLEST: usize = 16;
/// A datagram is full when so many pieces of news did not fit: while a thousand nodes join, the queue is a thousand
/// long.
const MISFITS_MAX: usize = 8;
