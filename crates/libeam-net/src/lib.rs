//! Time and threads for `libeam-core`, which has neither.
//!
//! * [`MonotonicClock`] says what time it is, on one scale for the whole process.
//! * [`Alarm`] calls back when a moment has come, on the one driver thread of the process.
//!
//! This crate decides nothing: what a moment means, and what happens at it, is the core's business.
//! It never calls into JavaScript.

mod clock;
mod driver;

pub use clock::MonotonicClock;
pub use driver::Alarm;
