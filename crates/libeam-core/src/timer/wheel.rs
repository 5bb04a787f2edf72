//! A hierarchical timing wheel with one tick per millisecond.
//!
//! Source: G. Varghese and T. Lauck, "Hashed and Hierarchical Timing Wheels" (1987), scheme 7, in the
//! aligned variant: a deadline is read as a number in base 64, and a timer lives at the level of the
//! most significant digit in which its deadline differs from the time the wheel has reached. Eleven
//! levels cover all 64 bits, so there is no overflow list and no deadline that has to be shortened.
//!
//! Ownership: the wheel owns its nodes, in one slab threaded by intrusive lists; a timer costs no
//! allocation of its own. The caller owns the meaning of `token`.
//!
//! Invariants, with `elapsed` = the latest time the wheel has seen:
//! 1. A node with `deadline <= elapsed` is in the `LATE` list, every other node is in the slot that
//!    [`list_of`] computes. A node's place therefore never has to be stored.
//! 2. Every timer of a level is due before every timer of a higher level, and inside a level the slots
//!    are due in index order: the first set bit of the lowest occupied level is what happens next.
//! 3. Timers with equal deadlines are always in the same list, in insertion order: a slot is emptied
//!    before `elapsed` enters it, so a later insertion can never overtake by landing lower.
//!
//! Cost: `insert` and `cancel` are O(1). `expire` touches a timer at most once per level and jumps from
//! occupied slot to occupied slot, so its cost does not depend on how far time moved.
//!
//! Limits: [`TIMERS_MAX`] live timers. The slab keeps its largest size. A key is recognised as stale
//! until its node has been reused 2^31 times.

/// Most timers that can be alive in one wheel; [`TimerWheel::insert`] panics beyond it.
pub const TIMERS_MAX: u32 = u32::MAX - 1;

const BITS_PER_LEVEL: u32 = 6;
const SLOTS_PER_LEVEL: usize = 1 << BITS_PER_LEVEL;
const LEVELS: usize = u64::BITS.div_ceil(BITS_PER_LEVEL) as usize;
/// The list of timers that were already due when they were inserted.
const LATE: usize = LEVELS * SLOTS_PER_LEVEL;
/// The end of a list.
const NIL: u32 = u32::MAX;

/// Names one timer of one wheel, until that timer fires or is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerKey {
    index: u32,
    generation: u32,
}

impl TimerKey {
    /// Puts a key together again from the parts that `index` and `generation` gave out.
    ///
    /// Parts that no wheel gave out make a key that names no timer.
    pub const fn from_parts(index: u32, generation: u32) -> Self {
        Self { index, generation }
    }

    /// The place in the wheel's slab.
    pub const fn index(self) -> u32 {
        self.index
    }

    /// How often that place had changed hands; always odd.
    pub const fn generation(self) -> u32 {
        self.generation
    }
}

#[derive(Clone, Copy, Debug)]
struct Node {
    /// When the timer is due, in milliseconds.
    deadline: u64,
    /// What the caller wants to be told.
    token: u32,
    /// Odd while the node holds a timer, even while it is free; goes up at both changes.
    generation: u32,
    /// The neighbour towards the head of the list, or `NIL`.
    prev: u32,
    /// The neighbour towards the tail of the list (in the free list: the next free node), or `NIL`.
    next: u32,
}

impl Node {
    const fn is_live(&self) -> bool {
        self.generation & 1 == 1
    }
}

#[derive(Clone, Copy, Debug)]
struct List {
    head: u32,
    tail: u32,
}

impl List {
    const EMPTY: Self = Self { head: NIL, tail: NIL };
}

/// Timers ordered by deadline, at a millisecond's resolution.
#[derive(Debug)]
pub struct TimerWheel {
    /// The latest time seen, in milliseconds; never goes back.
    elapsed: u64,
    /// Every timer, live and free.
    nodes: Vec<Node>,
    /// First node of the free list, or `NIL`.
    free: u32,
    /// Number of live timers.
    len: usize,
    /// Slot lists, level by level, then the `LATE` list.
    lists: Box<[List]>,
    /// One bit per slot of a level: set while that slot's list is not empty.
    occupied_slots: [u64; LEVELS],
    /// One bit per level: set while any of its slots is occupied.
    occupied_levels: u16,
    /// A lower bound of the deadlines in the `LATE` list; `u64::MAX` while it is empty.
    late_since: u64,
}

impl TimerWheel {
    /// An empty wheel that stands at `now`.
    pub fn new(now: u64) -> Self {
        Self {
            elapsed: now,
            nodes: Vec::new(),
            free: NIL,
            len: 0,
            lists: vec![List::EMPTY; LATE + 1].into_boxed_slice(),
            occupied_slots: [0; LEVELS],
            occupied_levels: 0,
            late_since: u64::MAX,
        }
    }

    /// How many timers are waiting.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no timer is waiting.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a timer; one that is already due fires at the next [`expire`](Self::expire).
    ///
    /// # Panics
    ///
    /// When [`TIMERS_MAX`] timers are alive.
    pub fn insert(&mut self, deadline: u64, token: u32) -> TimerKey {
        let index = self.allocate(deadline, token);
        self.push_back(index);
        TimerKey { index, generation: self.nodes[index as usize].generation }
    }

    /// Takes a timer out and gives its token back; `None` if it has fired or was cancelled before.
    pub fn cancel(&mut self, key: TimerKey) -> Option<u32> {
        let node = *self.nodes.get(key.index as usize)?;
        if node.generation != key.generation || !node.is_live() {
            return None;
        }
        self.unlink(key.index);
        self.release(key.index);
        Some(node.token)
    }

    /// Moves time to `now` and appends the tokens of all timers that are due, by deadline, then by age.
    pub fn expire(&mut self, now: u64, fired: &mut Vec<u32>) {
        self.fire_late(fired);
        while let Some((list, start)) = self.next_slot() {
            if start > now {
                break;
            }
            // Invariant: nothing is due before `start`, so time can jump straight to it.
            self.elapsed = start;
            let mut index = self.take(list);
            while index != NIL {
                let Node { deadline, token, next, .. } = self.nodes[index as usize];
                if deadline == start {
                    fired.push(token);
                    self.release(index);
                } else {
                    self.push_back(index);
                }
                index = next;
            }
        }
        self.elapsed = self.elapsed.max(now);
    }

    /// A time at which `expire` has work, or `None` if there are no timers.
    ///
    /// Never later than the earliest deadline. It may be earlier, namely the start of that timer's
    /// slot; expiring at each answer reaches the timer after at most one step per level.
    pub fn next_deadline(&self) -> Option<u64> {
        if self.lists[LATE].head != NIL {
            return Some(self.late_since);
        }
        self.next_slot().map(|(_, start)| start)
    }

    /// The occupied slot that is due first, and the first millisecond it covers.
    fn next_slot(&self) -> Option<(usize, u64)> {
        if self.occupied_levels == 0 {
            return None;
        }
        let level = self.occupied_levels.trailing_zeros() as usize;
        let slot = self.occupied_slots[level].trailing_zeros() as usize;
        let shift = level as u32 * BITS_PER_LEVEL;
        let above = u64::MAX.checked_shl(shift + BITS_PER_LEVEL).unwrap_or(0);
        let start = (self.elapsed & above) | ((slot as u64) << shift);
        Some((level * SLOTS_PER_LEVEL + slot, start))
    }

    /// Fires the `LATE` list, which is in insertion order and has to be sorted first.
    fn fire_late(&mut self, fired: &mut Vec<u32>) {
        let mut index = self.take(LATE);
        if index == NIL {
            return;
        }
        let start = fired.len();
        while index != NIL {
            fired.push(index);
            index = self.nodes[index as usize].next;
        }
        let late = &mut fired[start..];
        late.sort_by_key(|&index| self.nodes[index as usize].deadline);
        for entry in late {
            let index = *entry;
            *entry = self.nodes[index as usize].token;
            self.release(index);
        }
    }

    /// Appends a node to the list its deadline belongs to.
    fn push_back(&mut self, index: u32) {
        let deadline = self.nodes[index as usize].deadline;
        let list = list_of(self.elapsed, deadline);
        let tail = self.lists[list].tail;
        let node = &mut self.nodes[index as usize];
        node.prev = tail;
        node.next = NIL;
        self.lists[list].tail = index;
        if tail != NIL {
            self.nodes[tail as usize].next = index;
        } else {
            self.lists[list].head = index;
            self.mark_occupied(list);
        }
        if list == LATE {
            self.late_since = self.late_since.min(deadline);
        }
    }

    fn unlink(&mut self, index: u32) {
        let Node { deadline, prev, next, .. } = self.nodes[index as usize];
        let list = list_of(self.elapsed, deadline);
        if prev != NIL {
            self.nodes[prev as usize].next = next;
        } else {
            self.lists[list].head = next;
        }
        if next != NIL {
            self.nodes[next as usize].prev = prev;
        } else {
            self.lists[list].tail = prev;
        }
        if self.lists[list].head == NIL {
            self.mark_empty(list);
        }
    }

    /// Empties a list and gives out its first node; the nodes stay chained by `next`.
    fn take(&mut self, list: usize) -> u32 {
        let head = std::mem::replace(&mut self.lists[list], List::EMPTY).head;
        self.mark_empty(list);
        head
    }

    fn mark_occupied(&mut self, list: usize) {
        if list != LATE {
            let (level, slot) = (list / SLOTS_PER_LEVEL, list % SLOTS_PER_LEVEL);
            self.occupied_slots[level] |= 1 << slot;
            self.occupied_levels |= 1 << level;
        }
    }

    fn mark_empty(&mut self, list: usize) {
        if list == LATE {
            self.late_since = u64::MAX;
            return;
        }
        let (level, slot) = (list / SLOTS_PER_LEVEL, list % SLOTS_PER_LEVEL);
        self.occupied_slots[level] &= !(1 << slot);
        if self.occupied_slots[level] == 0 {
            self.occupied_levels &= !(1 << level);
        }
    }

    /// Makes a live node that is in no list yet.
    fn allocate(&mut self, deadline: u64, token: u32) -> u32 {
        self.len += 1;
        let index = self.free;
        if let Some(node) = self.nodes.get_mut(index as usize) {
            self.free = node.next;
            node.deadline = deadline;
            node.token = token;
            node.generation = node.generation.wrapping_add(1);
            return index;
        }
        let index = self.nodes.len();
        assert!(index < TIMERS_MAX as usize, "too many timers in one wheel");
        self.nodes.push(Node { deadline, token, generation: 1, prev: NIL, next: NIL });
        index as u32
    }

    /// Puts a node that is in no list back into the free list; its keys become stale.
    fn release(&mut self, index: u32) {
        let node = &mut self.nodes[index as usize];
        node.generation = node.generation.wrapping_add(1);
        node.next = self.free;
        self.free = index;
        self.len -= 1;
    }
}

/// Where a timer belongs while the wheel stands at `elapsed`.
fn list_of(elapsed: u64, deadline: u64) -> usize {
    if deadline <= elapsed {
        return LATE;
    }
    let top_bit = u64::BITS - 1 - (elapsed ^ deadline).leading_zeros();
    let level = top_bit / BITS_PER_LEVEL;
    let slot = (deadline >> (level * BITS_PER_LEVEL)) as usize % SLOTS_PER_LEVEL;
    level as usize * SLOTS_PER_LEVEL + slot
}
