//! How a child is supervised: the settings, and nothing that changes at run time.
//!
//! The counting belongs to [`RestartWindow`](super::RestartWindow), one per logical child, which
//! outlives the child's restarts.

use super::{Backoff, Strategy};

/// What happens when a child crashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnCrash {
    /// Start it again, as often as the restart limit allows.
    #[default]
    Restart,
    /// Leave it stopped.
    Stop,
    /// Crash the parent with the child's reason.
    Escalate,
}

/// The supervision settings of one child.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Supervision {
    /// What happens when the child crashes.
    pub on_crash: OnCrash,
    /// Which siblings restart together with it.
    pub strategy: Strategy,
    /// Restarts allowed inside `period_ms`; one crash more is too many. 0 allows none.
    pub max_restarts: u32,
    /// Length of the sliding window in which restarts are counted, in milliseconds.
    pub period_ms: u32,
    /// How long to wait before a restart; `None` restarts at once.
    pub backoff: Option<Backoff>,
}

impl Default for Supervision {
    /// Restart the child alone and at once, up to 3 times in 5,000 ms.
    fn default() -> Self {
        Self {
            on_crash: OnCrash::Restart,
            strategy: Strategy::OneForOne,
            max_restarts: 3,
            period_ms: 5_000,
            backoff: None,
        }
    }
}
