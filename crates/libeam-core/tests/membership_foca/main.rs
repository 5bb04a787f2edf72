//! Our membership and foca's play the same history, and must come to the same views.
//!
//! What is compared is what any SWIM must deliver once a fault is over: everybody sees exactly those who
//! run; during a cut each side sees itself. How long it takes and what it costs is printed side by side
//! (`cargo test --release -p libeam-core --test membership_foca -- --nocapture`).

mod rival;

use libeam_core::membership::config::MembershipConfig;
use libeam_core::membership::member::Event;
use libeam_core::testing::cluster::{Cluster, Weather};
use rival::Rival;
use std::collections::{BTreeMap, BTreeSet};

const MS: u64 = 1_000;
const SECOND: u64 = 1_000_000;
/// How long a machine has at most until its views are right.
const PEACE_US: u64 = 300 * SECOND;

/// Histories; the whole of `scripts/simulate.sh` plays at most so many, because foca takes minutes to agree.
fn seeds() -> u64 {
    let wanted = std::env::var("LIBEAM_SIM_SEEDS").ok().and_then(|text| text.parse().ok());
    wanted.map_or(3, |seeds: u64| seeds.min(20))
}

/// Who is there, as each running process sees it.
type Views = BTreeMap<usize, BTreeSet<usize>>;

/// What happens to a cluster.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The process is gone, its host refuses connections.
    Crash(usize),
    /// The host is gone, nothing answers at all.
    Vanish(usize),
    Leave(usize),
    Restart(usize),
    /// Part of the datagrams that is lost, for a minute.
    Loss(f64),
    /// Cuts off those below, for a minute.
    Partition(usize),
}

/// A cluster of either kind.
trait Played {
    fn play(&mut self, step: Step);
    fn end_of_faults(&mut self);
    fn run(&mut self, for_us: u64);
    fn views(&self) -> Views;
    /// Datagrams so far, and their bytes.
    fn sent(&self) -> (u64, u64);
}

impl Played for Cluster {
    fn play(&mut self, step: Step) {
        match step {
            Step::Crash(at) => self.crash(at),
            Step::Vanish(at) => {
                self.crash(at);
                (0..self.processes.len()).for_each(|other| self.cut(other, at));
            }
            Step::Leave(at) => {
                let now_us = self.now_us();
                self.processes[at].machine.leave(now_us);
                self.run_until(SECOND, |cluster| cluster.processes[at].machine.is_gone());
                self.crash(at);
            }
            Step::Restart(at) => {
                let seeds = [self.addr(0)];
                self.restart(at, false, &seeds);
            }
            Step::Loss(loss) => self.weather = Weather { loss, ..Weather::default() },
            Step::Partition(at) => self.partition(at),
        }
    }

    fn end_of_faults(&mut self) {
        self.weather = Weather::default();
        self.heal();
    }

    fn run(&mut self, for_us: u64) {
        Self::run(self, for_us);
    }

    fn views(&self) -> Views {
        let number = |id: &str| id[1..].parse::<usize>().expect("ids are n0, n1, …");
        self.running()
            .map(|at| {
                let members = self.processes[at].machine.table().iter();
                let live = members.filter(|member| member.record.status.is_live());
                (at, live.map(|member| number(&member.record.id)).chain([at]).collect())
            })
            .collect()
    }

    fn sent(&self) -> (u64, u64) {
        (self.datagrams, self.datagram_bytes)
    }
}

impl Played for Rival {
    fn play(&mut self, step: Step) {
        match step {
            Step::Crash(at) | Step::Vanish(at) => self.crash(at),
            Step::Leave(at) => {
                self.leave(at);
                self.run(300 * MS);
                self.crash(at);
            }
            Step::Restart(at) => self.restart(at),
            Step::Loss(loss) => self.weather = Weather { loss, ..Weather::default() },
            Step::Partition(at) => self.partition(at),
        }
    }

    fn end_of_faults(&mut self) {
        self.weather = Weather::default();
        self.heal();
    }

    fn run(&mut self, for_us: u64) {
        Self::run(self, for_us);
    }

    fn views(&self) -> Views {
        Self::views(self)
    }

    fn sent(&self) -> (u64, u64) {
        self.sent
    }
}

/// Everybody that runs sees those who run.
fn one_view(running: &BTreeSet<usize>) -> Views {
    running.iter().map(|&at| (at, running.clone())).collect()
}

/// Each side of a cut sees itself.
fn two_views(running: &BTreeSet<usize>, cut: usize) -> Views {
    let side = |at: usize| running.iter().copied().filter(|&other| (other < cut) == (at < cut)).collect();
    running.iter().map(|&at| (at, side(at))).collect()
}

/// Milliseconds until the views are these; a failure says which differ.
fn settle(cluster: &mut dyn Played, wanted: &Views, what: &str) -> u64 {
    let step_us = 20 * MS;
    for waited_us in (0..=PEACE_US).step_by(step_us as usize) {
        if cluster.views() == *wanted {
            return waited_us / MS;
        }
        cluster.run(step_us);
    }
    let views = cluster.views();
    let wrong: Vec<_> = views.iter().filter(|(at, view)| wanted.get(at) != Some(view)).collect();
    panic!("{what}: after {} s these views are wrong: {wrong:?}", PEACE_US / SECOND);
}

/// Plays one step; gives the milliseconds until the views were right.
fn play(cluster: &mut dyn Played, step: Step, running: &BTreeSet<usize>, what: &str) -> u64 {
    cluster.play(step);
    if let Step::Loss(_) = step {
        cluster.run(60 * SECOND);
    }
    if let Step::Partition(at) = step {
        settle(cluster, &two_views(running, at), &format!("{what}, while it is cut"));
        cluster.run(10 * SECOND);
        assert_eq!(cluster.views(), two_views(running, at), "{what}: the other side came back through a cut");
    }
    let seen = matches!(step, Step::Vanish(_)).then(|| settle(cluster, &one_view(running), what));
    cluster.end_of_faults();
    let took_ms = seen.unwrap_or_else(|| settle(cluster, &one_view(running), what));
    // What is settled stays so: nobody that is gone comes back, nobody that runs is given up.
    cluster.run(30 * SECOND);
    assert_eq!(cluster.views(), one_view(running), "{what}: the views were right and are not any more");
    took_ms
}

/// A step that is possible now; process 0 stays, others find the cluster through it.
fn step(dice: &mut libeam_core::membership::random::Random, running: &mut BTreeSet<usize>, count: usize) -> Step {
    let at = 1 + dice.below(count - 1);
    if !running.contains(&at) {
        running.insert(at);
        return Step::Restart(at);
    }
    match dice.below(6) {
        0 => Step::Loss(0.05),
        1 => Step::Partition(1 + dice.below(count - 2)),
        2 => {
            running.remove(&at);
            Step::Leave(at)
        }
        3 => {
            running.remove(&at);
            Step::Vanish(at)
        }
        _ => {
            running.remove(&at);
            Step::Crash(at)
        }
    }
}

#[test]
fn random_histories_end_in_the_views_of_foca() {
    for seed in 0..seeds() {
        let count = [5, 12, 20][(seed % 3) as usize];
        let config = MembershipConfig::lan();
        let mut ours = Cluster::new(config.clone(), seed);
        ours.start_all(count);
        let mut theirs = Rival::new(&config, count, seed);
        let mut running: BTreeSet<usize> = (0..count).collect();
        for cluster in [&mut ours as &mut dyn Played, &mut theirs] {
            settle(cluster, &one_view(&running), &format!("seed {seed}: {count} nodes join"));
        }
        let mut dice = libeam_core::membership::random::Random::new(!seed);
        for number in 0..6 {
            let step = step(&mut dice, &mut running, count);
            let what = format!("seed {seed}, {count} nodes, step {number}, {step:?}");
            let ours_ms = play(&mut ours, step, &running, &format!("ours, {what}"));
            let theirs_ms = play(&mut theirs, step, &running, &format!("foca, {what}"));
            println!("{what}: right views after {ours_ms} ms, foca {theirs_ms} ms");
            assert_eq!(ours.views(), Played::views(&theirs), "{what}");
        }
        assert!(ours.faults.is_empty(), "seed {seed}: {:#?}", ours.faults);
        assert!(ours.datagram_bytes_max <= config.datagram_bytes_max, "seed {seed}");
    }
}

/// What one implementation did, in milliseconds and per node and second.
#[derive(Debug, Default)]
struct Figures {
    join_ms: u64,
    crash_ms: u64,
    vanish_ms: u64,
    leave_ms: u64,
    restart_ms: u64,
    heal_ms: u64,
    datagrams_per_s: f64,
    bytes_per_s: f64,
}

impl Figures {
    /// One row of the table.
    fn print(&self, count: usize, name: &str) {
        let Self { join_ms, crash_ms, vanish_ms, leave_ms, restart_ms, heal_ms, datagrams_per_s, bytes_per_s } = self;
        print!("| {count} | {name} | {join_ms} | {crash_ms} | {vanish_ms} | {restart_ms} | {leave_ms} | {heal_ms} |");
        println!(" {datagrams_per_s:.1} | {bytes_per_s:.0} |");
    }
}

fn figures(cluster: &mut dyn Played, count: usize, what: &str) -> Figures {
    let mut running: BTreeSet<usize> = (0..count).collect();
    let join_ms = settle(cluster, &one_view(&running), &format!("{what}: join"));
    cluster.run(60 * SECOND);
    let before = cluster.sent();
    cluster.run(60 * SECOND);
    let after = cluster.sent();
    let rate = |before: u64, after: u64| (after - before) as f64 / 60.0 / count as f64;
    let mut next = |step, now: &BTreeSet<usize>| play(cluster, step, now, &format!("{what}: {step:?}"));
    running.remove(&3);
    let crash_ms = next(Step::Crash(3), &running);
    running.insert(3);
    let restart_ms = next(Step::Restart(3), &running);
    running.remove(&1);
    let vanish_ms = next(Step::Vanish(1), &running);
    running.remove(&2);
    let leave_ms = next(Step::Leave(2), &running);
    let heal_ms = next(Step::Partition(count / 3), &running);
    let (datagrams_per_s, bytes_per_s) = (rate(before.0, after.0), rate(before.1, after.1));
    Figures { join_ms, crash_ms, vanish_ms, leave_ms, restart_ms, heal_ms, datagrams_per_s, bytes_per_s }
}

/// Detection and cost side by side. A process that crashes refuses connections, which foca cannot see. A farewell
/// is timed from when the leaving process ends, 300 ms after it began.
#[test]
fn crashes_are_found_as_soon_as_by_foca_and_for_as_few_datagrams() {
    println!(
        "| nodes | | join ms | crash ms | host gone ms | restart ms | leave ms | heal ms | datagrams/node/s | bytes/node/s |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for count in [5, 20] {
        let config = MembershipConfig::lan();
        let mut cluster = Cluster::new(config.clone(), 1);
        cluster.start_all(count);
        let ours = figures(&mut cluster, count, "ours");
        let theirs = figures(&mut Rival::new(&config, count, 1), count, "foca");
        ours.print(count, "ours");
        theirs.print(count, "foca");
        // Both probe once per interval; one datagram in ten is what chance may add.
        assert!(ours.datagrams_per_s <= theirs.datagrams_per_s * 1.1, "{count} nodes: {ours:?}, foca {theirs:?}");
        assert!(ours.crash_ms <= theirs.crash_ms, "{count} nodes: {ours:?}, foca {theirs:?}");
        assert!(ours.heal_ms <= 20_000, "{count} nodes: {ours:?}");
    }
}

/// A minute of loss. foca may give somebody a new identity; ours is not even allowed a verdict.
#[test]
fn one_lost_datagram_in_twenty_costs_no_life() {
    for seed in 0..seeds() {
        let config = MembershipConfig::lan();
        let running: BTreeSet<usize> = (0..20).collect();
        let mut ours = Cluster::new(config.clone(), seed);
        ours.start_all(20);
        let mut theirs = Rival::new(&config, 20, seed);
        for cluster in [&mut ours as &mut dyn Played, &mut theirs] {
            settle(cluster, &one_view(&running), "join");
            play(cluster, Step::Loss(0.05), &running, &format!("seed {seed}"));
        }
        let events = ours.processes.iter().flat_map(|process| &process.events);
        let suspicions = events.filter(|(_, event)| matches!(event, Event::Suspect(_))).count();
        println!("seed {seed}: {suspicions} suspicions, 0 deaths; foca: {} new identities", theirs.renewals());
        assert_eq!(ours.death_notices(), 0, "seed {seed}");
    }
}
