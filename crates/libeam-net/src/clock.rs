//! The clock of the process.
//!
//! Microseconds since the first time anybody asked, on the system's monotonic clock: never backwards,
//! unaffected by changes of the wall clock, the same scale in every thread. Whether it runs while the
//! machine is suspended is up to the operating system (on Linux and macOS it does not). Nothing may be
//! read into the absolute value, which means nothing in another process.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Tells the time since a process-wide origin.
#[derive(Clone, Copy, Debug, Default)]
pub struct MonotonicClock;

impl MonotonicClock {
    /// Microseconds since the origin.
    pub fn now_us(self) -> u64 {
        // 64 bits of microseconds last for half a million years.
        ORIGIN.elapsed().as_micros() as u64
    }

    /// The system's name for a time of this clock; `None` if it is too far away to have one.
    pub(crate) fn instant(self, time_us: u64) -> Option<Instant> {
        ORIGIN.checked_add(Duration::from_micros(time_us))
    }
}
