//! Probes: is the next member there?

use super::member::{NodeId, Record};
use super::message::Message;
use super::sync::Purpose;
use super::{Membership, Sender, Timer};
use std::net::SocketAddr;

/// The probe of this round.
#[derive(Debug)]
pub(super) struct Probe {
    sequence: u32,
    target: NodeId,
    sent_us: u64,
    acked: bool,
    /// Helpers that were asked.
    helpers: u32,
    /// Helpers that said that they are there.
    nacks: u32,
}

/// A probe on behalf of somebody else.
#[derive(Debug)]
pub(super) struct Relay {
    origin: SocketAddr,
    origin_epoch: u64,
    origin_sequence: u32,
    target: NodeId,
}

/// Part of the probe timeout after which a helper says that it is there, in percent.
const NACK_PERCENT: u64 = 80;

impl Membership {
    /// Ends the round that is over and begins the next one.
    pub(super) fn next_round(&mut self, due_us: u64, now_us: u64) {
        // A timer that fires late says something about this node, not about the other one.
        let paused = now_us.saturating_sub(due_us) > self.config.probe_timeout_us / 2;
        if let Some(probe) = self.probe.take() {
            self.end_round(&probe, paused, now_us);
        }
        let patience = self.patience();
        self.timers.insert((now_us + self.config.probe_interval_us * patience, Timer::Round));
        let Some(target) = self.next_target() else { return };
        let sequence = self.next_sequence();
        let ping = Message::Ping { seq: sequence, target: target.id.clone(), view: self.view() };
        self.send(&target, &[ping]);
        self.timers.insert((now_us + self.config.probe_timeout_us * patience, Timer::ProbeTimeout(sequence)));
        let probe = Probe { sequence, target: target.id, sent_us: now_us, acked: false, helpers: 0, nacks: 0 };
        self.probe = Some(probe);
    }

    fn end_round(&mut self, probe: &Probe, paused: bool, now_us: u64) {
        if probe.acked {
            return;
        }
        let heard = self.table.get(&probe.target).is_some_and(|member| member.heard_us >= probe.sent_us);
        if paused {
            self.feel(1);
        } else if !heard {
            // Helpers that are silent as well point at this node.
            let silent = probe.helpers.saturating_sub(probe.nacks);
            self.feel(if probe.helpers > 0 { silent as i32 } else { 1 });
            self.suspect(&probe.target, now_us);
        }
    }

    /// The next live member of this round; a new round has a new order.
    fn next_target(&mut self) -> Option<Record> {
        for _ in 0..2 {
            while let Some(id) = self.round.pop() {
                if let Some(member) = self.table.get(&id)
                    && member.record.status.is_live()
                {
                    return Some(member.record.clone());
                }
            }
            self.round = self.table.iter().map(|member| member.record.id.clone()).collect();
            self.random.shuffle(&mut self.round);
        }
        None
    }

    /// A new member is probed at some time in this round.
    pub(super) fn enter_round(&mut self, id: NodeId) {
        let at = self.random.below(self.round.len() + 1);
        self.round.insert(at, id);
    }

    /// So is one that is back, or in another life, and no oftener: else one that begins again and again would be all there is
    /// to probe.
    pub(super) fn enter_round_again(&mut self, id: NodeId) {
        if !self.round.contains(&id) {
            self.enter_round(id);
        }
    }

    /// No answer: asks others to try, and tries a stream.
    pub(super) fn probe_timeout(&mut self, sequence: u32) {
        let Some(probe) = self.probe.as_ref().filter(|probe| probe.sequence == sequence && !probe.acked) else {
            return;
        };
        let target = probe.target.clone();
        let Some(member) = self.table.get(&target).filter(|member| member.heard_us < probe.sent_us) else { return };
        let record = member.record.clone();
        let helpers = self.table.sample(&mut self.random, self.config.indirect_probes, |member| {
            member.record.status == super::member::Status::Alive && member.record.id != target
        });
        if let Some(probe) = self.probe.as_mut() {
            probe.helpers = helpers.len() as u32;
        }
        for helper in helpers {
            self.send(&helper, &[Message::PingReq { seq: sequence, target: target.clone() }]);
        }
        self.ping_over_stream(&record, Purpose::Probe { sequence, id: target });
    }

    /// Somebody asks whether this node is there.
    pub(super) fn pinged(&mut self, now_us: u64, sender: &Sender, seq: u32, (target, view): (&NodeId, u64)) {
        if *target != self.own.id {
            return; // The address has changed hands.
        }
        let ack = Message::Ack { seq, view: self.view() };
        self.send_to(sender.addr, sender.epoch, [ack].iter());
        self.compare_views(now_us, sender, view);
    }

    /// A probe is answered.
    pub(super) fn acked(&mut self, now_us: u64, sender: &Sender, seq: u32, view: u64) {
        if let Some(relay) = self.relays.get(&seq) {
            if relay.target != sender.id {
                return;
            }
            let relay = self.relays.remove(&seq).expect("just seen");
            let ack = Message::Ack { seq: relay.origin_sequence, view: self.view() };
            self.send_to(relay.origin, relay.origin_epoch, [ack].iter());
            return;
        }
        self.answered(seq);
        self.compare_views(now_us, sender, view);
    }

    /// The probe of this round has been answered, by whatever way.
    pub(super) fn answered(&mut self, sequence: u32) {
        if let Some(probe) = self.probe.as_mut()
            && probe.sequence == sequence
            && !probe.acked
        {
            probe.acked = true;
            self.feel(-1);
        }
    }

    pub(super) fn nacked(&mut self, sequence: u32) {
        if let Some(probe) = self.probe.as_mut()
            && probe.sequence == sequence
        {
            probe.nacks += 1;
        }
    }

    /// Probes a member for somebody else.
    pub(super) fn relay(&mut self, now_us: u64, sender: &Sender, seq: u32, target: &NodeId) {
        let Some(member) = self.table.get(target).map(|member| member.record.clone()) else { return };
        let sequence = self.next_sequence();
        let relay =
            Relay { origin: sender.addr, origin_epoch: sender.epoch, origin_sequence: seq, target: target.clone() };
        self.relays.insert(sequence, relay);
        let ping = Message::Ping { seq: sequence, target: target.clone(), view: self.view() };
        self.send(&member, &[ping]);
        let wait_us = self.config.probe_timeout_us * NACK_PERCENT / 100;
        self.timers.insert((now_us + wait_us, Timer::Relay(sequence)));
    }

    /// The member has not answered in time.
    pub(super) fn relay_timeout(&mut self, sequence: u32) {
        let Some(relay) = self.relays.remove(&sequence) else { return };
        let nack = Message::Nack { seq: relay.origin_sequence };
        self.send_to(relay.origin, relay.origin_epoch, [nack].iter());
    }
}
