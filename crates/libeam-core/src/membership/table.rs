//! The members that a node knows, without itself.
//!
//! Members keep their place in a list, so that random ones are found by index; a member leaves the
//! list only when it is forgotten. The view hash is kept up to date with every change.

use super::member::{NodeId, Record, Status};
use super::random::{Random, mix};
use std::collections::HashMap;

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

/// What one live member adds to the view hash: FNV-1a of its id, mixed with its life and its
/// incarnation. Part of the protocol.
#[must_use]
pub fn contribution(record: &Record) -> u64 {
    if !record.status.is_live() {
        return 0;
    }
    let id = record.id.bytes().fold(FNV_OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME));
    mix(mix(id ^ record.epoch).wrapping_add(u64::from(record.incarnation)))
}

/// Time that a suspect has left.
#[derive(Clone, Debug)]
pub struct Suspicion {
    /// When it began, in microseconds.
    pub since_us: u64,
    /// When it ends unless somebody contradicts.
    pub deadline_us: u64,
    /// Who says so; this node may be among them.
    pub confirmed_by: Vec<NodeId>,
    /// Confirmations after which it is as short as it gets.
    pub confirmations_max: usize,
    /// When the last ping was sent; the verdict follows one timeout later.
    pub last_chance_us: Option<u64>,
    /// Timers of an earlier state of this suspicion are void.
    pub generation: u64,
}

/// A member as this node knows it.
#[derive(Clone, Debug)]
pub struct Member {
    /// The latest report.
    pub record: Record,
    /// Set while it is suspected.
    pub suspicion: Option<Suspicion>,
    /// When its status last changed, in microseconds.
    pub since_us: u64,
    /// Its life was over when this node heard of it. It is not passed on: whoever joins would remember it for as long again
    /// as whoever was there, and no life were ever forgotten by all.
    pub is_hearsay: bool,
    /// When something that it had sealed itself last arrived, in microseconds.
    pub heard_us: u64,
    /// When it was last told that somebody else has given it up, in microseconds.
    pub asked_us: u64,
}

/// See the module's header.
#[derive(Debug, Default)]
pub struct Table {
    members: Vec<Member>,
    index: HashMap<NodeId, usize>,
    live: usize,
    alive: usize,
    view: u64,
}

impl Table {
    /// A member.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Member> {
        self.index.get(id).map(|&at| &self.members[at])
    }

    /// A member, for everything but its record.
    pub fn get_mut(&mut self, id: &str) -> Option<&mut Member> {
        self.index.get(id).map(|&at| &mut self.members[at])
    }

    /// All members, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.members.iter()
    }

    /// Members, dead ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Members that count.
    #[must_use]
    pub const fn live_len(&self) -> usize {
        self.live
    }

    /// Members that nobody suspects.
    #[must_use]
    pub const fn alive_len(&self) -> usize {
        self.alive
    }

    /// XOR of the contributions of all live members.
    #[must_use]
    pub const fn view(&self) -> u64 {
        self.view
    }

    /// Replaces what is known of a member, or adds it. Ends a suspicion unless it is still suspect.
    pub fn put(&mut self, record: Record, now_us: u64) {
        let Some(&at) = self.index.get(&record.id) else {
            self.count(&record, true);
            self.index.insert(record.id.clone(), self.members.len());
            let (suspicion, since_us, is_hearsay) = (None, now_us, false);
            self.members.push(Member { record, suspicion, since_us, is_hearsay, heard_us: 0, asked_us: 0 });
            return;
        };
        self.count(&record, true);
        let member = &mut self.members[at];
        member.is_hearsay = false;
        if record.status != Status::Suspect {
            member.suspicion = None;
        }
        if record.status != member.record.status || record.epoch != member.record.epoch {
            member.since_us = now_us;
        }
        let old = std::mem::replace(&mut member.record, record);
        self.count(&old, false);
    }

    /// Adds a member whose life was over before this node heard of it.
    pub fn remember(&mut self, record: Record, now_us: u64) {
        let id = record.id.clone();
        self.put(record, now_us);
        if let Some(member) = self.get_mut(&id) {
            member.is_hearsay = true;
        }
    }

    /// Forgets the member whose life has been over for the longest time; false if all live.
    pub fn forget_oldest(&mut self) -> bool {
        let over = self.members.iter().enumerate().filter(|(_, member)| !member.record.status.is_live());
        let Some((at, _)) = over.min_by_key(|(_, member)| member.since_us) else { return false };
        let forgotten = self.members.swap_remove(at);
        self.index.remove(&forgotten.record.id);
        if let Some(moved) = self.members.get(at) {
            self.index.insert(moved.record.id.clone(), at);
        }
        true
    }

    fn count(&mut self, record: &Record, add: bool) {
        self.view ^= contribution(record);
        let (live, alive) = (usize::from(record.status.is_live()), usize::from(record.status == Status::Alive));
        if add {
            self.live += live;
            self.alive += alive;
        } else {
            self.live -= live;
            self.alive -= alive;
        }
    }

    /// Forgets members for which `forget` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(&Member) -> bool) {
        self.members.retain(|member| keep(member) || member.record.status.is_live());
        self.index = self.members.iter().enumerate().map(|(at, member)| (member.record.id.clone(), at)).collect();
    }

    /// Up to `count` different members for which `fits` holds, at random.
    pub fn sample(&self, random: &mut Random, count: usize, fits: impl Fn(&Member) -> bool) -> Vec<Record> {
        let mut picked: Vec<usize> = Vec::with_capacity(count);
        // Tries some at random first: the list may be long, and most of it fits.
        for _ in 0..count * 3 {
            let at = random.below(self.members.len());
            if picked.len() < count && !picked.contains(&at) && self.members.get(at).is_some_and(&fits) {
                picked.push(at);
            }
        }
        if picked.len() < count {
            let mut rest: Vec<usize> =
                (0..self.members.len()).filter(|at| !picked.contains(at) && fits(&self.members[*at])).collect();
            random.shuffle(&mut rest);
            picked.extend(rest.into_iter().take(count - picked.len()));
        }
        picked.into_iter().map(|at| self.members[at].record.clone()).collect()
    }
}
