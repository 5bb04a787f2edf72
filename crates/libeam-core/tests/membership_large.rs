//! A bad day of 1,000 simulated nodes, which takes minutes: `scripts/nightly.sh large` plays it, `cargo test` does
//! not. Prints its seeds and how long each part took in virtual time.

use libeam_core::membership::config::MembershipConfig;
use libeam_core::testing::cluster::{Cluster, Weather};

const MS: u64 = 1_000;
const SECOND: u64 = 1_000_000;

/// How many histories.
fn seeds() -> u64 {
    std::env::var("LIBEAM_SIM_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Waits for one view, says how long it took, and looks at what the checkers have found.
fn settled(cluster: &mut Cluster, seed: u64, most_us: u64, what: &str) {
    let since_us = cluster.now_us();
    let fine = cluster.run_until(most_us, Cluster::converged);
    println!("seed {seed}: {what}: one view after {} ms", (cluster.now_us() - since_us) / MS);
    assert!(fine, "seed {seed}: {what}: no view of all after {} s", most_us / SECOND);
    assert!(cluster.faults.is_empty(), "seed {seed}: {:#?}", cluster.faults);
    assert!(cluster.datagram_bytes_max <= 1_400, "seed {seed}: a datagram of {} bytes", cluster.datagram_bytes_max);
}

#[test]
fn a_thousand_nodes_live_through_a_bad_day() {
    let count = 1_000;
    for seed in 0..seeds() {
        println!("seed {seed}: {count} nodes");
        let mut cluster = Cluster::new(MembershipConfig::lan(), seed);
        cluster.start_all(count);
        settled(&mut cluster, seed, 120 * SECOND, "formation");

        cluster.weather = Weather { loss: 0.05, duplication: 0.05, latency_max_us: 20 * MS, ..Weather::default() };
        cluster.run(30 * SECOND);
        assert_eq!(cluster.death_notices(), 0, "seed {seed}: lost datagrams");
        cluster.weather = Weather::default();
        settled(&mut cluster, seed, 30 * SECOND, "after loss");

        cluster.crash(500);
        settled(&mut cluster, seed, 30 * SECOND, "one crash");
        (900..count).for_each(|at| cluster.crash(at));
        settled(&mut cluster, seed, 60 * SECOND, "a hundred crashes");
        let home = [cluster.addr(0)];
        (900..count).for_each(|at| cluster.restart(at, at.is_multiple_of(2), &home));
        settled(&mut cluster, seed, 120 * SECOND, "a hundred restarts");

        cluster.partition(300);
        cluster.run(60 * SECOND);
        cluster.heal();
        settled(&mut cluster, seed, 120 * SECOND, "a partition of 300 and 700");
    }
}
