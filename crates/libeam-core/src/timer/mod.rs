//! Timers of one isolate: two containers for two shapes of load.
//!
//! * [`TimerWheel`] takes any deadline: `send_after`, intervals, idle timeouts, restart backoff.
//! * [`Deadlines`] takes call deadlines, where a million entries share a few distinct timeouts and
//!   nearly all of them are disarmed long before they are due.
//!
//! Both are passive. Time is an argument, a `u64` count of milliseconds on any monotonic scale; the
//! owner asks `next_deadline`, sleeps however it likes, and calls `expire`. Both stand still when the
//! given time goes backwards. Neither knows what a token or a slot means.

mod deadlines;
mod wheel;

pub use deadlines::{Deadlines, FIFOS_MAX};
pub use wheel::{TIMERS_MAX, TimerKey, TimerWheel};
