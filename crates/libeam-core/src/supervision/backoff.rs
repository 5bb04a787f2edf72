//! How long to wait before a restart: exponential growth, capped, with symmetric jitter.
//!
//! `min(max, initial * multiplier^(attempt - 1))`, then spread evenly over ± `jitter` of itself, and
//! capped once more. The settings come from users, so every input has an answer: the result is always
//! a number of milliseconds between 0 and `max_ms`, whatever the factors are.

/// The delay between a crash and the restart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// Delay before the first restart, in milliseconds.
    pub initial_ms: u32,
    /// Longest delay, in milliseconds, jitter included.
    pub max_ms: u32,
    /// Factor from one attempt to the next. NaN counts as 1, a negative factor as 0.
    pub multiplier: f64,
    /// Part of the delay that is random, from 0 (none) to 1 (anything from nothing to twice the
    /// delay). Values outside are moved to the nearer end; NaN counts as 0.
    pub jitter: f64,
}

impl Backoff {
    /// The delay after a failed `init`, for children that configure none.
    ///
    /// Without it a child whose `init` always fails would spin.
    pub const INIT_FAILURE: Self = Self { initial_ms: 10, max_ms: 1_000, multiplier: 2.0, jitter: 0.0 };

    /// The delay before restart number `attempt`, counted from 1; 0 counts as 1.
    ///
    /// `random` is the caller's draw from `[0, 1)`. Values outside are moved to the nearer end; NaN
    /// counts as the middle.
    pub fn delay_ms(&self, attempt: u32, random: f64) -> u32 {
        if self.initial_ms == 0 {
            return 0;
        }
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let growth = or_if_nan(self.multiplier, 1.0).max(0.0).powi(exponent);
        let max = f64::from(self.max_ms);
        let delay = (f64::from(self.initial_ms) * growth).min(max);
        let jitter = or_if_nan(self.jitter, 0.0).clamp(0.0, 1.0);
        let random = or_if_nan(random, 0.5).clamp(0.0, 1.0);
        let spread = 1.0 - jitter + 2.0 * jitter * random;
        // The cast saturates, and nothing above can be NaN.
        (delay * spread).min(max).round() as u32
    }
}

fn or_if_nan(value: f64, fallback: f64) -> f64 {
    if value.is_nan() { fallback } else { value }
}
