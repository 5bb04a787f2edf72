//! What other threads leave for one isolate.
//!
//! Any thread may push; the isolate's own thread drains. A push does not wake anybody, that is the
//! [`Bell`](super::bell::Bell)'s part. The order that both sides MUST keep:
//!
//! ```text
//! producer   inbox.push(item)   then   bell.ring()      and wake the isolate if it says Wake
//! consumer   bell.answer()      then   inbox.drain_into()
//! ```
//!
//! Items of one producer come out in the order in which it pushed them; between producers the order is
//! that of the lock. The lock is held for one `Vec::push` or one swap, never while user code runs. A
//! producer that panics cannot leave a half-made item, so a poisoned lock is taken over.
//!
//! Limit: the number of items given to [`Inbox::new`]. A full inbox gives the item back, and the
//! producer decides what that means.

use std::sync::PoisonError;

use crate::sync::{AtomicBool, Mutex, Ordering};

/// A bounded hand-off from many threads to one.
#[derive(Debug)]
pub struct Inbox<T> {
    /// What has been pushed and not drained, oldest first; at most `items_max`.
    items: Mutex<Vec<T>>,
    /// Whether `items` is not empty; written under the lock, read without it.
    filled: AtomicBool,
    /// Most items that may wait.
    items_max: usize,
}

impl<T> Inbox<T> {
    /// An empty inbox for at most `items_max` items; 0 refuses everything.
    pub fn new(items_max: usize) -> Self {
        Self { items: Mutex::new(Vec::new()), filled: AtomicBool::new(false), items_max }
    }

    /// Leaves an item; the caller rings the bell afterwards.
    ///
    /// # Errors
    ///
    /// Gives the item back if the inbox is full; what it holds is unchanged.
    pub fn push(&self, item: T) -> Result<(), T> {
        let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        if items.len() >= self.items_max {
            return Err(item);
        }
        items.push(item);
        self.filled.store(true, Ordering::Release);
        Ok(())
    }

    /// Appends everything that is waiting to `out`, oldest first.
    ///
    /// Costs one load when nothing is there. Memory of the two vectors changes hands where possible.
    pub fn drain_into(&self, out: &mut Vec<T>) {
        // Race: a push may land right after this load. Its producer rings after it, and that ring comes
        // after the answer that preceded this drain, so it wakes the isolate again.
        if self.is_empty() {
            return;
        }
        let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        if out.is_empty() {
            std::mem::swap(&mut *items, out);
        } else {
            out.append(&mut items);
        }
        self.filled.store(false, Ordering::Release);
    }

    /// Whether nothing was waiting a moment ago.
    ///
    /// Right after an answer it misses nothing that was rung for before that answer.
    pub fn is_empty(&self) -> bool {
        !self.filled.load(Ordering::Acquire)
    }
}
