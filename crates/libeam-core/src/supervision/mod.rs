//! What a supervisor decides, as data and pure functions.
//!
//! Who is restarted with a crashed child ([`Strategy`]), whether one more restart is allowed
//! ([`RestartWindow`]), and how long to wait before it ([`Backoff`]). Nothing here knows actors, timers
//! or messages: the state machine that owns the tree asks, and acts on the answer. Time and randomness
//! are arguments.

mod backoff;
mod child_spec;
mod intensity;
mod strategy;

pub use backoff::Backoff;
pub use child_spec::{OnCrash, Supervision};
pub use intensity::{Intensity, RESTART_TIMES_MAX, RESTARTS_UNLIMITED, RestartWindow};
pub use strategy::Strategy;
