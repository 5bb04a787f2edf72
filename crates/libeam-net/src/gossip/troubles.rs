//! What an operator should hear of, because nothing else will tell: a node that does not get into its cluster sees nobody,
//! and those who keep it out count its packets.
//!
//! Each trouble is told once per address or name, [`TOLD_MAX`] at most; strangers can make that many entries in a log and
//! no more. A name that could be resolved meanwhile is told of again.

use libeam_core::membership::RequestError;
use libeam_core::membership::envelope::Reject;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// Troubles that are told at most.
const TOLD_MAX: usize = 256;
/// Requests in a row that a node takes and does not answer before that is told: one may be cut off by chance.
const UNANSWERED: u32 = 3;

/// Something that keeps nodes apart. Its text ends a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// `ip:port`, or the name of a seed.
    pub about: String,
    /// What it is.
    pub what: What,
}

/// What keeps nodes apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A packet was not let in that no key of this node fits.
    OtherKey,
    /// A packet was not let in that is of another version.
    OtherVersion,
    /// A node takes what this one asks and does not answer.
    Unanswered,
    /// The name of a seed has no address.
    Unresolved(String),
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const KEYS: &str = "another cookie or salt, or only one of the two has a cookie";
        match self {
            Self::OtherKey => write!(f, "Gossip of another node is not let in: it has {KEYS}"),
            Self::OtherVersion => f.write_str("Gossip of another node is not let in: it speaks another version"),
            Self::Unanswered => write!(f, "A node does not answer when this one wants to join: perhaps it has {KEYS}"),
            Self::Unresolved(why) => write!(f, "A seed has no address, and is tried again: {why}"),
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum Key {
    Stranger(IpAddr),
    Unanswered(SocketAddr),
    Seed(String),
}

#[derive(Debug, Default)]
struct Book {
    told: HashSet<Key>,
    news: Vec<Trouble>,
    /// Requests in a row without an answer.
    unanswered: HashMap<SocketAddr, u32>,
}

impl Book {
    fn tell(&mut self, key: Key, about: impl fmt::Display, what: What) {
        if self.told.len() < TOLD_MAX && self.told.insert(key) {
            self.news.push(Trouble { about: about.to_string(), what });
        }
    }
}

/// See the module's header.
#[derive(Debug, Default)]
pub(super) struct Troubles(Mutex<Book>);

impl Troubles {
    /// A packet was not let in.
    pub fn rejected(&self, from: SocketAddr, reject: Reject) {
        let what = match reject {
            Reject::Unauthenticated => What::OtherKey,
            Reject::Version => What::OtherVersion,
            // Noise, and what the network repeats.
            Reject::Malformed | Reject::OtherLife | Reject::Replayed | Reject::OldLife => return,
        };
        self.0.lock().tell(Key::Stranger(from.ip()), from, what);
    }

    /// A node that knows nobody has asked somebody.
    pub fn asked(&self, to: SocketAddr, error: Option<RequestError>) {
        let mut book = self.0.lock();
        if error != Some(RequestError::Unanswered) {
            book.unanswered.remove(&to);
            return;
        }
        let count = book.unanswered.entry(to).or_default();
        *count += 1;
        if *count == UNANSWERED {
            book.tell(Key::Unanswered(to), to, What::Unanswered);
        }
    }

    /// A name was looked up.
    pub fn resolved(&self, seed: &str, error: Option<String>) {
        let mut book = self.0.lock();
        let key = Key::Seed(seed.to_owned());
        match error {
            None => drop(book.told.remove(&key)),
            Some(error) => book.tell(key, seed, What::Unresolved(error)),
        }
    }

    /// Takes what has not been told.
    pub fn take(&self) -> Vec<Trouble> {
        std::mem::take(&mut self.0.lock().news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(host: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], port))
    }

    #[test]
    fn each_is_told_once_and_noise_never() {
        let troubles = Troubles::default();
        for port in 1..10 {
            troubles.rejected(addr(1, port), Reject::Unauthenticated);
            troubles.rejected(addr(1, port), Reject::Malformed);
            troubles.resolved("dns:nowhere:1", Some("no such name".to_owned()));
        }
        let told: Vec<_> = troubles.take().into_iter().map(|trouble| trouble.about).collect();
        assert_eq!(told, ["10.0.0.1:1", "dns:nowhere:1"]);
        troubles.resolved("dns:nowhere:1", None);
        troubles.resolved("dns:nowhere:1", Some("gone again".to_owned()));
        assert_eq!(troubles.take().len(), 1);
    }

    #[test]
    fn strangers_fill_no_log() {
        let troubles = Troubles::default();
        for host in 0..=255 {
            (0..4).for_each(|net| {
                troubles.rejected(SocketAddr::from(([10, 0, net, host], 1)), Reject::Unauthenticated);
            });
        }
        assert_eq!(troubles.take().len(), TOLD_MAX);
    }

    #[test]
    fn who_answers_now_and_then_is_no_trouble() {
        let troubles = Troubles::default();
        for _ in 0..5 {
            (1..UNANSWERED).for_each(|_| troubles.asked(addr(1, 1), Some(RequestError::Unanswered)));
            troubles.asked(addr(1, 1), None);
        }
        assert_eq!(troubles.take(), []);
        (0..2 * UNANSWERED).for_each(|_| troubles.asked(addr(1, 1), Some(RequestError::Unanswered)));
        assert_eq!(troubles.take(), [Trouble { about: "10.0.0.1:1".to_owned(), what: What::Unanswered }]);
    }
}
