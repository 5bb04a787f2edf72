//! Random scripts of everything that can happen to a kernel, with all invariants checked between any two
//! operations and nothing left at the end.
//!
//! This is the fuzz target `table` without a fuzzer. The seed of a failing script is printed together
//! with the shortest script that still fails:
//!
//! * `LIBEAM_SEED=n` runs that script alone;
//! * `LIBEAM_SCRIPTS=n` runs that many scripts instead of `SCRIPTS`.

use libeam_core::testing::script::Script;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};

const SCRIPTS: u64 = 2_000;
/// Bytes of a script at most.
const BYTES_MAX: u64 = 1_200;

/// SplitMix64 (Steele et al. 2014).
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Short scripts and long ones: half of all are below a tenth of the longest.
fn bytes_of(seed: u64) -> Vec<u8> {
    let mut random = SplitMix64(seed);
    let longest = if random.next().is_multiple_of(2) { BYTES_MAX / 10 } else { BYTES_MAX };
    let len = random.next() % longest;
    (0..len).map(|_| random.next() as u8).collect()
}

thread_local! {
    /// Panics of this thread are expected: nobody wants to read them.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

fn hush() {
    let loud = take_hook();
    set_hook(Box::new(move |info| {
        if !QUIET.get() {
            loud(info);
        }
    }));
}

/// What a script dies of, if it does.
fn failure_of(script: &Script) -> Option<String> {
    QUIET.set(true);
    let result = catch_unwind(AssertUnwindSafe(|| script.run()));
    QUIET.set(false);
    let panic = result.err()?;
    let text = panic.downcast_ref::<String>().cloned();
    Some(text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
}

/// Drops ever smaller stretches of operations as long as the script still fails.
fn shrink(mut script: Script) -> Script {
    let mut stretch = script.ops.len().div_ceil(2);
    while stretch > 0 {
        let mut at = 0;
        let before = script.ops.len();
        while at < script.ops.len() {
            let mut shorter = script.clone();
            shorter.ops.drain(at..(at + stretch).min(script.ops.len()));
            if failure_of(&shorter).is_some() {
                script = shorter;
            } else {
                at += stretch;
            }
        }
        if stretch > 1 {
            stretch = stretch.div_ceil(2);
        } else if script.ops.len() == before {
            stretch = 0;
        }
    }
    script
}

fn try_seed(seed: u64) {
    let script = Script::decode(&bytes_of(seed));
    let Some(failure) = failure_of(&script) else { return };
    let shortest = shrink(script);
    let last = failure_of(&shortest).unwrap_or_default();
    let ops: Vec<String> = shortest.ops.iter().map(|op| format!("    {op:?}")).collect();
    panic!(
        "script {seed} fails: {failure}\n  repeat with LIBEAM_SEED={seed}\n  shortest: {last}\n  {:?}\n{}",
        shortest.settings,
        ops.join("\n"),
    );
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn random_scripts_keep_every_invariant_and_leave_nothing() {
    hush();
    if let Some(seed) = number("LIBEAM_SEED") {
        try_seed(seed);
        return;
    }
    let first = number("LIBEAM_FIRST_SEED").unwrap_or(0);
    for seed in first..first + number("LIBEAM_SCRIPTS").unwrap_or(SCRIPTS) {
        try_seed(seed);
    }
}
