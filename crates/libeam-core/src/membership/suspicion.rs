//! Suspicion: how long a member that does not answer has, and what shortens it.

use super::member::{Event, NodeId, Record, Status};
use super::message::Message;
use super::sync::Purpose;
use super::table::Suspicion;
use super::{Judgement, Membership, Timer, verdict};

/// Members that died within this time count when a node asks itself whether it is the one that is cut off.
const DOUBT_WINDOW_US: u64 = 60_000_000;

impl Membership {
    /// This node suspects a member.
    pub(super) fn suspect(&mut self, id: &str, now_us: u64) {
        let Some(member) = self.table.get(id) else { return };
        let Record { id, epoch, incarnation, status, .. } = member.record.clone();
        if status.is_live() {
            let from = self.own.id.clone();
            let judgement = Judgement { id, epoch, incarnation, status: Status::Suspect, from };
            self.judge(now_us, &judgement, None);
        }
    }

    /// Nothing listens at a member's address: it has a moment to turn up elsewhere.
    pub(super) fn suspect_briefly(&mut self, id: &str, now_us: u64) {
        self.suspect(id, now_us);
        let deadline_us = now_us + 2 * self.config.probe_timeout_us * self.patience();
        self.move_deadline(id, deadline_us);
    }

    /// A member becomes suspect, on somebody's word.
    pub(super) fn begin_suspicion(&mut self, mut record: Record, incarnation: u32, from: NodeId, now_us: u64) {
        record.status = Status::Suspect;
        record.incarnation = incarnation;
        let id = record.id.clone();
        let cluster_len = self.cluster_len();
        // Only others than the two of them can confirm.
        let most = (self.config.suspicion_multiplier as usize).saturating_sub(2);
        let confirmations_max = if cluster_len.saturating_sub(2) < most { 0 } else { most };
        self.table.put(record.clone(), now_us);
        let message = verdict(&record, &from);
        self.spread(id.clone(), &message, now_us);
        let suspicion = Suspicion {
            since_us: now_us,
            deadline_us: u64::MAX,
            confirmed_by: vec![from],
            confirmations_max,
            last_chance_us: None,
            generation: 0,
        };
        let deadline_us = now_us + self.suspicion_us(0, confirmations_max);
        if let Some(member) = self.table.get_mut(&id) {
            member.suspicion = Some(suspicion);
        }
        self.move_deadline(&id, deadline_us);
        self.events.push_back(Event::Suspect(record));
    }

    /// How long suspicion lasts with so many confirmations (Lifeguard, section 4.2).
    fn suspicion_us(&self, confirmations: usize, max: usize) -> u64 {
        let shortest = self.config.suspicion_min_us(self.cluster_len());
        if max == 0 || confirmations >= max {
            return shortest;
        }
        let longest = shortest * u64::from(self.config.suspicion_max_multiplier);
        let share = ((confirmations + 1) as f64).ln() / ((max + 1) as f64).ln();
        longest - ((longest - shortest) as f64 * share) as u64
    }

    /// Somebody else suspects a suspect.
    pub(super) fn confirm(&mut self, judgement: &Judgement, now_us: u64) {
        let Some(suspicion) = self.table.get(&judgement.id).and_then(|member| member.suspicion.as_ref()) else {
            return;
        };
        let enough = suspicion.confirmed_by.len() > suspicion.confirmations_max;
        if enough || suspicion.confirmed_by.contains(&judgement.from) {
            return;
        }
        let deadline_us =
            suspicion.since_us + self.suspicion_us(suspicion.confirmed_by.len(), suspicion.confirmations_max);
        if let Some(member) = self.table.get_mut(&judgement.id) {
            let record = member.record.clone();
            if let Some(suspicion) = member.suspicion.as_mut() {
                suspicion.confirmed_by.push(judgement.from.clone());
            }
            let message = verdict(&record, &judgement.from);
            self.spread(judgement.id.clone(), &message, now_us);
        }
        self.move_deadline(&judgement.id, deadline_us.max(now_us));
    }

    /// Somebody has waited in vain for a suspect: this node waits as long as if all had confirmed.
    pub(super) fn confirm_fully(&mut self, id: &str, (epoch, incarnation): (u64, u32), now_us: u64) {
        let Some(member) = self.table.get(id) else { return };
        if (member.record.epoch, member.record.incarnation) != (epoch, incarnation) {
            return;
        }
        let Some(since_us) = member.suspicion.as_ref().map(|suspicion| suspicion.since_us) else { return };
        self.move_deadline(id, (since_us + self.suspicion_us(usize::MAX, 0)).max(now_us));
    }

    /// Moves the end of a suspicion forward, never back.
    fn move_deadline(&mut self, id: &str, deadline_us: u64) {
        let Some(suspicion) = self.table.get_mut(id).and_then(|member| member.suspicion.as_mut()) else { return };
        if suspicion.last_chance_us.is_none() && deadline_us < suspicion.deadline_us {
            self.generations += 1;
            suspicion.deadline_us = deadline_us;
            suspicion.generation = self.generations;
            self.timers.insert((deadline_us, Timer::Suspicion(NodeId::from(id), self.generations)));
        }
    }

    /// A suspect's time is over: it gets a last chance, and then the verdict.
    pub(super) fn suspicion_timeout(&mut self, id: &NodeId, generation: u64, now_us: u64) {
        let Some(member) = self.table.get(id) else { return };
        let Some(suspicion) = member.suspicion.as_ref().filter(|suspicion| suspicion.generation == generation) else {
            return;
        };
        match suspicion.last_chance_us {
            None => self.last_chance(member.record.clone(), now_us),
            Some(sent_us) if member.heard_us >= sent_us => self.reprieve(id, now_us),
            Some(_) => self.condemn(member.record.clone(), now_us),
        }
    }

    fn last_chance(&mut self, record: Record, now_us: u64) {
        let sequence = self.next_sequence();
        let ping = Message::Ping { seq: sequence, target: record.id.clone(), view: self.view() };
        self.send(&record, &[ping]);
        self.ping_over_stream(&record, Purpose::LastChance { id: record.id.clone() });
        let deadline_us = now_us + self.config.probe_timeout_us * self.patience();
        self.generations += 1;
        let generation = self.generations;
        if let Some(suspicion) = self.table.get_mut(&record.id).and_then(|member| member.suspicion.as_mut()) {
            suspicion.last_chance_us = Some(now_us);
            suspicion.generation = generation;
        }
        self.timers.insert((deadline_us, Timer::Suspicion(record.id, generation)));
    }

    /// It answers, but its contradiction has not come yet: it has the same time once more.
    fn reprieve(&mut self, id: &NodeId, now_us: u64) {
        let deadline_us = now_us + self.suspicion_us(usize::MAX, 0);
        if let Some(suspicion) = self.table.get_mut(id).and_then(|member| member.suspicion.as_mut()) {
            suspicion.last_chance_us = None;
            suspicion.deadline_us = u64::MAX;
        }
        self.move_deadline(id, deadline_us);
    }

    fn condemn(&mut self, mut record: Record, now_us: u64) {
        record.status = Status::Dead;
        self.table.put(record.clone(), now_us);
        let recent = now_us.saturating_sub(DOUBT_WINDOW_US);
        let lost = self.table.iter().filter(|member| member.record.status == Status::Dead && member.since_us >= recent);
        let known = self.cluster_len() + lost.count();
        let doubtful = self.health > 0 || (self.table.alive_len() + 1) * 2 <= known;
        if !doubtful {
            let message = verdict(&record, &self.own.id);
            self.spread(record.id.clone(), &message, now_us);
        }
        self.events.push_back(Event::Dead(record));
    }
}
