//! Exchanges of whole tables over streams: joining, healing, and whenever two views differ.
//!
//! A request carries the asker's table, the response the other one's. Tables may be as large as a
//! frame; they are authenticated like every packet.
//!
//! Whoever joins knows no epochs, so its first request names no life (target 0). Nothing tells such a packet
//! from a recording of it, so it changes nothing: it is answered with who is here, and the asker asks again
//! with that life as the target.
//! ```text
//! joiner  Sync {target 0}     ─▶  seed     nothing is learnt
//!         ◀─ State(seed), State(a later life of the joiner, if one is known)
//! joiner  Sync {target seed}, table  ─▶    tables are exchanged
//!         ◀─ table
//! ```

use super::envelope::{Opened, Reject};
use super::member::{NodeId, Record, Status};
use super::message::{Encode, Message, Messages};
use super::records::is_old;
use super::table::Member;
use super::{Membership, Output, RequestError, Sender, Timer};
use std::net::SocketAddr;

/// What a request is for.
#[derive(Clone, Debug)]
pub(super) enum Purpose {
    /// The probe of this round.
    Probe { sequence: u32, id: NodeId },
    /// The last ping of a suspect.
    LastChance { id: NodeId },
    /// Who is there? A seed, or a member that may be back in another life.
    Meet { at: SocketAddr },
    /// A member.
    Sync,
}

/// The target of a packet from somebody who does not know which life is there.
const ANY_LIFE: u64 = 0;
/// Bytes of an encoded record, about.
const RECORD_BYTES: usize = 64;
/// Comparisons in a row, with whomever, in which views must differ.
const MISMATCHES: u8 = 2;

impl Membership {
    /// Looks for the cluster at these addresses, and again whenever all members are gone. A node that
    /// finds nobody keeps trying.
    pub fn join(&mut self, seeds: &[SocketAddr], now_us: u64) {
        self.seeds = seeds.iter().copied().filter(|&seed| seed != self.own.addr).collect();
        self.ask_seed(now_us);
    }

    /// Asks one seed, and another one later unless somebody has answered.
    pub(super) fn ask_seed(&mut self, now_us: u64) {
        if self.seeds.is_empty() || self.table.live_len() > 0 || self.own.status == Status::Left {
            return;
        }
        let seed = self.seeds[self.random.below(self.seeds.len())];
        self.meet(seed);
        self.timers.retain(|(_, timer)| *timer != Timer::Seeds);
        let spread = self.random.draw() % (self.config.seed_retry_us / 2 + 1);
        self.timers.insert((now_us + self.config.seed_retry_us / 2 + spread, Timer::Seeds));
    }

    /// Tries one of the dead and one seed: they may be back, or on the other side of a cut.
    pub(super) fn reconnect(&mut self, now_us: u64) {
        self.schedule_reconnect(now_us);
        if self.own.status == Status::Left {
            return;
        }
        for dead in self.table.sample(&mut self.random, 1, |member| member.record.status == Status::Dead) {
            self.meet(dead.addr);
        }
        let known = |seed: &SocketAddr| {
            self.table.iter().any(|Member { record, .. }| record.status.is_live() && record.addr == *seed)
        };
        let strangers: Vec<SocketAddr> = self.seeds.iter().copied().filter(|seed| !known(seed)).collect();
        if !strangers.is_empty() {
            let seed = strangers[self.random.below(strangers.len())];
            self.meet(seed);
        }
    }

    /// Half an interval to one and a half: nodes that started together do not try together for ever.
    pub(super) fn schedule_reconnect(&mut self, now_us: u64) {
        let interval_us = self.config.reconnect_interval_us;
        let due_us = now_us + interval_us / 2 + self.random.draw() % interval_us.max(1);
        self.timers.insert((due_us, Timer::Reconnect));
    }

    /// Compares views with a member; tables are exchanged when they stay different.
    pub(super) fn compare_views(&mut self, now_us: u64, sender: &Sender, view: u64) {
        let same = view == self.view();
        let settled = self.rumours.is_empty();
        let Some(member) = self.table.get(&sender.id) else {
            // A stranger that knows this life: it will be in somebody's table.
            if now_us >= self.next_sync_us {
                self.next_sync_us = now_us + self.config.probe_interval_us;
                self.request_sync(sender.addr, sender.epoch);
            }
            return;
        };
        if same || !settled {
            self.mismatches = 0;
            return;
        }
        let to = member.record.addr;
        self.mismatches = self.mismatches.saturating_add(1);
        if self.mismatches >= MISMATCHES && now_us >= self.next_sync_us {
            self.mismatches = 0;
            self.next_sync_us = now_us + self.config.probe_interval_us;
            self.request_sync(to, sender.epoch);
        }
    }

    /// Pings over a stream, because datagrams were not answered.
    pub(super) fn ping_over_stream(&mut self, member: &Record, purpose: Purpose) {
        let ping = Message::Ping { seq: 0, target: member.id.clone(), view: self.view() };
        let own = (self.own.id.clone(), self.own.epoch);
        let bytes = self.envelope.seal((&own.0, own.1), member.epoch, |out| ping.encode(out));
        self.request(member.addr, bytes, purpose);
    }

    /// Asks who is there; tables are exchanged when that is known.
    fn meet(&mut self, at: SocketAddr) {
        let own = (self.own.id.clone(), self.own.epoch);
        let bytes = self.envelope.seal((&own.0, own.1), ANY_LIFE, |out| Message::Sync.encode(out));
        self.request(at, bytes, Purpose::Meet { at });
    }

    fn request_sync(&mut self, to: SocketAddr, epoch: u64) {
        let bytes = self.sealed_table(epoch, &[Message::Sync]);
        self.request(to, bytes, Purpose::Sync);
    }

    fn request(&mut self, to: SocketAddr, bytes: Vec<u8>, purpose: Purpose) {
        self.next_token += 1;
        self.requests.insert(self.next_token, purpose);
        self.outputs.push_back(Output::Request { token: self.next_token, to, bytes });
    }

    fn sealed_table(&mut self, epoch: u64, before: &[Message]) -> Vec<u8> {
        let Self { envelope, own, table, .. } = self;
        envelope.seal((&own.id, own.epoch), epoch, |out| {
            out.reserve(table.len() * RECORD_BYTES);
            before.iter().for_each(|message| message.encode(out));
            own.encode(out);
            table.iter().filter(|member| !member.is_hearsay).for_each(|member| member.record.encode(out));
        })
    }

    /// A request has come over a stream; gives the response, or nothing for what is none of ours.
    ///
    /// # Errors
    /// The reason for which it was dropped.
    pub fn handle_request(&mut self, now_us: u64, from: SocketAddr, bytes: &[u8]) -> Result<Vec<u8>, Reject> {
        let opened = self.envelope.open(bytes).inspect_err(|_| self.rejected += 1)?;
        if opened.target == ANY_LIFE {
            return self.introduce(&opened, from).inspect_err(|_| self.rejected += 1);
        }
        let opened = self.admit(bytes).inspect_err(|_| self.rejected += 1)?;
        let (source, epoch, body) = (opened.source, opened.epoch, opened.body);
        // The other end's port is not where its datagrams arrive; its table says where.
        let sender = table_sender(source, epoch, body, from);
        self.hear(&sender, now_us);
        let mut messages = Messages::new(body);
        match messages.next() {
            Some(Message::Sync) => {
                self.learn_table(now_us, &sender, messages);
                self.hear(&sender, now_us);
                self.joined = true;
                Ok(self.sealed_table(epoch, &[]))
            }
            Some(Message::Ping { seq, target, .. }) if target == self.own.id => {
                let ack = Message::Ack { seq, view: self.view() };
                let own = (self.own.id.clone(), self.own.epoch);
                Ok(self.envelope.seal((&own.0, own.1), epoch, |out| ack.encode(out)))
            }
            _ => Err(Reject::Malformed),
        }
    }

    /// Says who is here to somebody who does not know, and who may be a recording: nothing changes.
    fn introduce(&mut self, opened: &Opened<'_>, from: SocketAddr) -> Result<Vec<u8>, Reject> {
        if Messages::new(opened.body).next() != Some(Message::Sync) {
            return Err(Reject::Malformed);
        }
        let later = self.later_life((&opened.source, opened.epoch), from).map(Message::State);
        let own = self.own.clone();
        Ok(self.envelope.seal((&own.id, own.epoch), opened.epoch, |out| {
            Message::State(own.clone()).encode(out);
            later.iter().for_each(|message| message.encode(out));
        }))
    }

    /// A request has been answered, or not.
    pub fn handle_response(&mut self, now_us: u64, token: u64, response: Result<&[u8], RequestError>) {
        let Some(purpose) = self.requests.remove(&token) else { return };
        let bytes = match response {
            Ok(bytes) => bytes,
            Err(error) => return self.request_failed(now_us, &purpose, error),
        };
        let opened = match self.admit(bytes) {
            Ok(opened) => opened,
            Err(reject) => return self.response_rejected(&purpose, reject, bytes),
        };
        let (source, epoch, body) = (opened.source, opened.epoch, opened.body);
        match purpose {
            Purpose::Probe { sequence, id } if id == source => {
                self.hear(&Sender { id, epoch, addr: self.own.addr }, now_us);
                self.answered(sequence);
            }
            Purpose::LastChance { id } if id == source => {
                self.hear(&Sender { id, epoch, addr: self.own.addr }, now_us);
            }
            Purpose::Probe { .. } | Purpose::LastChance { .. } => {}
            Purpose::Meet { at } => {
                self.learn_reply(now_us, source, epoch, body);
                self.request_sync(at, epoch);
            }
            Purpose::Sync => self.learn_reply(now_us, source, epoch, body),
        }
    }

    /// A response was not let in. A process whose clock was set back knows nothing of its later life, and may know nobody
    /// else who could tell it.
    fn response_rejected(&mut self, purpose: &Purpose, reject: Reject, bytes: &[u8]) {
        self.rejected += 1;
        if let (Purpose::Meet { at }, Reject::OldLife) = (purpose, reject) {
            self.tell_old_life(*at, bytes);
        }
    }

    fn learn_reply(&mut self, now_us: u64, source: NodeId, epoch: u64, body: &[u8]) {
        let sender = table_sender(source, epoch, body, self.own.addr);
        self.learn_table(now_us, &sender, Messages::new(body));
        self.hear(&sender, now_us);
        self.joined = true;
    }

    fn request_failed(&mut self, now_us: u64, purpose: &Purpose, error: RequestError) {
        if let (Purpose::Probe { id, .. } | Purpose::LastChance { id }, RequestError::Refused) = (purpose, error) {
            self.suspect_briefly(id, now_us);
        }
    }

    fn learn_table(&mut self, now_us: u64, sender: &Sender, mut messages: Messages<'_>) {
        while let Some(message) = messages.next_news(|claim| is_old(&self.table, claim)) {
            if let Message::State(record) = message {
                self.learn(now_us, record, Some(sender));
            }
        }
        self.correct(sender);
    }
}

/// Who has sent a table, with the address that it gives itself.
fn table_sender(id: NodeId, epoch: u64, body: &[u8], fallback: SocketAddr) -> Sender {
    let addr = Messages::new(body).find_map(|message| match message {
        Message::State(record) if record.id == id => Some(record.addr),
        _ => None,
    });
    Sender { addr: addr.unwrap_or(fallback), id, epoch }
}
