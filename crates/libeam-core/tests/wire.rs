//! The fuzz targets of all decoders without a fuzzer: valid inputs, changed at random, and bytes from nowhere.
//!
//! The seed of a failing input is printed; `LIBEAM_SEED=n` runs from that one, `LIBEAM_INPUTS=n` that many of each.
//! `LIBEAM_FILE=path LIBEAM_TARGET=name` runs an artifact of the fuzzer. `LIBEAM_WRITE_SEEDS=1` writes `fuzz/seeds/`.

use libeam_core::membership::random::Random;
use libeam_core::testing::wire::{TARGETS, Target};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

const INPUTS: u64 = 4_000;
const BYTES_MAX: usize = 600;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn folder(target: &Target) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target.name)
}

/// A valid input with a few changes; the seed decides everything.
fn input(seeds: &[Vec<u8>], seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..random.below(5) {
        let at = random.below(bytes.len() + 1);
        match random.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = random.draw() as u8,
            2 => bytes.truncate(at),
            3 => bytes.extend_from_within(at..),
            4 => {
                let other = &seeds[random.below(seeds.len())];
                bytes.splice(at.., other.iter().copied());
            }
            _ => {
                let noise: Vec<u8> = (0..random.below(20)).map(|_| random.draw() as u8).collect();
                bytes.splice(at..at, noise);
            }
        }
        bytes.truncate(BYTES_MAX);
    }
    if random.below(8) == 0 {
        return (0..random.below(BYTES_MAX)).map(|_| random.draw() as u8).collect();
    }
    bytes
}

fn run(target: &Target, bytes: &[u8], origin: &str) {
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(bytes)));
    assert!(outcome.is_ok(), "{} fails; repeat with {origin}\n  {bytes:?}", target.name);
}

#[test]
fn no_bytes_break_a_decoder() {
    if let (Some(path), Ok(name)) = (std::env::var_os("LIBEAM_FILE"), std::env::var("LIBEAM_TARGET")) {
        let target = TARGETS.iter().find(|target| target.name == name).expect("LIBEAM_TARGET names a target");
        return run(target, &std::fs::read(&path).expect("a readable LIBEAM_FILE"), "LIBEAM_FILE");
    }
    let (first, count) = number("LIBEAM_SEED").map_or((0, INPUTS), |seed| (seed, 1));
    let count = number("LIBEAM_INPUTS").unwrap_or(count);
    for target in &TARGETS {
        let seeds = (target.seeds)();
        seeds.iter().for_each(|seed| run(target, seed, "its seeds"));
        for seed in first..first + count {
            run(target, &input(&seeds, seed), &format!("LIBEAM_SEED={seed}"));
        }
    }
}

#[test]
fn the_fuzzer_begins_with_the_same_inputs() {
    for target in &TARGETS {
        for (at, seed) in (target.seeds)().into_iter().enumerate() {
            let path = folder(target).join(format!("valid_{at}"));
            if std::env::var_os("LIBEAM_WRITE_SEEDS").is_some() {
                std::fs::create_dir_all(folder(target)).expect("a writable folder");
                std::fs::write(&path, &seed).expect("a writable file");
            }
            let file = std::fs::read(&path).unwrap_or_default();
            assert_eq!(file, seed, "{} is not what testing/wire.rs makes; LIBEAM_WRITE_SEEDS=1", path.display());
        }
    }
}
