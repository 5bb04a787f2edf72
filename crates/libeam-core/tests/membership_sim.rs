//! Membership in simulated clusters: formation, crashes, losses, stalls, cuts, restarts. Every check prints its seed.

use libeam_core::membership::config::MembershipConfig;
use libeam_core::membership::member::{Event, META_BYTES_MAX};
use libeam_core::testing::cluster::{Cluster, Weather};

const MS: u64 = 1_000;
const SECOND: u64 = 1_000_000;

/// The sizes at which every kind of fault is played, and chaos.
const SIZES: [usize; 3] = [5, 20, 100];

/// How many seeds per scenario and size; `scripts/simulate.sh` sets more.
fn seeds() -> u64 {
    std::env::var("LIBEAM_SIM_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(10)
}

fn formed(count: usize, seed: u64) -> Cluster {
    let mut cluster = Cluster::new(MembershipConfig::lan(), seed);
    cluster.start_all(count);
    assert!(cluster.run_until(15 * SECOND, Cluster::converged), "seed {seed}: {count} nodes do not find each other");
    cluster
}

fn no_faults(cluster: &Cluster, seed: u64) {
    assert!(cluster.faults.is_empty(), "seed {seed}: {:#?}", cluster.faults);
    assert!(cluster.datagram_bytes_max <= 1_400, "seed {seed}: a datagram of {} bytes", cluster.datagram_bytes_max);
}

#[test]
fn nodes_find_each_other_from_one_seed() {
    for seed in 0..seeds() {
        for (count, most_us) in
            [(2, 2 * SECOND), (3, 2 * SECOND), (5, 2 * SECOND), (8, 2 * SECOND), (20, 4 * SECOND), (100, 8 * SECOND)]
        {
            let mut cluster = Cluster::new(MembershipConfig::lan(), seed);
            cluster.start_all(count);
            let formed = cluster.run_until(most_us, Cluster::converged);
            assert!(formed, "seed {seed}: {count} nodes are not one cluster in time");
            no_faults(&cluster, seed);
        }
    }
}

#[test]
fn the_seed_may_start_last() {
    for seed in 0..seeds() {
        let mut cluster = Cluster::new(MembershipConfig::lan(), seed);
        let later = cluster.start("seed", &[]);
        let addr = cluster.addr(later);
        cluster.crash(later);
        for name in ["a", "b", "c", "d"] {
            cluster.start(name, &[addr]);
        }
        cluster.run(30 * SECOND);
        cluster.restart(later, false, &[]);
        assert!(cluster.run_until(2 * SECOND, Cluster::converged), "seed {seed}");
        no_faults(&cluster, seed);
    }
}

#[test]
fn a_crash_is_known_by_all_in_bounded_time_and_for_ever() {
    for seed in 0..seeds() {
        for count in [3, 5, 8, 20, 100] {
            let mut cluster = formed(count, seed);
            cluster.run(cluster.now_us() % SECOND);
            let victim = 1 + cluster.random().below(count - 1);
            let (id, epoch) =
                (cluster.processes[victim].machine.own().id.clone(), cluster.processes[victim].machine.own().epoch);
            let crashed_us = cluster.now_us();
            cluster.crash(victim);
            assert!(cluster.run_until(10 * SECOND, Cluster::converged), "seed {seed}: {count} nodes");
            let deaths = cluster.deaths_of(&id, epoch);
            assert_eq!(deaths.len(), count - 1, "seed {seed}: not all survivors were told");
            let last_us = deaths.iter().map(|&(_, when_us)| when_us).max().unwrap_or(0);
            let took_ms = (last_us - crashed_us) / MS;
            // A process that is gone refuses connections: the short way.
            let most_ms = if count < 10 { 3_500 } else { 12_000 };
            assert!(took_ms <= most_ms, "seed {seed}: {count} nodes took {took_ms} ms");
            cluster.run(if count < 100 { 120 * SECOND } else { 30 * SECOND });
            assert!(cluster.converged(), "seed {seed}: it came back");
            assert_eq!(cluster.death_notices(), count - 1, "seed {seed}: told more than once");
            no_faults(&cluster, seed);
        }
    }
}

#[test]
fn goodbye_is_heard_at_once() {
    for seed in 0..seeds() {
        let mut cluster = formed(8, seed);
        let now_us = cluster.now_us();
        cluster.processes[3].machine.leave(now_us);
        cluster.run_until(500 * MS, |cluster| cluster.processes[3].machine.is_gone());
        cluster.crash(3);
        assert!(cluster.run_until(500 * MS, Cluster::converged), "seed {seed}");
        assert_eq!(cluster.death_notices(), 0, "seed {seed}: a farewell is no death");
        no_faults(&cluster, seed);
    }
}

#[test]
fn lost_datagrams_kill_nobody() {
    for seed in 0..seeds().min(10) {
        for loss in [0.05, 0.2] {
            let mut cluster = formed(20, seed);
            cluster.weather = Weather { loss, duplication: 0.05, latency_max_us: 20 * MS, ..Weather::default() };
            cluster.run(120 * SECOND);
            assert_eq!(cluster.death_notices(), 0, "seed {seed}: loss of {loss}");
            cluster.weather = Weather::default();
            assert!(cluster.run_until(20 * SECOND, Cluster::converged), "seed {seed}");
            no_faults(&cluster, seed);
        }
    }
}

#[test]
fn short_stalls_kill_nobody() {
    for seed in 0..seeds().min(10) {
        let mut cluster = formed(10, seed);
        for _ in 0..20 {
            let at = cluster.random().below(10);
            cluster.stall(at, SECOND);
            cluster.run(3 * SECOND);
        }
        assert_eq!(cluster.death_notices(), 0, "seed {seed}");
        assert!(cluster.run_until(10 * SECOND, Cluster::converged), "seed {seed}");
        no_faults(&cluster, seed);
    }
}

#[test]
fn a_long_stall_is_a_death_that_is_taken_back() {
    for seed in 0..seeds() {
        let mut cluster = formed(5, seed);
        cluster.stall(2, 30 * SECOND);
        cluster.run(30 * SECOND);
        let epoch = cluster.processes[2].machine.own().epoch;
        assert_eq!(cluster.deaths_of("n2", epoch).len(), 4, "seed {seed}: 30 s are too long for all");
        assert!(cluster.run_until(5 * SECOND, Cluster::converged), "seed {seed}: not back within 5 s");
        no_faults(&cluster, seed);
    }
}

#[test]
fn a_partition_heals() {
    let mut healed_ms = Vec::new();
    for seed in 0..seeds() {
        for (count, left, most_us) in [(4, 2, 10 * SECOND), (5, 1, 10 * SECOND), (20, 7, 20 * SECOND)] {
            // Healed while some still wait for the others, and long after all have given them up.
            for cut_us in [10 * SECOND, 60 * SECOND] {
                let mut cluster = formed(count, seed);
                cluster.partition(left);
                cluster.run(cut_us + seed % 10 * 100 * MS);
                assert!(!cluster.converged());
                cluster.heal();
                let since_us = cluster.now_us();
                let healed = cluster.run_until(most_us, Cluster::converged);
                assert!(healed, "seed {seed}: {left} of {count}, cut for {cut_us} us");
                healed_ms.push((cluster.now_us() - since_us) / MS);
                no_faults(&cluster, seed);
            }
        }
    }
    healed_ms.sort_unstable();
    let at = |percent: usize| healed_ms[(healed_ms.len() - 1) * percent / 100];
    println!("one view after {} / {} / {} ms (min, median, max)", at(0), at(50), at(100));
}

/// Whoever was cut off says of all others that they are dead. They have gone on hearing from each other, so a member
/// that stands still just then has as much time as it has otherwise.
#[test]
fn a_stall_while_a_partition_heals_kills_nobody() {
    let presets = [(MembershipConfig::lan(), 2_500 * MS), (MembershipConfig::fast(), 1_500 * MS)];
    for ((count, left), (config, stall_us)) in
        [(5, 1), (5, 4)].into_iter().flat_map(|sides| presets.clone().map(|preset| (sides, preset)))
    {
        for seed in 0..seeds() {
            let mut cluster = Cluster::new(config.clone(), seed);
            cluster.start_all(count);
            assert!(cluster.run_until(15 * SECOND, Cluster::converged), "seed {seed}");
            cluster.run(seed % 10 * 100 * MS);
            let cut_us = cluster.now_us();
            cluster.partition(left);
            let knows = |cluster: &Cluster, at: usize| {
                let others = if at < left { count - left } else { left };
                told_of_deaths(cluster, at, cut_us).len() == others
            };
            let known = cluster.run_until(60 * SECOND, |cluster| (0..count).all(|at| knows(cluster, at)));
            assert!(known, "seed {seed}: {left} of {count} do not notice the cut");
            cluster.heal();
            let healed_us = cluster.now_us();
            let is_back = |(when_us, event): &(u64, Event)| *when_us >= healed_us && matches!(event, Event::Up(_));
            let met = cluster.run_until(20 * SECOND, |cluster| {
                cluster.processes.iter().any(|process| process.events.iter().any(is_back))
            });
            assert!(met, "seed {seed}: {left} of {count} do not find the others");
            let stalled = cluster.random().below(count);
            cluster.stall(stalled, stall_us);
            assert!(cluster.run_until(20 * SECOND, Cluster::converged), "seed {seed}: {left} of {count}");
            cluster.run(5 * SECOND);
            for at in 0..count {
                let deaths = told_of_deaths(&cluster, at, healed_us);
                assert!(
                    deaths.is_empty(),
                    "seed {seed}: {left} of {count}, n{stalled} stalled, n{at} gives somebody up"
                );
            }
            no_faults(&cluster, seed);
        }
    }
}

/// When a node was told of the last death, after a time.
fn told_of_deaths(cluster: &Cluster, at: usize, from_us: u64) -> Vec<u64> {
    let deaths = cluster.processes[at].events.iter();
    deaths
        .filter(|(when_us, event)| *when_us >= from_us && matches!(event, Event::Dead(_)))
        .map(|&(us, _)| us)
        .collect()
}

/// Alone, a node doubts itself: nobody answers and nobody helps. It waits longer, and still comes to an end.
#[test]
fn a_node_that_is_cut_off_knows_it_in_bounded_time() {
    for (name, config, most_us) in
        [("lan", MembershipConfig::lan(), 40 * SECOND), ("fast", MembershipConfig::fast(), 30 * SECOND)]
    {
        let mut small_ms = Vec::new();
        let mut large_ms = Vec::new();
        for seed in 0..seeds() {
            let mut cluster = Cluster::new(config.clone(), seed);
            cluster.start_all(5);
            assert!(cluster.run_until(15 * SECOND, Cluster::converged), "seed {seed}");
            cluster.run(seed % 10 * 100 * MS);
            let cut_us = cluster.now_us();
            cluster.partition(1);
            let known = cluster.run_until(most_us, |cluster| told_of_deaths(cluster, 0, cut_us).len() == 4);
            assert!(known, "seed {seed}: n0 takes longer than {most_us} us ({name})");
            let last = told_of_deaths(&cluster, 0, cut_us).into_iter().max().unwrap_or(0);
            small_ms.push((last - cut_us) / MS);
            let others = (1..5).filter_map(|at| told_of_deaths(&cluster, at, cut_us).into_iter().max());
            large_ms.push((others.max().unwrap_or(0) - cut_us) / MS);
            no_faults(&cluster, seed);
        }
        for (side, mut took_ms) in [("1", small_ms), ("4", large_ms)] {
            took_ms.sort_unstable();
            let at = |percent: usize| took_ms[(took_ms.len() - 1) * percent / 100];
            println!(
                "1|4 {name}: the side of {side} knows after {} / {} / {} ms (min, median, max)",
                at(0),
                at(50),
                at(100)
            );
        }
    }
}

#[test]
fn a_one_way_cut_between_two_kills_nobody() {
    for seed in 0..seeds().min(10) {
        let mut cluster = formed(8, seed);
        cluster.cut(1, 2);
        cluster.run(60 * SECOND);
        cluster.heal();
        assert!(cluster.run_until(20 * SECOND, Cluster::converged), "seed {seed}");
        assert_eq!(cluster.death_notices(), 0, "seed {seed}");
        no_faults(&cluster, seed);
    }
}

#[test]
fn a_new_life_is_known_at_once_at_whatever_address() {
    for seed in 0..seeds() {
        for moved in [false, true] {
            let mut cluster = formed(8, seed);
            let seeds = [cluster.addr(0)];
            cluster.crash(5);
            cluster.run(200 * MS);
            cluster.restart(5, moved, &seeds);
            assert!(cluster.run_until(3 * SECOND, Cluster::converged), "seed {seed}: moved {moved}");
            let epoch = cluster.processes[5].machine.own().epoch;
            for at in [0, 1, 7] {
                let told = cluster.processes[at].events.iter().any(|(_, event)| {
                    matches!(event, Event::Restarted(record) | Event::Up(record)
                        if &*record.id == "n5" && record.epoch == epoch)
                });
                assert!(told, "seed {seed}: n{at} was not told of the new life");
            }
            no_faults(&cluster, seed);
        }
    }
}

/// The clock of a host may be set back between two lives of a node, however it finds the others, or they it.
#[test]
fn a_new_life_is_known_whatever_its_clock_says() {
    for seed in 0..seeds() {
        for (at, knows_seeds, pause_us) in
            [(0, false, 0), (0, false, 30 * SECOND), (5, true, 0), (5, true, 30 * SECOND)]
        {
            let name = format!("seed {seed}: n{at} after {pause_us} us");
            let mut cluster = formed(8, seed);
            let seeds = if knows_seeds { vec![cluster.addr(0)] } else { Vec::new() };
            cluster.crash(at);
            cluster.run(pause_us);
            cluster.clock_behind_us = 500 * SECOND;
            cluster.restart(at, false, &seeds);
            assert!(cluster.run_until(60 * SECOND, Cluster::converged), "{name}: it stays alone");
            no_faults(&cluster, seed);
        }
    }
}

/// The only one that a node asks may know as little as the node itself.
#[test]
fn a_later_life_that_has_ended_is_no_second_process() {
    for seed in 0..seeds() {
        let mut cluster = formed(8, seed);
        let home = [cluster.addr(0)];
        cluster.crash(0);
        cluster.crash(5);
        assert!(cluster.run_until(30 * SECOND, Cluster::converged), "seed {seed}");
        cluster.restart(0, false, &[]);
        cluster.clock_behind_us = 500 * SECOND;
        cluster.restart(5, false, &home);
        assert!(cluster.run_until(60 * SECOND, Cluster::converged), "seed {seed}: they do not find each other");
        let told = cluster.processes[5].events.iter().any(|(_, event)| matches!(event, Event::Superseded(_)));
        assert!(!told, "seed {seed}: n5 was taken for an old process");
        no_faults(&cluster, seed);
    }
}

#[test]
fn of_two_processes_with_one_id_the_older_one_is_told() {
    for seed in 0..seeds() {
        let mut cluster = formed(4, seed);
        let addr = cluster.addr(0);
        let newer = cluster.start("n2", &[addr]);
        let told = cluster.run_until(10 * SECOND, |cluster| {
            cluster.processes[2].events.iter().any(|(_, event)| matches!(event, Event::Superseded(_)))
        });
        assert!(told, "seed {seed}");
        let newer_told = cluster.processes[newer].events.iter().any(|(_, event)| matches!(event, Event::Superseded(_)));
        assert!(!newer_told, "seed {seed}");
    }
}

/// Whoever joins is told of the dead, and remembers them from then on.
#[test]
fn the_dead_are_forgotten_however_many_have_joined_since() {
    const GENERATIONS: usize = 30;
    let generation_us = 20 * SECOND;
    let config = MembershipConfig { forget_after_us: 4 * generation_us, ..MembershipConfig::lan() };
    for seed in 0..seeds() {
        let mut cluster = Cluster::new(config.clone(), seed);
        let mut last = cluster.start("n0", &[]);
        for generation in 1..GENERATIONS {
            let seeds = [cluster.addr(last)];
            last = cluster.start(&format!("n{generation}"), &seeds);
            cluster.run(generation_us / 2);
            if let Some(oldest) = generation.checked_sub(3) {
                cluster.crash(oldest);
            }
            cluster.run(generation_us / 2);
            assert!(cluster.converged(), "seed {seed}: generation {generation}");
        }
        let known = cluster.processes[last].machine.table().len();
        assert!(known <= 2 + 2 * 4 + 4, "seed {seed}: the last of {GENERATIONS} nodes knows {known}");
        no_faults(&cluster, seed);
    }
}

#[test]
fn metadata_reaches_all() {
    for seed in 0..seeds() {
        let mut cluster = formed(20, seed);
        let now_us = cluster.now_us();
        assert!(cluster.processes[4].machine.set_meta(b"roles=web"[..].into(), now_us));
        assert!(!cluster.processes[4].machine.set_meta(vec![0; META_BYTES_MAX + 1].into(), now_us), "too long");
        let spread = cluster.run_until(3 * SECOND, |cluster| {
            (0..20).filter(|&at| at != 4).all(|at| {
                let member = cluster.processes[at].machine.table().get("n4");
                member.is_some_and(|member| &*member.record.meta == b"roles=web")
            })
        });
        assert!(spread, "seed {seed}");
        no_faults(&cluster, seed);
    }
}

/// News travels for a second or two. Who was cut off meanwhile has to notice by its view, and soon: in a large
/// cluster the same two members meet once in half a minute.
#[test]
fn who_has_missed_news_asks_for_it() {
    for seed in 0..seeds().min(10) {
        let mut cluster = formed(100, seed);
        cluster.run(10 * SECOND);
        let deaf = 50;
        (0..100).for_each(|other| cluster.cut(other, deaf));
        let now_us = cluster.now_us();
        assert!(cluster.processes[4].machine.set_meta(b"roles=web"[..].into(), now_us));
        let knows = |cluster: &Cluster, at: usize| {
            let member = cluster.processes[at].machine.table().get("n4").expect("a member");
            &*member.record.meta == b"roles=web"
        };
        let crashed = 7;
        cluster.crash(crashed);
        let told = cluster.run_until(6 * SECOND, |cluster| {
            let others = cluster.running().filter(|&at| at != 4 && at != deaf);
            others.into_iter().all(|at| knows(cluster, at))
        });
        assert!(told && !knows(&cluster, deaf), "seed {seed}: one is deaf, the others are not");
        cluster.run(2 * SECOND);
        cluster.heal();
        let caught_up = cluster.run_until(4 * SECOND, |cluster| knows(cluster, deaf));
        assert!(caught_up, "seed {seed}: n{deaf} still has the old view");
        assert!(cluster.run_until(10 * SECOND, Cluster::converged), "seed {seed}: n{crashed} is still a member");
        no_faults(&cluster, seed);
    }
}

#[test]
fn sealed_clusters_work_and_strangers_stay_out() {
    for seed in 0..seeds().min(5) {
        let mut cluster = Cluster::new(MembershipConfig::lan(), seed);
        cluster.set_key(b"a secret of this cluster alone..");
        cluster.start_all(5);
        assert!(cluster.run_until(5 * SECOND, Cluster::converged), "seed {seed}");
        cluster.set_key(b"another secret");
        let addr = cluster.addr(0);
        let stranger = cluster.start("stranger", &[addr]);
        cluster.run(30 * SECOND);
        assert!(cluster.processes[stranger].machine.table().is_empty(), "seed {seed}");
        assert!(cluster.processes[0].machine.rejected() > 0, "seed {seed}");
        assert!((0..5).all(|at| cluster.processes[at].machine.table().len() == 4), "seed {seed}");
        no_faults(&cluster, seed);
    }
}

/// Every kind of fault, one after the other, each with what it may do and how soon it is over.
fn one_fault_after_the_other(count: usize, seed: u64) {
    let mut cluster = formed(count, seed);
    let name = format!("seed {seed}, {count} nodes");
    let settled = |cluster: &mut Cluster, most_us: u64, what: &str| {
        assert!(cluster.run_until(most_us, Cluster::converged), "{name}: {what}: no view of all");
        no_faults(cluster, seed);
    };

    cluster.weather = Weather { loss: 0.1, duplication: 0.05, latency_max_us: 20 * MS, ..Weather::default() };
    cluster.run(15 * SECOND);
    cluster.weather = Weather::default();
    for _ in 0..5 {
        let at = cluster.random().below(count);
        cluster.stall(at, SECOND);
        cluster.run(2 * SECOND);
    }
    cluster.cut(1, 2);
    cluster.run(10 * SECOND);
    cluster.heal();
    settled(&mut cluster, 20 * SECOND, "loss, stalls and a cut in one direction");
    let now_us = cluster.now_us();
    cluster.processes[3].machine.leave(now_us);
    cluster.run_until(SECOND, |cluster| cluster.processes[3].machine.is_gone());
    cluster.crash(3);
    settled(&mut cluster, 3 * SECOND, "a farewell");
    assert_eq!(cluster.death_notices(), 0, "{name}: nobody has died");

    let epoch = cluster.processes[4].machine.own().epoch;
    cluster.crash(4);
    settled(&mut cluster, 10 * SECOND, "a crash");
    assert_eq!(cluster.deaths_of("n4", epoch).len(), count - 2, "{name}: not all were told of the crash");
    assert_eq!(cluster.death_notices(), count - 2, "{name}: told more than once");
    let home = [cluster.addr(0)];
    cluster.restart(4, seed.is_multiple_of(2), &home);
    settled(&mut cluster, 5 * SECOND, "a new life");

    let epoch = cluster.processes[1].machine.own().epoch;
    cluster.stall(1, 15 * SECOND);
    cluster.run(15 * SECOND);
    assert!(!cluster.deaths_of("n1", epoch).is_empty(), "{name}: nobody has noticed a long stall");
    settled(&mut cluster, 10 * SECOND, "a long stall");
    cluster.partition(1 + count / 3);
    cluster.run(15 * SECOND);
    assert!(!cluster.converged(), "{name}: a partition that nobody has noticed");
    cluster.heal();
    // One of 200 histories of 100 nodes takes longer than 20 s.
    settled(&mut cluster, 30 * SECOND, "a partition");
}

#[test]
fn every_kind_of_fault_is_survived_at_every_size() {
    for seed in 0..seeds() {
        SIZES.into_iter().for_each(|count| one_fault_after_the_other(count, seed));
    }
}

/// Everything at once, and then peace: the cluster must become one again.
fn chaos_ends_in_one_view(count: usize, faults: usize) {
    for seed in 0..seeds() {
        let mut cluster = formed(count, seed);
        let home = cluster.addr(0);
        cluster.weather = Weather { loss: 0.1, duplication: 0.1, latency_max_us: 50 * MS, ..Weather::default() };
        for _ in 0..faults {
            let at = 1 + cluster.random().below(count - 1);
            let runs = cluster.running().any(|running| running == at);
            match cluster.random().below(6) {
                0 if runs => cluster.crash(at),
                1 if !runs => {
                    let moved = cluster.random().chance(0.5);
                    cluster.restart(at, moved, &[home]);
                }
                2 if runs => cluster.stall(at, 4 * SECOND),
                3 => cluster.partition(at),
                4 => cluster.heal(),
                _ => {}
            }
            let pause_us = cluster.random().below(3_000) as u64 * MS;
            cluster.run(pause_us);
        }
        cluster.heal();
        cluster.weather = Weather::default();
        let peace = cluster.run_until(70 * SECOND, Cluster::converged);
        assert!(peace, "seed {seed}: {count} nodes do not agree");
        no_faults(&cluster, seed);
    }
}

#[test]
fn chaos_of_5_ends_in_one_view() {
    chaos_ends_in_one_view(5, 30);
}

#[test]
fn chaos_of_20_ends_in_one_view() {
    chaos_ends_in_one_view(20, 30);
}

#[test]
fn chaos_of_100_ends_in_one_view() {
    chaos_ends_in_one_view(100, 15);
}
