//! A cluster in one thread: many [`Membership`] machines, a network that is hostile on request, and
//! virtual time. The same seed gives the same history.
//!
//! Processes can crash, restart (at the same or another address), stall (time passes, packets queue
//! up, nothing runs), and be cut off in either direction. What a node is told by its machine is kept
//! and checked as it comes; see [`Cluster::check_event`].

use crate::membership::config::MembershipConfig;
use crate::membership::envelope::{Key, Keyring};
use crate::membership::member::{Event, NodeId, Status};
use crate::membership::random::Random;
use crate::membership::{Identity, Membership, Output, RequestError};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

const MS: u64 = 1_000;
/// Where time begins, so that nothing is near zero.
const START_US: u64 = 1_000_000 * MS;
/// Datagrams that wait for a stalled process at most.
const RECEIVE_BUFFER: usize = 2_000;
/// How long a request waits for an answer.
const REQUEST_TIMEOUT_US: u64 = 1_000 * MS;

/// What the network does to datagrams.
#[derive(Clone, Debug)]
pub struct Weather {
    /// Shortest way, in microseconds.
    pub latency_min_us: u64,
    /// Longest way; different ones reorder.
    pub latency_max_us: u64,
    /// Part that is lost.
    pub loss: f64,
    /// Part that arrives twice.
    pub duplication: f64,
}

impl Default for Weather {
    fn default() -> Self {
        Self { latency_min_us: 200, latency_max_us: MS, loss: 0.0, duplication: 0.0 }
    }
}

/// One process.
#[derive(Debug)]
pub struct Process {
    /// Its machine.
    pub machine: Membership,
    addr: SocketAddr,
    running: bool,
    stalled_until_us: u64,
    inbox: Vec<(SocketAddr, Vec<u8>)>,
    /// What it was told, with the time.
    pub events: Vec<(u64, Event)>,
    /// Last report by life, as told by events.
    told: HashMap<(NodeId, u64), (Status, u32)>,
    /// The next timer that is on the queue; others on the queue are void.
    armed_us: u64,
}

#[derive(Debug)]
enum Happening {
    Datagram { from: SocketAddr, to: SocketAddr, bytes: Vec<u8> },
    Request { from: usize, life: u64, token: u64, to: SocketAddr, bytes: Vec<u8> },
    Response { to: usize, life: u64, token: u64, answer: Result<Vec<u8>, RequestError> },
    Timer { at: usize },
    Wake { at: usize },
}

/// Ways from one process to another on which nothing arrives.
#[derive(Debug, Default)]
pub struct Cuts(HashSet<(usize, usize)>);

impl Cuts {
    /// Cuts the way from one process to another.
    pub fn cut(&mut self, from: usize, to: usize) {
        self.0.insert((from, to));
    }

    /// Cuts everything between the processes below `at` and the others of so many.
    pub fn partition(&mut self, at: usize, count: usize) {
        for left in 0..at {
            for right in at..count {
                self.cut(left, right);
                self.cut(right, left);
            }
        }
    }

    /// Undoes all cuts.
    pub fn heal(&mut self) {
        self.0.clear();
    }

    /// Whether nothing arrives on that way.
    #[must_use]
    pub fn lie_between(&self, from: usize, to: usize) -> bool {
        self.0.contains(&(from, to))
    }
}

/// See the module's header.
#[derive(Debug)]
pub struct Cluster {
    /// All processes, dead ones included.
    pub processes: Vec<Process>,
    /// What the network does now.
    pub weather: Weather,
    /// Biggest datagram so far, in bytes.
    pub datagram_bytes_max: usize,
    /// Datagrams so far.
    pub datagrams: u64,
    /// Bytes of all datagrams so far.
    pub datagram_bytes: u64,
    now_us: u64,
    random: Random,
    config: MembershipConfig,
    key: Option<Vec<u8>>,
    /// What is to come: when, in which order among equals, and its place in `happenings`.
    queue: BinaryHeap<Reverse<(u64, u64, usize)>>,
    happenings: Vec<Option<Happening>>,
    /// Places in `happenings` that are free.
    free: Vec<usize>,
    count: u64,
    by_addr: HashMap<SocketAddr, usize>,
    /// Pairs (from, to) between which nothing goes.
    cuts: Cuts,
    next_port: u16,
    /// How far the clocks of processes that start from now on are behind, in microseconds.
    pub clock_behind_us: u64,
    /// What a checker has found.
    pub faults: Vec<String>,
}

impl Cluster {
    /// A cluster without processes.
    #[must_use]
    pub fn new(config: MembershipConfig, seed: u64) -> Self {
        Self {
            processes: Vec::new(),
            weather: Weather::default(),
            datagram_bytes_max: 0,
            datagrams: 0,
            datagram_bytes: 0,
            now_us: START_US,
            random: Random::new(seed),
            config,
            key: None,
            queue: BinaryHeap::new(),
            happenings: Vec::new(),
            free: Vec::new(),
            count: 0,
            by_addr: HashMap::new(),
            cuts: Cuts::default(),
            next_port: 1,
            clock_behind_us: 0,
            faults: Vec::new(),
        }
    }

    /// All processes that start from now on seal with this secret.
    pub fn set_key(&mut self, secret: &[u8]) {
        self.key = Some(secret.to_vec());
    }

    /// The time, in microseconds.
    #[must_use]
    pub const fn now_us(&self) -> u64 {
        self.now_us
    }

    /// The dice of this history.
    pub const fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// Where a process is reached.
    #[must_use]
    pub fn addr(&self, at: usize) -> SocketAddr {
        self.processes[at].addr
    }

    /// Starts processes `n0`, `n1`, … that know the first one.
    pub fn start_all(&mut self, count: usize) {
        for at in 0..count {
            let seeds = if at == 0 { Vec::new() } else { vec![self.addr(0)] };
            self.start(&format!("n{at}"), &seeds);
        }
    }

    /// Starts a process; gives its number.
    pub fn start(&mut self, id: &str, seeds: &[SocketAddr]) -> usize {
        let at = self.processes.len();
        let addr = self.fresh_addr();
        let mut machine = self.machine(id, addr);
        machine.join(seeds, self.now_us);
        self.by_addr.insert(addr, at);
        self.processes.push(Process {
            machine,
            addr,
            running: true,
            stalled_until_us: 0,
            inbox: Vec::new(),
            events: Vec::new(),
            told: HashMap::new(),
            armed_us: u64::MAX,
        });
        self.drain(at);
        at
    }

    fn fresh_addr(&mut self) -> SocketAddr {
        self.next_port += 1;
        SocketAddr::from((Ipv4Addr::new(10, 0, 0, 1), self.next_port))
    }

    fn machine(&mut self, id: &str, addr: SocketAddr) -> Membership {
        let epoch = (self.now_us - self.clock_behind_us) / MS;
        let identity = Identity { id: NodeId::from(id), epoch, addr, meta: Arc::from(&b"meta"[..]) };
        let keys = self.key.as_ref().map_or_else(Keyring::open, |secret| Keyring::of(Key::new(1, secret)));
        Membership::new(self.config.clone(), identity, keys, self.now_us, self.random.draw())
    }

    /// Ends a process without a word.
    pub fn crash(&mut self, at: usize) {
        self.processes[at].running = false;
        self.processes[at].inbox.clear();
    }

    /// Starts a crashed process again with its id, as a new life; at another address if `moved`.
    pub fn restart(&mut self, at: usize, moved: bool, seeds: &[SocketAddr]) {
        let addr = if moved { self.fresh_addr() } else { self.processes[at].addr };
        self.by_addr.insert(addr, at);
        let id = self.processes[at].machine.own().id.clone();
        let mut machine = self.machine(&id, addr);
        machine.join(seeds, self.now_us);
        let process = &mut self.processes[at];
        process.machine = machine;
        process.addr = addr;
        process.running = true;
        process.stalled_until_us = 0;
        process.events.clear();
        process.told.clear();
        process.armed_us = u64::MAX;
        self.drain(at);
    }

    /// Freezes a process for a while.
    pub fn stall(&mut self, at: usize, for_us: u64) {
        let until_us = self.now_us + for_us;
        self.processes[at].stalled_until_us = until_us;
        self.schedule(until_us, Happening::Wake { at });
    }

    /// Cuts the way from one process to another.
    pub fn cut(&mut self, from: usize, to: usize) {
        self.cuts.cut(from, to);
    }

    /// Cuts everything between the processes below `at` and the others.
    pub fn partition(&mut self, at: usize) {
        self.cuts.partition(at, self.processes.len());
    }

    /// Undoes all cuts.
    pub fn heal(&mut self) {
        self.cuts.heal();
    }

    /// Processes that run.
    pub fn running(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.processes.len()).filter(|&at| self.processes[at].running)
    }

    /// Whether all running processes have one view, which is exactly them.
    #[must_use]
    pub fn converged(&self) -> bool {
        let running: Vec<usize> = self.running().collect();
        let Some(&first) = running.first() else { return true };
        let view = self.processes[first].machine.view();
        running.iter().all(|&at| {
            let machine = &self.processes[at].machine;
            machine.view() == view
                && machine.table().live_len() + 1 == running.len()
                && machine.table().alive_len() + 1 == running.len()
        })
    }

    /// Lets time pass until something holds, at most so long; whether it does.
    pub fn run_until(&mut self, most_us: u64, mut holds: impl FnMut(&Self) -> bool) -> bool {
        let end_us = self.now_us + most_us;
        let step_us = 20 * MS;
        while self.now_us < end_us {
            if holds(self) {
                return true;
            }
            self.run((end_us - self.now_us).min(step_us));
        }
        holds(self)
    }

    /// Lets time pass.
    pub fn run(&mut self, for_us: u64) {
        let end_us = self.now_us + for_us;
        while let Some(&Reverse((due_us, _, place))) = self.queue.peek() {
            if due_us > end_us {
                break;
            }
            self.queue.pop();
            self.now_us = due_us;
            if let Some(happening) = self.happenings[place].take() {
                self.free.push(place);
                self.happen(happening);
            }
        }
        self.now_us = end_us;
    }

    fn schedule(&mut self, due_us: u64, happening: Happening) {
        self.count += 1;
        let place = self.free.pop().unwrap_or_else(|| {
            self.happenings.push(None);
            self.happenings.len() - 1
        });
        self.happenings[place] = Some(happening);
        self.queue.push(Reverse((due_us, self.count, place)));
    }

    fn is_stalled(&self, at: usize) -> bool {
        self.processes[at].stalled_until_us > self.now_us
    }

    fn happen(&mut self, happening: Happening) {
        let now_us = self.now_us;
        match happening {
            Happening::Datagram { from, to, bytes } => self.deliver(from, to, bytes),
            Happening::Request { from, life, token, to, bytes } => self.serve((from, life, token), to, &bytes),
            Happening::Response { to, life, token, answer } => {
                let process = &mut self.processes[to];
                if !process.running || process.machine.own().epoch != life {
                    return;
                }
                if process.stalled_until_us > now_us {
                    let wake_us = process.stalled_until_us;
                    self.schedule(wake_us, Happening::Response { to, life, token, answer });
                    return;
                }
                process.machine.handle_response(now_us, token, answer.as_deref().map_err(|&error| error));
                self.drain(to);
            }
            Happening::Timer { at } => {
                if self.processes[at].armed_us != now_us {
                    return; // Another one came before it.
                }
                self.processes[at].armed_us = u64::MAX;
                if self.processes[at].running && !self.is_stalled(at) {
                    self.processes[at].machine.handle_timeout(now_us);
                    self.drain(at);
                }
            }
            Happening::Wake { at } => self.wake(at),
        }
    }

    /// After a pause the socket is read until it is empty, and then timers run.
    fn wake(&mut self, at: usize) {
        if !self.processes[at].running || self.is_stalled(at) {
            return;
        }
        let now_us = self.now_us;
        for (from, bytes) in std::mem::take(&mut self.processes[at].inbox) {
            let _ = self.processes[at].machine.handle_datagram(now_us, from, &bytes);
        }
        self.processes[at].machine.handle_timeout(now_us);
        self.drain(at);
    }

    fn deliver(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        let Some(&at) = self.by_addr.get(&to) else { return };
        let process = &mut self.processes[at];
        if !process.running || process.addr != to {
            return;
        }
        if process.stalled_until_us > self.now_us {
            if process.inbox.len() < RECEIVE_BUFFER {
                process.inbox.push((from, bytes));
            }
            return;
        }
        let _ = process.machine.handle_datagram(self.now_us, from, &bytes);
        self.drain(at);
    }

    fn serve(&mut self, (from, life, token): (usize, u64, u64), to: SocketAddr, bytes: &[u8]) {
        let back_us = self.now_us + self.latency();
        let at = self.by_addr.get(&to).copied();
        let reachable = at.is_some_and(|at| !self.cuts.lie_between(from, at) && !self.cuts.lie_between(at, from));
        let respond = |answer| Happening::Response { to: from, life, token, answer };
        match at {
            Some(at) if reachable && self.processes[at].running && self.processes[at].addr == to => {
                if self.is_stalled(at) {
                    // The kernel takes the connection; nobody answers in time.
                    self.schedule(self.now_us + REQUEST_TIMEOUT_US, respond(Err(RequestError::Unreachable)));
                    return;
                }
                let from_addr = self.processes[from].addr;
                let answer = self.processes[at].machine.handle_request(self.now_us, from_addr, bytes);
                self.schedule(back_us, respond(answer.map_err(|_| RequestError::Unanswered)));
                self.drain(at);
            }
            Some(_) if reachable => self.schedule(back_us, respond(Err(RequestError::Refused))),
            _ => self.schedule(self.now_us + REQUEST_TIMEOUT_US, respond(Err(RequestError::Unreachable))),
        }
    }

    fn latency(&mut self) -> u64 {
        let Weather { latency_min_us, latency_max_us, .. } = self.weather;
        latency_min_us + self.random.draw() % (latency_max_us - latency_min_us + 1)
    }

    /// Does what a machine wants done, and notes what it says.
    fn drain(&mut self, at: usize) {
        while let Some(output) = self.processes[at].machine.poll_output() {
            match output {
                Output::Datagram { to, bytes } => self.send(at, to, bytes),
                Output::Request { token, to, bytes } => {
                    let life = self.processes[at].machine.own().epoch;
                    let due_us = self.now_us + self.latency();
                    self.schedule(due_us, Happening::Request { from: at, life, token, to, bytes });
                }
            }
        }
        while let Some(event) = self.processes[at].machine.poll_event() {
            self.check_event(at, &event);
            self.processes[at].events.push((self.now_us, event));
        }
        let process = &mut self.processes[at];
        if let Some(due_us) = process.machine.poll_timeout()
            && due_us.max(self.now_us) < process.armed_us
        {
            let due_us = due_us.max(self.now_us);
            process.armed_us = due_us;
            self.schedule(due_us, Happening::Timer { at });
        }
    }

    fn send(&mut self, from: usize, to: SocketAddr, bytes: Vec<u8>) {
        self.datagrams += 1;
        self.datagram_bytes += bytes.len() as u64;
        self.datagram_bytes_max = self.datagram_bytes_max.max(bytes.len());
        let blocked = self.by_addr.get(&to).is_none_or(|&at| self.cuts.lie_between(from, at));
        if blocked || self.random.chance(self.weather.loss) {
            return;
        }
        let from = self.processes[from].addr;
        if self.random.chance(self.weather.duplication) {
            let due_us = self.now_us + self.latency();
            self.schedule(due_us, Happening::Datagram { from, to, bytes: bytes.clone() });
        }
        let due_us = self.now_us + self.latency();
        self.schedule(due_us, Happening::Datagram { from, to, bytes });
    }

    /// Events of one life alternate, incarnations never fall, and the dead come back only by contradicting.
    fn check_event(&mut self, at: usize, event: &Event) {
        let record = event.record().clone();
        let now_us = self.now_us;
        let process = &mut self.processes[at];
        let life = (record.id.clone(), record.epoch);
        let before = process.told.get(&life).copied();
        let status = before.map(|(status, _)| status);
        let grown = before.is_none_or(|(_, incarnation)| record.incarnation > incarnation);
        let fine = match event {
            Event::Up(_) => status.is_none() || (status == Some(Status::Dead) && grown),
            Event::Restarted(_) => before.is_none(),
            Event::Suspect(_) => status == Some(Status::Alive),
            Event::Recovered(_) => status == Some(Status::Suspect) && grown,
            Event::Dead(_) | Event::Left(_) | Event::Updated(_) => status.is_some_and(Status::is_live),
            Event::Superseded(_) | Event::Conflict(_) => return,
        };
        let falls = before.is_some_and(|(_, incarnation)| record.incarnation < incarnation);
        process.told.insert(life, (record.status, record.incarnation));
        if !fine || falls {
            let name = process.machine.own().id.clone();
            self.faults.push(format!("{now_us}: {name} was told {event:?} after {before:?}"));
        }
    }

    /// Times at which running processes were told that a life is dead, by observer.
    #[must_use]
    pub fn deaths_of(&self, id: &str, epoch: u64) -> Vec<(usize, u64)> {
        self.running()
            .filter_map(|at| {
                let told = self.processes[at].events.iter().find(
                    |(_, event)| matches!(event, Event::Dead(record) if &*record.id == id && record.epoch == epoch),
                );
                told.map(|&(when_us, _)| (at, when_us))
            })
            .collect()
    }

    /// How many times running processes were told that somebody is dead.
    #[must_use]
    pub fn death_notices(&self) -> usize {
        self.processes
            .iter()
            .map(|process| process.events.iter().filter(|(_, event)| matches!(event, Event::Dead(_))).count())
            .sum()
    }
}
