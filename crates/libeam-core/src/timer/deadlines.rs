//! Deadlines of calls in flight.
//!
//! Calls with equal timeouts expire in the order in which they were made, so each distinct timeout has
//! a FIFO and nothing is ever sorted: arming appends, disarming unlinks, both a few stores. This is
//! scheme 1 of Varghese and Lauck (1987), one instance per timeout, where it is optimal.
//!
//! Ownership: the caller owns the numbering of the slots, which should be dense because the links live
//! in a table indexed by slot. A slot is armed at most once at a time.
//!
//! Invariants:
//! 1. Deadlines inside a FIFO never decrease from head to tail: time that goes backwards is taken as
//!    the latest time seen.
//! 2. `earliest` is never later than the earliest deadline. Disarming leaves it alone, so it may be
//!    too early; the next `expire` corrects it. The owner is woken once too often per timeout at most,
//!    and its alarm does not move with every call.
//!
//! Limits: [`FIFOS_MAX`] distinct timeouts have a FIFO at one time. An empty FIFO is given to the next
//! new timeout; when none is empty, the entry goes to a [`TimerWheel`], which is exact as well and
//! slower. The table keeps its largest size.

use super::{TimerKey, TimerWheel};

/// Most distinct timeouts that have a FIFO of their own.
pub const FIFOS_MAX: usize = 64;

/// The end of a list.
const NIL: u32 = u32::MAX;
/// `Node::place` of a slot without a deadline.
const UNARMED: u32 = u32::MAX;
/// `Node::place` of a slot whose deadline is in the wheel.
const IN_WHEEL: u32 = u32::MAX - 1;

#[derive(Clone, Copy, Debug)]
struct Node {
    /// When the slot is due, in milliseconds.
    deadline: u64,
    /// In a FIFO: the slot before this one, or `NIL`. In the wheel: the key's index.
    prev: u32,
    /// In a FIFO: the slot after this one, or `NIL`. In the wheel: the key's generation.
    next: u32,
    /// The FIFO's index, `IN_WHEEL` or `UNARMED`.
    place: u32,
}

impl Node {
    const EMPTY: Self = Self { deadline: 0, prev: NIL, next: NIL, place: UNARMED };
}

#[derive(Clone, Copy, Debug)]
struct Fifo {
    timeout_ms: u32,
    head: u32,
    tail: u32,
}

/// The armed deadlines of a table of slots.
#[derive(Debug)]
pub struct Deadlines {
    /// The latest time seen, in milliseconds; never goes back.
    now: u64,
    /// Links and deadline of each slot.
    nodes: Vec<Node>,
    /// One per distinct timeout, empty ones included; at most `FIFOS_MAX`.
    fifos: Vec<Fifo>,
    /// The FIFO that was used last, tried first.
    last_fifo: usize,
    /// Takes the timeouts for which no FIFO is left; its tokens are slots.
    wheel: TimerWheel,
    /// A lower bound of all deadlines; `u64::MAX` while nothing is armed.
    earliest: u64,
    /// Number of armed slots.
    len: usize,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self::new()
    }
}

impl Deadlines {
    /// An empty table.
    pub fn new() -> Self {
        Self {
            now: 0,
            nodes: Vec::new(),
            fifos: Vec::new(),
            last_fifo: 0,
            wheel: TimerWheel::new(0),
            earliest: u64::MAX,
            len: 0,
        }
    }

    /// How many slots are armed.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no slot is armed.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether the slot has a deadline.
    pub fn is_armed(&self, slot: u32) -> bool {
        self.nodes.get(slot as usize).is_some_and(|node| node.place != UNARMED)
    }

    /// Gives an unarmed slot a deadline, `timeout_ms` from `now`.
    ///
    /// Arming an armed slot is a mistake of the caller: debug builds panic, release builds keep the
    /// new deadline only.
    pub fn arm(&mut self, slot: u32, now: u64, timeout_ms: u32) {
        let index = slot as usize;
        if index >= self.nodes.len() {
            self.nodes.resize(index + 1, Node::EMPTY);
        } else if self.nodes[index].place != UNARMED {
            debug_assert!(false, "slot {slot} is armed already");
            self.disarm(slot);
        }
        self.now = self.now.max(now);
        let deadline = self.now.saturating_add(u64::from(timeout_ms));
        self.earliest = self.earliest.min(deadline);
        self.len += 1;
        self.nodes[index] = match self.fifo_for(timeout_ms) {
            Some(fifo) => self.append(fifo, slot, deadline),
            None => {
                let key = self.wheel.insert(deadline, slot);
                Node { deadline, prev: key.index(), next: key.generation(), place: IN_WHEEL }
            }
        };
    }

    /// Takes a slot's deadline away; `false` if it had none, or had expired.
    pub fn disarm(&mut self, slot: u32) -> bool {
        let Some(node) = self.nodes.get_mut(slot as usize) else {
            return false;
        };
        let Node { prev, next, place, .. } = *node;
        if place == UNARMED {
            return false;
        }
        node.place = UNARMED;
        self.len -= 1;
        if place == IN_WHEEL {
            let slot_in_wheel = self.wheel.cancel(TimerKey::from_parts(prev, next));
            debug_assert_eq!(slot_in_wheel, Some(slot));
        } else {
            self.unlink(place as usize, prev, next);
        }
        if self.len == 0 {
            self.earliest = u64::MAX;
        }
        true
    }

    /// Moves time to `now`, disarms all slots that are due and appends them, by deadline.
    ///
    /// Slots with the same deadline and the same timeout come in the order in which they were armed.
    pub fn expire(&mut self, now: u64, expired: &mut Vec<u32>) {
        self.now = self.now.max(now);
        if self.now < self.earliest {
            return;
        }
        let start = expired.len();
        self.wheel.expire(self.now, expired);
        for slot in &expired[start..] {
            self.nodes[*slot as usize].place = UNARMED;
        }
        let mut sources = usize::from(expired.len() > start);
        for fifo in 0..self.fifos.len() {
            sources += usize::from(self.expire_fifo(fifo, expired));
        }
        let due = &mut expired[start..];
        self.len -= due.len();
        if sources > 1 {
            due.sort_by_key(|&slot| self.nodes[slot as usize].deadline);
        }
        self.earliest = self.find_earliest();
    }

    /// A time at which to call `expire`, or `None` if no slot is armed.
    ///
    /// Never later than the earliest deadline; possibly earlier, if the slot it belonged to has been
    /// disarmed since.
    pub fn next_deadline(&self) -> Option<u64> {
        (self.len > 0).then_some(self.earliest)
    }

    /// The FIFO of this timeout, an empty one that is now its own, or none.
    fn fifo_for(&mut self, timeout_ms: u32) -> Option<usize> {
        if let Some(fifo) = self.fifos.get(self.last_fifo)
            && fifo.timeout_ms == timeout_ms
        {
            return Some(self.last_fifo);
        }
        let mut vacant = None;
        for (index, fifo) in self.fifos.iter().enumerate() {
            if fifo.timeout_ms == timeout_ms {
                self.last_fifo = index;
                return Some(index);
            }
            if fifo.head == NIL {
                vacant = Some(index);
            }
        }
        let index = match vacant {
            Some(index) => index,
            None if self.fifos.len() < FIFOS_MAX => self.fifos.len(),
            None => return None,
        };
        let fifo = Fifo { timeout_ms, head: NIL, tail: NIL };
        match self.fifos.get_mut(index) {
            Some(place) => *place = fifo,
            None => self.fifos.push(fifo),
        }
        self.last_fifo = index;
        Some(index)
    }

    /// Makes `slot` the tail of a FIFO and gives its node.
    fn append(&mut self, fifo: usize, slot: u32, deadline: u64) -> Node {
        let list = &mut self.fifos[fifo];
        let prev = std::mem::replace(&mut list.tail, slot);
        if prev == NIL {
            list.head = slot;
        } else {
            self.nodes[prev as usize].next = slot;
        }
        Node { deadline, prev, next: NIL, place: fifo as u32 }
    }

    fn unlink(&mut self, fifo: usize, prev: u32, next: u32) {
        let list = &mut self.fifos[fifo];
        if prev == NIL {
            list.head = next;
        } else {
            self.nodes[prev as usize].next = next;
        }
        if next == NIL {
            list.tail = prev;
        } else {
            self.nodes[next as usize].prev = prev;
        }
    }

    /// Pops what is due in one FIFO; whether anything was.
    fn expire_fifo(&mut self, fifo: usize, expired: &mut Vec<u32>) -> bool {
        let first = self.fifos[fifo].head;
        let mut slot = first;
        while slot != NIL {
            let node = &mut self.nodes[slot as usize];
            if node.deadline > self.now {
                node.prev = NIL;
                break;
            }
            node.place = UNARMED;
            expired.push(slot);
            slot = node.next;
        }
        let list = &mut self.fifos[fifo];
        list.head = slot;
        if slot == NIL {
            list.tail = NIL;
        }
        slot != first
    }

    fn find_earliest(&self) -> u64 {
        let heads = self.fifos.iter().filter(|fifo| fifo.head != NIL);
        heads
            .map(|fifo| self.nodes[fifo.head as usize].deadline)
            .chain(self.wheel.next_deadline())
            .min()
            .unwrap_or(u64::MAX)
    }
}
