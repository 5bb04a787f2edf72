//! The Node-API binding of libeam: translation between JavaScript and the runtime, and nothing else.
//!
//! `createKernel` gives JavaScript one kernel: typed arrays over the memory that it shares with the
//! core, and a handful of functions. The functions are raw Node-API callbacks without arguments
//! wherever possible (numbers travel in the shared header), because the conversions of the `#[napi]`
//! macro cost more than the work behind them. Whatever is not called for every message may use the
//! macro.

mod bell;
mod callbacks;
mod gossip;
mod kernel;
mod link;
mod loop_watch;
mod raw;
mod security;

use libeam_core::kernel::COUNTERS;
use libeam_core::ring::protocol;
use napi::bindgen_prelude::Object;
use napi::{Env, JsValue, Result, Unknown};
use napi_derive::napi;

/// What a system asks of its kernel. Limits have the defaults of the core.
#[napi(object)]
pub struct KernelOptions {
    /// Live actors at most.
    pub actors_max: Option<u32>,
    /// Timers of one actor at most.
    pub timers_per_actor_max: Option<u32>,
    /// Stashed messages of one actor at most.
    pub stash_messages_max: Option<u32>,
    /// Timeout of calls that name none, in milliseconds; 4294967295 is for ever.
    pub call_timeout_ms: Option<u32>,
    /// How long an exit waits for a handler or `terminate`, in milliseconds; 4294967295 is for ever.
    pub stop_timeout_ms: Option<u32>,
    /// Seed of the jitter of restart delays.
    pub seed: Option<u32>,
}

/// Makes a kernel. `onBell` is called when something from another thread waits for `enter`.
#[napi(catch_unwind, ts_return_type = "NativeKernel")]
pub fn create_kernel(env: Env, options: KernelOptions, on_bell: Unknown<'_>) -> Result<Object<'static>> {
    kernel::create(&env, &options, on_bell.raw())
}

/// Every number that both sides must agree on, by name.
#[napi(catch_unwind)]
pub fn protocol_table(env: Env) -> Result<Object<'static>> {
    let mut table = Object::new(&env)?;
    for &(name, value) in protocol::TABLE {
        table.set(name, value)?;
    }
    Ok(Object::from_raw(env.raw(), table.raw()))
}

/// Names of the numbers that the counters operation lists, in its order.
#[napi(catch_unwind)]
pub fn counter_names() -> Vec<String> {
    COUNTERS.iter().map(|&name| name.to_owned()).collect()
}
