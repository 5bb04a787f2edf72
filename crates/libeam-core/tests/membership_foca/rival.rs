//! A cluster of `foca` machines in virtual time: the same weather, cuts and commands as
//! `libeam_core::testing::cluster`, for another implementation of SWIM.
//!
//! foca has datagrams only, so there are no streams here. A member that is declared dead by mistake takes a
//! new identity at its address ([`Name::renew`]), which is foca's way to contradict.

use foca::{AccumulatingRuntime, Config, Foca, Identity, NoCustomBroadcast, PeriodicParams, PostcardCodec, Timer};
use libeam_core::membership::config::MembershipConfig;
use libeam_core::membership::random::Random;
use libeam_core::testing::cluster::{Cuts, Weather};
use rand::TryRng;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::convert::Infallible;
use std::num::{NonZeroU8, NonZeroUsize};
use std::time::Duration;

/// A process and which of its identities this is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Name {
    at: usize,
    life: u32,
}

impl Identity for Name {
    type Addr = usize;

    fn renew(&self) -> Option<Self> {
        Some(Self { at: self.at, life: self.life + 1 })
    }

    fn addr(&self) -> usize {
        self.at
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.life > adversary.life
    }
}

/// Our dice behind the trait of foca's.
struct Dice(Random);

impl TryRng for Dice {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.0.draw() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.draw())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.iter_mut().for_each(|byte| *byte = self.0.draw() as u8);
        Ok(())
    }
}

type Machine = Foca<Name, PostcardCodec, Dice, NoCustomBroadcast>;

struct Process {
    machine: Machine,
    running: bool,
    /// Counts restarts: timers of an earlier one are void.
    start: u32,
}

enum Happening {
    Datagram { to: usize, bytes: Vec<u8> },
    Timer { at: usize, start: u32, timer: Timer<Name> },
}

/// See the module's header.
pub struct Rival {
    processes: Vec<Process>,
    /// What the network does now.
    pub weather: Weather,
    /// Datagrams so far, and their bytes.
    pub sent: (u64, u64),
    config: Config,
    random: Random,
    now_us: u64,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    count: u64,
    cuts: Cuts,
}

/// The settings of foca that mean what ours mean, for a cluster of that size.
fn equivalent(ours: &MembershipConfig, count: usize) -> Config {
    let every = |us, members| {
        Some(PeriodicParams {
            frequency: Duration::from_micros(us),
            num_members: NonZeroUsize::new(members).expect("some members"),
        })
    };
    Config {
        probe_period: Duration::from_micros(ours.probe_interval_us),
        probe_rtt: Duration::from_micros(ours.probe_timeout_us),
        num_indirect_probes: NonZeroUsize::new(ours.indirect_probes).expect("some helpers"),
        max_transmissions: NonZeroU8::new(ours.transmits(count) as u8).expect("some times"),
        suspect_to_down_after: Duration::from_micros(ours.suspicion_min_us(count)),
        remove_down_after: Some(Duration::from_micros(ours.forget_after_us)),
        max_packet_size: NonZeroUsize::new(ours.datagram_bytes_max).expect("some bytes"),
        notify_down_members: true,
        periodic_announce: every(ours.reconnect_interval_us, 1),
        periodic_announce_to_down_members: every(ours.reconnect_interval_us, 1),
        periodic_gossip: every(ours.gossip_interval_us, ours.gossip_fanout),
    }
}

impl Rival {
    /// Processes that know the first one.
    pub fn new(ours: &MembershipConfig, count: usize, seed: u64) -> Self {
        let mut rival = Self {
            processes: Vec::new(),
            weather: Weather::default(),
            sent: (0, 0),
            config: equivalent(ours, count),
            random: Random::new(seed),
            now_us: 0,
            queue: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            count: 0,
            cuts: Cuts::default(),
        };
        for at in 0..count {
            let machine = rival.machine(at, 0);
            rival.processes.push(Process { machine, running: true, start: 0 });
            rival.join(at);
        }
        rival
    }

    fn machine(&mut self, at: usize, life: u32) -> Machine {
        Foca::new(Name { at, life }, self.config.clone(), Dice(Random::new(self.random.draw())), PostcardCodec)
    }

    /// Knocks at the first process.
    fn join(&mut self, at: usize) {
        if at == 0 {
            return;
        }
        let seed = self.processes[0].machine.identity().clone();
        self.with(at, |machine, runtime| {
            let _ = machine.announce(seed, runtime);
        });
    }

    /// Ends a process without a word.
    pub fn crash(&mut self, at: usize) {
        self.processes[at].running = false;
    }

    /// Says goodbye.
    pub fn leave(&mut self, at: usize) {
        self.with(at, |machine, runtime| {
            let _ = machine.leave_cluster(runtime);
        });
    }

    /// Starts a process again, with an identity that wins over all its earlier ones.
    pub fn restart(&mut self, at: usize) {
        let life = self.processes[at].machine.identity().life + 1_000;
        let start = self.processes[at].start + 1;
        let machine = self.machine(at, life);
        self.processes[at] = Process { machine, running: true, start };
        self.join(at);
    }

    /// Cuts everything between the processes below `at` and the others.
    pub fn partition(&mut self, at: usize) {
        self.cuts.partition(at, self.processes.len());
    }

    /// Undoes all cuts.
    pub fn heal(&mut self) {
        self.cuts.heal();
    }

    /// Who is there, as each running process sees it.
    pub fn views(&self) -> BTreeMap<usize, BTreeSet<usize>> {
        let running = self.processes.iter().enumerate().filter(|(_, process)| process.running);
        running
            .map(|(at, Process { machine, .. })| {
                let others = machine.iter_members().map(|member| member.id().at);
                (at, others.chain([at]).collect())
            })
            .collect()
    }

    /// How often processes had to take a new identity because others had declared them dead.
    pub fn renewals(&self) -> u32 {
        self.processes.iter().map(|process| process.machine.identity().life % 1_000).sum()
    }

    /// Lets time pass.
    pub fn run(&mut self, for_us: u64) {
        let end_us = self.now_us + for_us;
        while let Some(&Reverse((due_us, number))) = self.queue.peek().filter(|Reverse((due_us, _))| *due_us <= end_us)
        {
            self.queue.pop();
            self.now_us = due_us;
            match self.happenings.remove(&number) {
                Some(Happening::Datagram { to, bytes }) if self.processes[to].running => {
                    self.with(to, |machine, runtime| {
                        let _ = machine.handle_data(&bytes, runtime);
                    });
                }
                Some(Happening::Timer { at, start, timer })
                    if self.processes[at].running && self.processes[at].start == start =>
                {
                    self.with(at, |machine, runtime| {
                        let _ = machine.handle_timer(timer, runtime);
                    });
                }
                _ => {}
            }
        }
        self.now_us = end_us;
    }

    /// Has a machine do something, and does what it wants done.
    fn with(&mut self, at: usize, act: impl FnOnce(&mut Machine, &mut AccumulatingRuntime<Name>)) {
        let mut runtime = AccumulatingRuntime::new();
        let process = &mut self.processes[at];
        let start = process.start;
        act(&mut process.machine, &mut runtime);
        while let Some((to, bytes)) = runtime.to_send() {
            self.send(at, to.at, bytes.to_vec());
        }
        while let Some((after, timer)) = runtime.to_schedule() {
            self.schedule(after.as_micros() as u64, Happening::Timer { at, start, timer });
        }
        while runtime.to_notify().is_some() {}
    }

    fn send(&mut self, from: usize, to: usize, bytes: Vec<u8>) {
        self.sent = (self.sent.0 + 1, self.sent.1 + bytes.len() as u64);
        if self.cuts.lie_between(from, to) || self.random.chance(self.weather.loss) {
            return;
        }
        if self.random.chance(self.weather.duplication) {
            let after_us = self.latency();
            self.schedule(after_us, Happening::Datagram { to, bytes: bytes.clone() });
        }
        let after_us = self.latency();
        self.schedule(after_us, Happening::Datagram { to, bytes });
    }

    fn latency(&mut self) -> u64 {
        let Weather { latency_min_us, latency_max_us, .. } = self.weather;
        latency_min_us + self.random.draw() % (latency_max_us - latency_min_us + 1)
    }

    fn schedule(&mut self, after_us: u64, happening: Happening) {
        self.count += 1;
        self.queue.push(Reverse((self.now_us + after_us, self.count)));
        self.happenings.insert(self.count, happening);
    }
}
