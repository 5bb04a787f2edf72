//! How many restarts are too many: a sliding window over the restarts of one logical child.
//!
//! With `max_restarts` = N and `period_ms` = P, N restarts are allowed inside any P milliseconds and the
//! crash after them is too many. The window is half open: a restart exactly P old no longer counts, one
//! of P - 1 still does; with P = 0 nothing ever counts against a limit of 1 or more.
//!
//! A refused crash is not a restart and is not recorded. The owner decides when a window ends: it
//! belongs to the logical child and is dropped with it.
//!
//! Limits: [`RESTART_TIMES_MAX`] times are kept. A larger `max_restarts` is treated as that many, except
//! [`RESTARTS_UNLIMITED`], which never refuses. A window that has seen no restart owns no memory.

use std::collections::VecDeque;

/// Most restart times one window keeps, and with that the largest limit that is enforced.
pub const RESTART_TIMES_MAX: u32 = 4_096;

/// The `max_restarts` that never refuses; attempts are then counted up to [`RESTART_TIMES_MAX`].
pub const RESTARTS_UNLIMITED: u32 = u32::MAX;

/// Whether a crash may be answered by a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Intensity {
    /// The restart may happen and has been recorded.
    Allowed {
        /// Which restart inside the window this is, counted from 1.
        attempt: u32,
    },
    /// The limit is reached; nothing was recorded.
    Exceeded {
        /// Crashes inside the window, this one included.
        count: u32,
    },
}

/// When one logical child was restarted of late.
#[derive(Clone, Debug, Default)]
pub struct RestartWindow {
    /// Times of the counted restarts in milliseconds, oldest first, never decreasing.
    restarts: VecDeque<u64>,
}

impl RestartWindow {
    /// A window without restarts.
    pub const fn new() -> Self {
        Self { restarts: VecDeque::new() }
    }

    /// Judges a crash at `now`, and records the restart if it is allowed.
    ///
    /// A `now` before the latest restart counts as that restart's time.
    pub fn record(&mut self, now: u64, max_restarts: u32, period_ms: u32) -> Intensity {
        let now = self.restarts.back().map_or(now, |&latest| now.max(latest));
        let outside = self.restarts.partition_point(|&time| now - time >= u64::from(period_ms));
        self.restarts.drain(..outside);

        // Invariant: at most RESTART_TIMES_MAX times are kept, so the count fits.
        let count = self.restarts.len() as u32;
        if max_restarts == RESTARTS_UNLIMITED {
            if count == RESTART_TIMES_MAX {
                self.restarts.pop_front();
            }
        } else if count >= max_restarts.min(RESTART_TIMES_MAX) {
            return Intensity::Exceeded { count: count + 1 };
        }
        self.restarts.push_back(now);
        Intensity::Allowed { attempt: self.restarts.len() as u32 }
    }
}
