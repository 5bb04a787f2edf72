//! Message queues for a million actors: linked lists in one pool.
//!
//! A mailbox is the two ends of a list; its cells come from a [`Pool`] that all mailboxes and stashes
//! of a kernel share, so that an idle actor costs no queue memory and a message costs no allocation.
//! Order is first in, first out; [`Queue::push_front`] is for what has to go before (unread,
//! unstashed and injected messages). A call whose time is up leaves from the middle. Bounds and the policy for full mailboxes are the kernel's
//! business: only it knows which entries are messages of the user's.

use crate::actor_id::NIL;

/// One element of a queue.
#[derive(Clone, Copy, Debug)]
struct Cell {
    /// The following cell, or `NIL`; in the free list, the following free cell.
    next: u32,
    /// The cell before, or `NIL`.
    prev: u32,
    /// Kind and slot, packed as on the ring.
    entry: u32,
}

/// The cells of all queues of a kernel.
#[derive(Debug)]
pub struct Pool {
    /// Cells in use and free ones.
    cells: Vec<Cell>,
    /// First free cell, or `NIL`. Last in, first out: recently used cells are in the cache.
    free: u32,
    /// Cells from here on have not been used since all were free. Perf: so a burst after a shuffle finds
    /// them in order of their addresses again ("cast, burst").
    fresh: u32,
    /// Cells in use.
    len: usize,
}

impl Default for Pool {
    fn default() -> Self {
        Self { cells: Vec::new(), free: NIL, fresh: 0, len: 0 }
    }
}

impl Pool {
    /// Cells in use.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no cell is in use.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What a cell holds.
    #[inline]
    #[must_use]
    pub fn entry(&self, cell: u32) -> u32 {
        self.cells[cell as usize].entry
    }

    #[inline]
    fn take(&mut self, entry: u32) -> u32 {
        self.len += 1;
        if self.free == NIL {
            let cell = self.fresh;
            self.fresh += 1;
            match self.cells.get_mut(cell as usize) {
                Some(slot) => *slot = Cell { next: NIL, prev: NIL, entry },
                None => self.cells.push(Cell { next: NIL, prev: NIL, entry }),
            }
            return cell;
        }
        let cell = self.free;
        self.free = self.cells[cell as usize].next;
        self.cells[cell as usize] = Cell { next: NIL, prev: NIL, entry };
        cell
    }

    /// Gives so many cells back that follow each other from `first` to `last`.
    #[inline]
    fn give_back(&mut self, first: u32, last: u32, len: usize) {
        self.len -= len;
        if self.len == 0 {
            self.free = NIL;
            self.fresh = 0;
            return;
        }
        self.cells[last as usize].next = self.free;
        self.free = first;
    }
}

/// The two ends of a list of cells.
#[derive(Clone, Copy, Debug)]
pub struct Queue {
    head: u32,
    tail: u32,
}

impl Default for Queue {
    fn default() -> Self {
        Self { head: NIL, tail: NIL }
    }
}

impl Queue {
    /// Whether there is no entry.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.head == NIL
    }

    /// Adds at the end and tells the cell.
    #[inline(always)]
    pub fn push_back(&mut self, pool: &mut Pool, entry: u32) -> u32 {
        let cell = pool.take(entry);
        if self.tail == NIL {
            self.head = cell;
        } else {
            pool.cells[self.tail as usize].next = cell;
            pool.cells[cell as usize].prev = self.tail;
        }
        self.tail = cell;
        cell
    }

    /// Adds before the first and tells the cell.
    #[inline]
    pub fn push_front(&mut self, pool: &mut Pool, entry: u32) -> u32 {
        let cell = pool.take(entry);
        if self.head == NIL {
            self.tail = cell;
        } else {
            pool.cells[self.head as usize].prev = cell;
            pool.cells[cell as usize].next = self.head;
        }
        self.head = cell;
        cell
    }

    /// Takes the first entry.
    #[inline]
    pub fn pop(&mut self, pool: &mut Pool) -> Option<u32> {
        let mut popped = None;
        self.pop_while(pool, 1, |entry| {
            popped = Some(entry);
            true
        });
        popped
    }

    /// Takes entries off the front for as long as `accepts` says so, `most` at most, and tells how many.
    ///
    /// Perf: each cell is read once and none but the last is written: the cells of one mailbox are far
    /// from each other when many have been filled in turn ("cast, 1,000 actors, burst").
    #[inline]
    pub fn pop_while(&mut self, pool: &mut Pool, most: usize, mut accepts: impl FnMut(u32) -> bool) -> usize {
        let first = self.head;
        let (mut cell, mut last, mut taken) = (first, NIL, 0);
        while taken < most && cell != NIL {
            let Cell { next, entry, .. } = pool.cells[cell as usize];
            if !accepts(entry) {
                break;
            }
            (last, cell, taken) = (cell, next, taken + 1);
        }
        if taken > 0 {
            self.head = cell;
            if cell == NIL {
                self.tail = NIL;
            } else {
                pool.cells[cell as usize].prev = NIL;
            }
            pool.give_back(first, last, taken);
        }
        taken
    }

    /// Takes an entry out, wherever in this queue its cell is.
    pub fn remove(&mut self, pool: &mut Pool, cell: u32) {
        let Cell { next, prev, .. } = pool.cells[cell as usize];
        if prev == NIL {
            self.head = next;
        } else {
            pool.cells[prev as usize].next = next;
        }
        if next == NIL {
            self.tail = prev;
        } else {
            pool.cells[next as usize].prev = prev;
        }
        pool.give_back(cell, cell, 1);
    }

    /// The first entry.
    #[inline]
    #[must_use]
    pub fn first(&self, pool: &Pool) -> Option<u32> {
        (self.head != NIL).then(|| pool.entry(self.head))
    }

    /// Moves all cells of `other` before the first of this queue, keeping their order and identity.
    pub fn prepend(&mut self, pool: &mut Pool, other: &mut Queue) {
        if other.head == NIL {
            return;
        }
        pool.cells[other.tail as usize].next = self.head;
        if self.head == NIL {
            self.tail = other.tail;
        } else {
            pool.cells[self.head as usize].prev = other.tail;
        }
        self.head = other.head;
        *other = Self::default();
    }

    /// Moves all cells of `other` behind a cell of this queue, keeping their order and identity.
    pub fn insert_after(&mut self, pool: &mut Pool, cell: u32, other: &mut Queue) {
        let next = std::mem::replace(&mut pool.cells[cell as usize].next, NIL);
        let mut rest = Self { head: next, tail: self.tail };
        if next == NIL {
            rest = Self::default();
        } else {
            pool.cells[next as usize].prev = NIL;
        }
        self.tail = cell;
        self.append(pool, other);
        self.append(pool, &mut rest);
    }

    /// The cell before another one of this queue.
    #[must_use]
    pub fn before(&self, pool: &Pool, cell: u32) -> Option<u32> {
        let prev = pool.cells[cell as usize].prev;
        (prev != NIL).then_some(prev)
    }

    /// The last cell.
    #[must_use]
    pub fn last_cell(&self) -> Option<u32> {
        (self.tail != NIL).then_some(self.tail)
    }

    /// Moves all cells of `other` behind the last of this queue, keeping their order and identity.
    pub fn append(&mut self, pool: &mut Pool, other: &mut Queue) {
        other.prepend(pool, self);
        std::mem::swap(self, other);
    }

    /// Takes the first cell off as a queue of its own.
    pub fn split_first(&mut self, pool: &mut Pool) -> Option<Queue> {
        if self.head == NIL {
            return None;
        }
        let cell = self.head;
        let next = std::mem::replace(&mut pool.cells[cell as usize].next, NIL);
        self.head = next;
        if next == NIL {
            self.tail = NIL;
        } else {
            pool.cells[next as usize].prev = NIL;
        }
        Some(Self { head: cell, tail: cell })
    }

    /// The cells and their entries, in order.
    pub fn iter<'a>(&self, pool: &'a Pool) -> impl Iterator<Item = (u32, u32)> + use<'a> {
        let mut cell = self.head;
        std::iter::from_fn(move || {
            if cell == NIL {
                return None;
            }
            let current = cell;
            cell = pool.cells[current as usize].next;
            Some((current, pool.cells[current as usize].entry))
        })
    }
}
