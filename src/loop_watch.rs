//! The watch over an isolate's event loop as JavaScript sees it.

use crate::bell::WakeUp;
use crate::raw;
use libeam_core::event_loop::{LoopConfig, LoopState};
use libeam_core::ring::Words;
use libeam_net::LoopWatch;
use libeam_net::gossip::Gossip;
use napi::bindgen_prelude::Unknown;
use napi::{Env, JsValue, Result};
use napi_derive::napi;
use std::sync::Arc;

const US_PER_MS: f64 = 1_000.0;

/// What counts as overdue, in milliseconds.
#[napi(object)]
pub struct NativeLoopOptions {
    /// A loop that does not answer for this long is busy.
    pub busy_ms: f64,
    /// A loop that does not answer for this long hangs.
    pub hung_ms: f64,
    /// From an answer to the next question.
    pub interval_ms: f64,
}

/// A block that has ended.
#[napi(object)]
pub struct NativeLoopBlock {
    /// From the question to the answer, in milliseconds.
    pub blocked_ms: f64,
    /// The worst that it came to, `busy` or `hung`.
    pub worst: String,
}

/// Asks the loop of its isolate whether it turns.
#[napi]
pub struct NativeLoopWatch {
    watch: Option<LoopWatch>,
    bell: Arc<WakeUp>,
}

/// The name of a state.
pub fn name_of(state: LoopState) -> &'static str {
    match state {
        LoopState::Ok => "ok",
        LoopState::Busy => "busy",
        LoopState::Hung => "hung",
    }
}

/// Starts to ask. `onAsk` has to call `answer`; it does not keep the process up.
#[napi(catch_unwind)]
pub fn start_loop_watch(env: Env, options: NativeLoopOptions, on_ask: Unknown<'_>) -> Result<NativeLoopWatch> {
    let NativeLoopOptions { busy_ms, hung_ms, interval_ms } = options;
    let [busy_us, hung_us, interval_us] = [busy_ms, hung_ms, interval_ms].map(|ms| (ms * US_PER_MS) as u64);
    let bell = WakeUp::shared(env.raw(), on_ask.raw())?;
    let asks = Arc::clone(&bell);
    let watch = LoopWatch::start(LoopConfig { busy_us, hung_us, interval_us }, move || asks.wake());
    Ok(NativeLoopWatch { watch: Some(watch), bell })
}

#[napi]
impl NativeLoopWatch {
    /// One word: 0 while the loop answers in time.
    #[napi(catch_unwind, ts_return_type = "Uint32Array")]
    pub fn word(&self, env: Env) -> Result<Unknown<'static>> {
        let word = self.watch.as_ref().map(LoopWatch::word).unwrap_or_default();
        let view = raw::view(env.raw(), &Words::shared(word))?;
        // SAFETY: the view was just made in this environment.
        Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), view) })
    }

    /// The loop answers; tells of the block that ends with it.
    #[napi(catch_unwind)]
    pub fn answer(&self) -> Option<NativeLoopBlock> {
        let block = self.watch.as_ref()?.answer()?;
        let blocked_ms = block.waited_us as f64 / US_PER_MS;
        Some(NativeLoopBlock { blocked_ms, worst: name_of(block.worst).to_owned() })
    }

    /// Ends the questions.
    #[napi(catch_unwind)]
    pub fn stop(&mut self) {
        drop(self.watch.take());
        self.bell.release();
    }
}

impl NativeLoopWatch {
    /// Has a node's membership told how the loop does.
    pub fn tell(&self, gossip: &Gossip) {
        if let Some(watch) = &self.watch {
            watch.follow(gossip.loop_listener());
        }
    }
}
