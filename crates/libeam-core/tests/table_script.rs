//! Random scripts of everything that can happen to a kernel, with all invariants checked between any two
//! operations and nothing left at the end.
//!
//! This is the fuzz target `table` without a fuzzer. The seed of a failing script is printed together
//! with the shortest script that still fails:
//!
//! * `LIBEAM_SEED=n` runs that script alone;
//! * `LIBEAM_FILE=path` runs the bytes of a file, such as an artifact of the fuzzer;
//! * `LIBEAM_TRACE=1` prints what happens in the shortest script;
//! * `LIBEAM_SCRIPTS=n` runs that many scripts instead of `SCRIPTS`.

use libeam_core::testing::script::{Behaviour, Op, Script};
use libeam_core::testing::{Ending, Isolate};
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

/// A failure without its numbers, to tell one from another.
fn kind_of(failure: &str) -> String {
    failure.chars().filter(|letter| !letter.is_ascii_digit()).collect()
}

/// Drops ever smaller stretches of operations as long as the script still fails in the same way.
fn shrink(mut script: Script, failure: &str) -> Script {
    let kind = kind_of(failure);
    let mut stretch = script.ops.len().div_ceil(2);
    while stretch > 0 {
        let mut at = 0;
        let before = script.ops.len();
        while at < script.ops.len() {
            let mut shorter = script.clone();
            shorter.ops.drain(at..(at + stretch).min(script.ops.len()));
            if failure_of(&shorter).is_some_and(|other| kind_of(&other) == kind) {
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

/// The same operation with one thing less in it, in all ways.
fn simpler(op: &Op) -> Vec<Op> {
    let mut variants = Vec::new();
    let mut with = |change: &dyn Fn(&mut Op)| {
        let mut variant = op.clone();
        change(&mut variant);
        if variant != *op {
            variants.push(variant);
        }
    };
    let plain = || Behaviour { ending: Ending::Ok, deed: None };
    match op {
        Op::Spawn { .. } => {
            for at in 0..6 {
                with(&|op| {
                    let Op::Spawn { name, capacity, init, later, terminate, info, .. } = op else { return };
                    match at {
                        0 => *name = None,
                        1 => *capacity = 0,
                        2 => *init = plain(),
                        3 => *later = plain(),
                        4 => *terminate = None,
                        _ => *info = plain(),
                    }
                });
            }
        }
        Op::Cast { .. } | Op::Flood { .. } | Op::Call { .. } | Op::StartTimer { .. } => {
            for at in 0..2 {
                with(&|op| {
                    let (Op::Cast { handler, .. }
                    | Op::Flood { handler, .. }
                    | Op::Call { handler, .. }
                    | Op::StartTimer { handler, .. }) = op
                    else {
                        return;
                    };
                    *handler = if at == 0 { plain() } else { Behaviour { deed: None, ..handler.clone() } };
                });
            }
        }
        _ => {}
    }
    variants
}

/// Takes out of the operations what does not matter.
fn simplify(mut script: Script, failure: &str) -> Script {
    let kind = kind_of(failure);
    for at in 0..script.ops.len() {
        while let Some(simpler) = simpler(&script.ops[at]).into_iter().find_map(|op| {
            let mut variant = script.clone();
            variant.ops[at] = op;
            failure_of(&variant).is_some_and(|other| kind_of(&other) == kind).then_some(variant)
        }) {
            script = simpler;
        }
    }
    script
}

fn try_seed(seed: u64) {
    try_bytes(&bytes_of(seed), &format!("LIBEAM_SEED={seed}"));
}

fn try_bytes(bytes: &[u8], origin: &str) {
    let script = Script::decode(bytes);
    let Some(failure) = failure_of(&script) else { return };
    let shortest = simplify(shrink(script, &failure), &failure);
    let last = failure_of(&shortest).unwrap_or_default();
    if number("LIBEAM_TRACE").is_some() {
        trace(&shortest);
    }
    let ops: Vec<String> = shortest.ops.iter().map(|op| format!("    {op:?}")).collect();
    panic!(
        "a script fails: {failure}\n  repeat with {origin}\n  shortest: {last}\n  {:?}\n{}",
        shortest.settings,
        ops.join("\n"),
    );
}

/// Prints what happens in a script, operation by operation.
fn trace(script: &Script) {
    let mut seen = 0;
    let show = |isolate: &Isolate, op: &Op| {
        for record in &isolate.log[seen..] {
            eprintln!("        {:?} {:?} at {} µs", record.actor, record.what, record.at_us);
        }
        seen = isolate.log.len();
        eprintln!("    {op:?}");
    };
    let _ = catch_unwind(AssertUnwindSafe(|| script.run_observed(show)));
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn random_scripts_keep_every_invariant_and_leave_nothing() {
    hush();
    if let Some(path) = std::env::var_os("LIBEAM_FILE") {
        let bytes = std::fs::read(&path).expect("a readable LIBEAM_FILE");
        return try_bytes(&bytes, &format!("LIBEAM_FILE={}", path.display()));
    }
    if let Some(seed) = number("LIBEAM_SEED") {
        return try_seed(seed);
    }
    let first = number("LIBEAM_FIRST_SEED").unwrap_or(0);
    for seed in first..first + number("LIBEAM_SCRIPTS").unwrap_or(SCRIPTS) {
        try_seed(seed);
    }
}
