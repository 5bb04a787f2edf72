//! Who is in the cluster: SWIM with Lifeguard, without input or output.
//!
//! # What it is
//! Each node keeps a [`Table`] of the others and finds out about changes by probing one random member
//! per interval (SWIM, Das, Gupta and Motivala 2002). News rides on probes and on rounds of gossip
//! ([`rumours`]). A node that is slow itself is more patient with others (Lifeguard, Dadgar, Phillips
//! and Currey 2017): its *health* stretches its timeouts, those who help a probe say that they are
//! there (nack), a suspect is told first, and suspicion shrinks with each confirmation.
//!
//! # States of a member, as another one sees it
//! ```text
//!            no answer             deadline, last chance missed
//!   Alive ───────────────> Suspect ────────────────────────────> Dead ──> forgotten after a day
//!     ^ <──────────────────── │                                   │
//!     └ a higher incarnation: the member contradicts ─────────────┘        Left: final for this life
//! ```
//! A later epoch is a new life and begins as Alive, at whatever address.
//!
//! # Rules beyond SWIM
//! 1. *Last chance.* A suspect's deadline does not kill: it is pinged once more, over both ways.
//! 2. *Doubt.* A node that doubts itself (poor health, or it sees no more than half of its members
//!    alive) keeps its verdict of death to itself.
//! 3. *Re-announce.* Who repeats old news is sent the newer one, in as few datagrams as hold it: whoever comes back
//!    from the other side of a partition is wrong about everybody.
//! 4. *Fallback.* A probe that fails over datagrams is repeated over a stream; whatever a member has
//!    sealed and sent is a sign of life; a refused connection shortens its suspicion to a moment.
//! 5. *View hash.* Every ping and ack carries a hash of the view. A node that differs from two members in
//!    a row while there is no news exchanges tables with the second one over a stream; otherwise nobody does.
//!    In a row, whoever they are: two members of a large cluster meet once in a hundred rounds.
//! 6. *Hearsay.* A table that calls a member dead only makes it a suspect, whose time is as short as if all had
//!    confirmed. Who has heard from that member lately asks it first: probably the teller was cut off, or remembers a
//!    life before the member's clock was set back. The member contradicts, or it is silent and the next table is believed.
//!
//! # Ownership and order
//! The machine owns membership and nothing else. Time is an argument in microseconds and never goes
//! back. What is to be done comes out of [`Membership::poll_output`] and [`Membership::poll_event`], in
//! order. Whoever drives it MUST read the socket until it is empty before it calls `handle_timeout`
//! after a pause, and MUST answer every [`Output::Request`] with `handle_response`.
//!
//! # Limits
//! `members_max` members, [`member::META_BYTES_MAX`] bytes of metadata, datagrams of
//! `datagram_bytes_max` bytes. What is over a limit is ignored, never cut; but of the dead the oldest makes room for a member
//! that lives.
//!
//! # Deliberately absent
//! Names, groups and user messages (they go over sessions), consensus, and clocks: no two nodes
//! compare times, only lives.

pub mod config;
pub mod envelope;
pub mod member;
pub mod message;
mod probe;
pub mod random;
mod records;
pub mod rumours;
mod suspicion;
mod sync;
pub mod table;

use config::MembershipConfig;
use envelope::{Envelope, Keyring, Opened, Reject};
use member::{Event, META_BYTES_MAX, NodeId, Record, Status};
use message::{Encode, Message, Messages};
use probe::{Probe, Relay};
use random::Random;
use records::is_old;
use rumours::Rumours;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use sync::Purpose;
use table::{Table, contribution};

/// Something for the driver to do.
#[derive(Debug)]
pub enum Output {
    /// Send a datagram.
    Datagram {
        /// Where to.
        to: SocketAddr,
        /// What.
        bytes: Vec<u8>,
    },
    /// Connect, send these bytes, and give the bytes that come back to `handle_response`.
    Request {
        /// Names the request.
        token: u64,
        /// Where to.
        to: SocketAddr,
        /// What.
        bytes: Vec<u8>,
    },
}

/// Why a request has no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// Nothing listens there: a fact about the process.
    Refused,
    /// No answer in time, or the connection broke.
    Unreachable,
    /// The other end has taken the request and closed the connection: it does not let this node in, or has no time.
    Unanswered,
}

/// What other parts of the runtime know about a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// It has sent authenticated bytes just now.
    Active,
    /// Its connection was refused or has ended: nothing listens there any more.
    Refused,
}

/// When something is to happen; the order of equal times is the order here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    ProbeTimeout(u32),
    Relay(u32),
    Suspicion(NodeId, u64),
    Round,
    Gossip,
    Seeds,
    Reconnect,
    Forget,
    Leave,
}

/// One node's membership. See the module's header.
#[derive(Debug)]
pub struct Membership {
    config: MembershipConfig,
    random: Random,
    envelope: Envelope,
    own: Record,
    table: Table,
    rumours: Rumours,
    /// 0 is well; every step makes this node more patient.
    health: u32,
    timers: BTreeSet<(u64, Timer)>,
    gossip_scheduled: bool,
    probe: Option<Probe>,
    relays: HashMap<u32, Relay>,
    /// Members in the order of this round of probes, next one last.
    round: Vec<NodeId>,
    sequence: u32,
    requests: HashMap<u64, Purpose>,
    next_token: u64,
    /// Of whom the sender of the packet that is being read has old news. Empty between packets.
    outdated: Vec<NodeId>,
    /// Members in a row that had another view while there was nothing to tell.
    mismatches: u8,
    /// Earliest time of the next exchange of tables for differing views.
    next_sync_us: u64,
    seeds: Vec<SocketAddr>,
    /// Some member has answered.
    joined: bool,
    superseded: bool,
    /// The farewell is over.
    gone: bool,
    generations: u64,
    outputs: VecDeque<Output>,
    events: VecDeque<Event>,
    rejected: u64,
}

/// What a node says of itself at the start.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Names the node; 1 to 255 bytes.
    pub id: NodeId,
    /// Names this life: milliseconds since 1970, and more than any earlier life's.
    pub epoch: u64,
    /// Where its datagrams and streams arrive.
    pub addr: SocketAddr,
    /// At most [`META_BYTES_MAX`] bytes.
    pub meta: Arc<[u8]>,
}

impl Membership {
    /// A node that knows nobody. It probes from now on; call [`Membership::join`] to find others.
    #[must_use]
    pub fn new(config: MembershipConfig, identity: Identity, keys: Keyring, now_us: u64, seed: u64) -> Self {
        let Identity { id, epoch, addr, meta } = identity;
        let mut random = Random::new(seed);
        let first = now_us + random.draw() % config.probe_interval_us.max(1);
        let forget = now_us + config.forget_after_us;
        let mut machine = Self {
            random,
            // Room for all members, and for as many that were forgotten.
            envelope: Envelope::new(keys, 2 * config.members_max),
            own: Record { id, epoch, incarnation: 0, status: Status::Alive, addr, meta },
            table: Table::default(),
            rumours: Rumours::default(),
            health: 0,
            timers: BTreeSet::from([(first, Timer::Round), (forget, Timer::Forget)]),
            gossip_scheduled: false,
            probe: None,
            relays: HashMap::new(),
            round: Vec::new(),
            sequence: 0,
            requests: HashMap::new(),
            next_token: 0,
            outdated: Vec::new(),
            mismatches: 0,
            next_sync_us: 0,
            seeds: Vec::new(),
            joined: false,
            superseded: false,
            gone: false,
            generations: 0,
            outputs: VecDeque::new(),
            events: VecDeque::new(),
            rejected: 0,
            config,
        };
        machine.schedule_reconnect(now_us);
        machine
    }

    /// This node.
    #[must_use]
    pub const fn own(&self) -> &Record {
        &self.own
    }

    /// The others, dead ones included.
    #[must_use]
    pub const fn table(&self) -> &Table {
        &self.table
    }

    /// Hash of all live members, this node included. Equal hashes mean equal views.
    #[must_use]
    pub fn view(&self) -> u64 {
        self.table.view() ^ contribution(&self.own)
    }

    /// How much this node doubts itself; 0 is not at all.
    #[must_use]
    pub const fn health(&self) -> u32 {
        self.health
    }

    /// Packets that were not let in.
    #[must_use]
    pub const fn rejected(&self) -> u64 {
        self.rejected
    }

    /// The keys; changes hold from the next packet on.
    pub const fn keys_mut(&mut self) -> &mut Keyring {
        self.envelope.keys_mut()
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The next thing to know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When `handle_timeout` wants to be called, in microseconds.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<u64> {
        self.timers.first().map(|&(due_us, _)| due_us)
    }

    /// Whether the node has left and said so for long enough.
    #[must_use]
    pub const fn is_gone(&self) -> bool {
        self.gone
    }

    /// Changes what this node says about itself; false if it is too long.
    #[must_use]
    pub fn set_meta(&mut self, meta: Arc<[u8]>, now_us: u64) -> bool {
        if meta.len() > META_BYTES_MAX {
            return false;
        }
        self.own.meta = meta;
        self.own.incarnation = self.own.incarnation.saturating_add(1);
        self.announce(now_us);
        true
    }

    /// Says goodbye. [`Membership::is_gone`] holds when there was time to spread it.
    pub fn leave(&mut self, now_us: u64) {
        if self.own.status == Status::Left {
            return;
        }
        self.own.status = Status::Left;
        let farewell = verdict(&self.own, &self.own.id);
        self.spread(self.own.id.clone(), &farewell, now_us);
        let fanout = self.config.gossip_fanout * FAREWELL_FANOUTS;
        for member in self.table.sample(&mut self.random, fanout, |member| member.record.status.is_live()) {
            self.send(&member, std::slice::from_ref(&farewell));
        }
        self.timers.insert((now_us + self.config.leave_us, Timer::Leave));
    }

    /// A datagram has come.
    ///
    /// # Errors
    /// The reason for which it was dropped. Nothing has changed then.
    pub fn handle_datagram(&mut self, now_us: u64, from: SocketAddr, bytes: &[u8]) -> Result<(), Reject> {
        let opened = match self.admit(bytes) {
            Ok(opened) => opened,
            Err(reject) => {
                self.rejected += 1;
                if reject == Reject::OldLife {
                    self.tell_old_life(from, bytes);
                }
                return Err(reject);
            }
        };
        let (source, epoch, body) = (opened.source, opened.epoch, opened.body);
        let sender = Sender { id: source, epoch, addr: from };
        self.hear(&sender, now_us);
        let mut messages = Messages::new(body);
        while let Some(message) = messages.next_news(|claim| is_old(&self.table, claim)) {
            self.handle_message(now_us, &sender, message);
        }
        self.correct(&sender);
        Ok(())
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now_us: u64) {
        while let Some((due_us, timer)) = self.timers.first().cloned() {
            if due_us > now_us {
                return;
            }
            self.timers.pop_first();
            match timer {
                Timer::ProbeTimeout(sequence) => self.probe_timeout(sequence),
                Timer::Relay(sequence) => self.relay_timeout(sequence),
                Timer::Suspicion(id, generation) => self.suspicion_timeout(&id, generation, now_us),
                Timer::Round => self.next_round(due_us, now_us),
                Timer::Gossip => self.gossip(now_us),
                Timer::Seeds => self.ask_seed(now_us),
                Timer::Reconnect => self.reconnect(now_us),
                Timer::Forget => self.forget(now_us),
                Timer::Leave => self.gone = true,
            }
        }
    }

    /// Another part of the runtime knows something about a member.
    pub fn hint(&mut self, id: &str, hint: Hint, now_us: u64) {
        match hint {
            Hint::Active => {
                if let Some(member) = self.table.get_mut(id) {
                    member.heard_us = now_us;
                }
            }
            Hint::Refused => self.suspect_briefly(id, now_us),
        }
    }

    /// Opens a packet for this life of this node.
    fn admit<'a>(&mut self, bytes: &'a [u8]) -> Result<Opened<'a>, Reject> {
        let opened = self.envelope.open(bytes)?;
        if opened.target != self.own.epoch {
            return Err(Reject::OtherLife);
        }
        if self.table.get(&opened.source).is_some_and(|known| known.record.epoch > opened.epoch) {
            return Err(Reject::OldLife);
        }
        // Two processes with one id have sequences of their own, and must hear of each other.
        if opened.source != self.own.id {
            if self.envelope.is_full() {
                self.forget_strangers();
            }
            self.envelope.admit(&opened)?;
        }
        Ok(opened)
    }

    /// A process speaks whose id has a later life: it is told, nobody else would do it.
    fn tell_old_life(&mut self, from: SocketAddr, bytes: &[u8]) {
        let Ok(opened) = self.envelope.open(bytes) else { return };
        let Some(later) = self.later_life((&opened.source, opened.epoch), from) else { return };
        let epoch = opened.epoch;
        self.send_to(from, epoch, [Message::State(later)].iter());
    }

    /// What is known of a later life of a node. Of one that was forgotten only the numbers of its packets are left; it is
    /// over, at whatever address.
    fn later_life(&self, (id, epoch): (&NodeId, u64), addr: SocketAddr) -> Option<Record> {
        if let Some(known) = self.table.get(id) {
            return (known.record.epoch > epoch).then(|| known.record.clone());
        }
        let later = self.envelope.latest_life(id).filter(|&latest| latest > epoch)?;
        let (incarnation, status, meta) = (0, Status::Dead, Arc::default());
        Some(Record { id: id.clone(), epoch: later, incarnation, status, addr, meta })
    }

    /// A member has sealed something: it lives.
    fn hear(&mut self, sender: &Sender, now_us: u64) {
        if let Some(member) = self.table.get_mut(&sender.id)
            && member.record.epoch == sender.epoch
        {
            member.heard_us = now_us;
        }
    }

    fn handle_message(&mut self, now_us: u64, sender: &Sender, message: Message) {
        match message {
            Message::Ping { seq, target, view } => self.pinged(now_us, sender, seq, (&target, view)),
            Message::Ack { seq, view } => self.acked(now_us, sender, seq, view),
            Message::PingReq { seq, target } => self.relay(now_us, sender, seq, &target),
            Message::Nack { seq } => self.nacked(seq),
            Message::State(record) => self.learn(now_us, record, Some(sender)),
            Message::Verdict { id, epoch, incarnation, status, from } => {
                self.judge(now_us, &Judgement { id, epoch, incarnation, status, from }, Some(sender));
            }
            Message::Sync => {} // Only over streams.
        }
    }

    /// How many times longer this node waits than a healthy one.
    fn patience(&self) -> u64 {
        u64::from(self.health) + 1
    }

    fn feel(&mut self, change: i32) {
        self.health = self.health.saturating_add_signed(change).min(self.config.health_max);
    }

    /// Members that count, this node included.
    fn cluster_len(&self) -> usize {
        self.table.live_len() + 1
    }

    fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    /// Has news spread from the next round of gossip on.
    fn spread(&mut self, about: NodeId, message: &Message, now_us: u64) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        self.rumours.spread(about, Arc::from(bytes));
        if !self.gossip_scheduled {
            self.gossip_scheduled = true;
            self.timers.insert((now_us + self.config.gossip_interval_us, Timer::Gossip));
        }
    }

    /// Has news about this node spread.
    fn announce(&mut self, now_us: u64) {
        let message = Message::State(self.own.clone());
        self.spread(self.own.id.clone(), &message, now_us);
    }

    /// Tells some members the news.
    fn gossip(&mut self, now_us: u64) {
        self.gossip_scheduled = false;
        if self.rumours.is_empty() {
            return;
        }
        let recent = now_us.saturating_sub(GOSSIP_TO_DEAD_US);
        let members = self.table.sample(&mut self.random, self.config.gossip_fanout, |member| {
            member.record.status.is_live() || (member.record.status == Status::Dead && member.since_us > recent)
        });
        for member in members {
            self.send(&member, &[]);
        }
        if !self.rumours.is_empty() {
            self.gossip_scheduled = true;
            self.timers.insert((now_us + self.config.gossip_interval_us, Timer::Gossip));
        }
    }

    /// Sends messages to a member, with as much news as fits. A suspect is told so first.
    fn send(&mut self, member: &Record, messages: &[Message]) {
        let suspected = self.table.get(&member.id).is_some_and(|known| known.record.status == Status::Suspect);
        let about = suspected.then(|| verdict(&self.table.get(&member.id).expect("known").record, &self.own.id));
        self.send_to(member.addr, member.epoch, messages.iter().chain(about.as_ref()));
    }

    fn send_to<'a>(&mut self, to: SocketAddr, epoch: u64, messages: impl Iterator<Item = &'a Message>) {
        self.send_written(to, epoch, |out| messages.for_each(|message| message.encode(out)));
    }

    /// Bytes of messages that a datagram has room for.
    fn room(&self) -> usize {
        self.config.datagram_bytes_max - self.envelope.overhead(&self.own.id)
    }

    /// Sends what `write` appends, with as much news as fits.
    fn send_written(&mut self, to: SocketAddr, epoch: u64, write: impl FnOnce(&mut Vec<u8>)) {
        let room = self.room();
        let transmits = self.config.transmits(self.cluster_len());
        let rumours = &mut self.rumours;
        let bytes = self.envelope.seal((&self.own.id, self.own.epoch), epoch, |out| {
            let start = out.len();
            write(out);
            let used = out.len() - start;
            rumours.fill(out, room.saturating_sub(used), transmits);
        });
        self.outputs.push_back(Output::Datagram { to, bytes });
    }

    /// Forgets the dead of long ago.
    fn forget(&mut self, now_us: u64) {
        let oldest = now_us.saturating_sub(self.config.forget_after_us);
        self.table.retain(|member| member.since_us > oldest);
        // Recordings of nodes that are forgotten are refused for as long as there is room to remember them.
        if self.envelope.sources_len() > self.config.members_max / 2 {
            self.forget_strangers();
        }
        self.timers.insert((now_us + self.config.forget_after_us / 24, Timer::Forget));
    }

    /// Forgets the packets of those who are no members.
    fn forget_strangers(&mut self) {
        let table = &self.table;
        self.envelope.retain(|source| table.get(source).is_some());
    }
}

/// Members that hear a farewell at once, in fan-outs of gossip.
const FAREWELL_FANOUTS: usize = 5;
/// The newly dead are told the news for so long, so that they can contradict.
const GOSSIP_TO_DEAD_US: u64 = 30_000_000;

/// Who has sent a packet.
#[derive(Clone, Debug)]
struct Sender {
    id: NodeId,
    epoch: u64,
    addr: SocketAddr,
}

/// A verdict about one life of a node.
#[derive(Clone, Debug)]
struct Judgement {
    id: NodeId,
    epoch: u64,
    incarnation: u32,
    status: Status,
    from: NodeId,
}

/// What is thought of a member, as a message.
fn verdict(record: &Record, from: &NodeId) -> Message {
    let Record { id, epoch, incarnation, status, .. } = record.clone();
    Message::Verdict { id, epoch, incarnation, status, from: from.clone() }
}
