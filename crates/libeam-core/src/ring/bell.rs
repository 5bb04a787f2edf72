//! Wakes one isolate once, however many threads want it awake.
//!
//! States: silent, rung. `ring` makes it rung and tells exactly one caller per silence to do the costly
//! wake-up; `answer` makes it silent. The woken thread MUST answer before it looks at what was left for
//! it: what a producer leaves after that look finds a silent bell and wakes again. In the other order an
//! item could arrive between the look and the answer and lie there with nobody on the way.
//!
//! Ordering: both operations are read-modify-writes with acquire and release. An answer that comes after
//! a ring, in the bell's own order, therefore sees everything its producer did before ringing; a plain
//! load in `ring` ("is it rung already?") or a plain store in `answer` would lose exactly that.
//!
//! A wake-up without anything to do is possible (an item was drained by an earlier visit) and harmless.

use crate::sync::{AtomicBool, Ordering};

/// What the caller of [`Bell::ring`] has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Ring {
    /// Wake the isolate: nobody else will.
    Wake,
    /// Nothing: a wake-up is on its way.
    AlreadyRung,
}

/// The coalesced wake-up of one isolate.
#[derive(Debug)]
pub struct Bell {
    /// Set from a ring until it is answered.
    rung: AtomicBool,
}

impl Default for Bell {
    fn default() -> Self {
        Self::new()
    }
}

impl Bell {
    /// A silent bell.
    pub fn new() -> Self {
        Self { rung: AtomicBool::new(false) }
    }

    /// Asks for a wake-up, after the work has been left where the isolate looks.
    pub fn ring(&self) -> Ring {
        if self.rung.swap(true, Ordering::AcqRel) { Ring::AlreadyRung } else { Ring::Wake }
    }

    /// Takes note of the wake-up, before looking for work.
    pub fn answer(&self) {
        self.rung.swap(false, Ordering::AcqRel);
    }
}
