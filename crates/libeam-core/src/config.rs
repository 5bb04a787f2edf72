//! The limits and defaults of one kernel, each with its unit.

use crate::supervision::Supervision;

/// What the isolate decides when it creates a kernel.
#[derive(Clone, Debug)]
pub struct KernelConfig {
    /// Live actors at most; one more spawn is refused. Default 4,194,304.
    pub actors_max: u32,
    /// Timers of one actor at most; one more is refused. Default 100,000.
    pub timers_per_actor_max: u32,
    /// Stashed messages of one actor at most; one more `stash` is refused. Default 4,194,304.
    pub stash_messages_max: u32,
    /// How long a call may take when it names no timeout, in milliseconds; `u32::MAX` is for ever. Default 5,000.
    pub call_timeout_ms: u32,
    /// How long an exit waits for a running handler or a `terminate` before it goes on without, in
    /// milliseconds; `u32::MAX` is for ever. Default 5,000.
    pub stop_timeout_ms: u32,
    /// How crashes of root actors are treated.
    pub root_supervision: Supervision,
    /// Seed of the jitter of restart delays.
    pub seed: u64,
}

impl Default for KernelConfig {
    fn default() -> Self {
        Self {
            actors_max: 1 << 22,
            timers_per_actor_max: 100_000,
            stash_messages_max: 1 << 22,
            call_timeout_ms: 5_000,
            stop_timeout_ms: 5_000,
            root_supervision: Supervision::default(),
            seed: 0,
        }
    }
}
