//! A block of 32-bit words at an address that never changes, so that JavaScript can hold a view.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Words shared with an isolate. Clones share the block; it is freed with the last of them.
#[derive(Clone)]
pub struct Words {
    /// First word. Invariant: valid for `len` words while `_owner` lives.
    first: *const AtomicU32,
    /// Number of words.
    len: usize,
    /// Keeps the memory alive: our own allocation, or a handle on JavaScript's.
    _owner: Arc<dyn Any>,
}

impl Words {
    /// A block of zeroes allocated by Rust.
    #[must_use]
    pub fn allocate(len: usize) -> Self {
        let block: Arc<[AtomicU32]> = (0..len).map(|_| AtomicU32::new(0)).collect();
        let first = block.as_ptr();
        Self { first, len, _owner: Arc::new(block) }
    }

    /// One word that other threads hold, too.
    #[must_use]
    pub fn shared(word: Arc<AtomicU32>) -> Self {
        Self { first: Arc::as_ptr(&word), len: 1, _owner: word }
    }

    /// A block that somebody else allocated, for hosts that refuse memory of ours.
    ///
    /// # Safety
    /// `first` must be aligned and valid for reads and writes of `len` words as long as `owner`
    /// lives, and no other thread may touch them.
    #[must_use]
    pub unsafe fn from_raw(first: *mut u32, len: usize, owner: Arc<dyn Any>) -> Self {
        Self { first: first.cast_const().cast(), len, _owner: owner }
    }

    /// The block as a slice.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[AtomicU32] {
        // SAFETY: `first` is valid for `len` words while `_owner`, which `self` holds, lives; the
        // words are only reached through atomics on this side.
        unsafe { std::slice::from_raw_parts(self.first, self.len) }
    }

    /// Reads a word.
    #[inline]
    #[must_use]
    pub fn get(&self, at: usize) -> u32 {
        self.as_slice()[at].load(Ordering::Relaxed)
    }

    /// Writes a word.
    #[inline]
    pub fn set(&self, at: usize, value: u32) {
        self.as_slice()[at].store(value, Ordering::Relaxed);
    }

    /// The address for a view, and the length in words.
    #[must_use]
    pub fn as_raw(&self) -> (*mut u32, usize) {
        (self.first.cast_mut().cast(), self.len)
    }
}
