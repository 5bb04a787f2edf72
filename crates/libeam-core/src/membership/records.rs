//! What a report changes: the rules of [`super::member`], applied.

use super::member::{Event, NodeId, Record, Status};
use super::message::{Claim, Encode, Message};
use super::table::Table;
use super::{Judgement, Membership, Sender, verdict};

/// Who was heard from within so many of the shortest suspicions is asked before it is suspected on somebody's word.
const HEARD_WITHIN: u64 = 4;

/// Whether news changes nothing and nobody needs an answer to it. What this is true of, [`Membership::learn`] and
/// [`Membership::judge`] would pass over.
pub(super) fn is_old(table: &Table, claim: &Claim<'_>) -> bool {
    let Some(known) = table.get(claim.id).map(|member| &member.record) else { return false };
    (claim.epoch, claim.incarnation) == (known.epoch, known.incarnation)
        && match known.status {
            Status::Alive | Status::Suspect => claim.status == Status::Alive,
            Status::Dead => claim.status != Status::Left,
            Status::Left => true,
        }
}

impl Membership {
    /// A report in full.
    pub(super) fn learn(&mut self, now_us: u64, record: Record, sender: Option<&Sender>) {
        if record.id == self.own.id {
            self.learn_of_self(now_us, &record, sender);
            return;
        }
        if self.table.get(&record.id).is_none()
            && let Some(later) = self.later_life((&record.id, record.epoch), record.addr)
        {
            // Nothing that this life says would be let in. It is told so when it is met, and calls itself a later one.
            self.remember(now_us, later);
            return;
        }
        match record.status {
            Status::Alive => self.learn_alive(now_us, record, sender),
            Status::Suspect | Status::Dead | Status::Left => self.learn_worse(now_us, record, sender),
        }
    }

    /// Somebody else's table says that a member is not alive.
    fn learn_worse(&mut self, now_us: u64, record: Record, sender: Option<&Sender>) {
        let from = sender.map_or_else(|| self.own.id.clone(), |sender| sender.id.clone());
        if !record.status.is_live() && self.asks_first(&record, &from, now_us) {
            return;
        }
        let known_epoch = self.table.get(&record.id).map(|member| member.record.epoch);
        if known_epoch.is_none_or(|epoch| epoch < record.epoch) {
            if !record.status.is_live() && known_epoch.is_none() {
                self.remember(now_us, record);
                return;
            }
            let alive = Record { status: Status::Alive, ..record.clone() };
            self.learn_alive(now_us, alive, sender);
        }
        let Record { id, epoch, incarnation, status, .. } = record;
        // A table is hearsay: who is said to be dead can still contradict. But somebody has waited already.
        let dead = status == Status::Dead;
        let status = if dead { Status::Suspect } else { status };
        self.judge(now_us, &Judgement { id: id.clone(), epoch, incarnation, status, from }, sender);
        if dead {
            self.confirm_fully(&id, (epoch, incarnation), now_us);
        }
    }

    /// Whether somebody is said to be dead from whom this node has heard lately: it was the teller who was cut off. The
    /// member is told, and contradicts. Only if it is silent for a round of probes the word is believed when it comes again.
    /// So it is with the end of a later life than the one that was heard from, whose clock was set back: that one calls its
    /// own life a later one still.
    fn asks_first(&mut self, said: &Record, from: &NodeId, now_us: u64) -> bool {
        let round_us = self.config.probe_interval_us;
        let lately_us = HEARD_WITHIN * self.config.suspicion_min_us(self.cluster_len());
        let Some(member) = self.table.get_mut(&said.id) else { return false };
        let known = &member.record;
        let is_later = said.epoch > known.epoch;
        let is_doubtful =
            said.epoch == known.epoch && said.status == Status::Dead && said.incarnation >= known.incarnation;
        if !(is_later || is_doubtful) || !known.status.is_live() {
            return false;
        }
        if member.heard_us < member.asked_us {
            return now_us < member.asked_us + round_us;
        }
        if member.heard_us <= now_us.saturating_sub(lately_us) {
            return false;
        }
        member.asked_us = now_us;
        let (addr, epoch) = (known.addr, known.epoch);
        let message = if is_later { Message::State(said.clone()) } else { verdict(said, from) };
        self.send_to(addr, epoch, [message].iter());
        true
    }

    /// A life that is over and was never known here: it must not come back.
    fn remember(&mut self, now_us: u64, record: Record) {
        if self.table.len() < self.config.members_max {
            self.table.remember(record, now_us);
        }
    }

    fn learn_alive(&mut self, now_us: u64, record: Record, sender: Option<&Sender>) {
        let Some(known) = self.table.get(&record.id).map(|member| &member.record) else {
            if self.table.len() < self.config.members_max || self.table.forget_oldest() {
                self.table.put(record.clone(), now_us);
                self.enter_round(record.id.clone());
                self.accept(now_us, &record, Event::Up(record.clone()));
            }
            return;
        };
        let was = known.status;
        if record.epoch < known.epoch {
            self.re_announce(&record.id, sender);
        } else if record.epoch > known.epoch {
            let event = if was.is_live() { Event::Restarted } else { Event::Up };
            self.table.put(record.clone(), now_us);
            self.enter_round_again(record.id.clone());
            self.accept(now_us, &record, event(record.clone()));
        } else if was == Status::Left || record.incarnation <= known.incarnation {
            if record.incarnation < known.incarnation {
                self.re_announce(&record.id, sender);
            }
        } else {
            let moved = record.addr != known.addr || record.meta != known.meta;
            self.table.put(record.clone(), now_us);
            match was {
                Status::Dead => {
                    self.enter_round_again(record.id.clone());
                    self.accept(now_us, &record, Event::Up(record.clone()));
                }
                Status::Suspect => self.accept(now_us, &record, Event::Recovered(record.clone())),
                _ if moved => self.accept(now_us, &record, Event::Updated(record.clone())),
                _ => self.pass_on(now_us, &record),
            }
            if moved && was != Status::Alive {
                self.events.push_back(Event::Updated(record));
            }
        }
    }

    fn accept(&mut self, now_us: u64, record: &Record, event: Event) {
        self.events.push_back(event);
        self.pass_on(now_us, record);
    }

    fn pass_on(&mut self, now_us: u64, record: &Record) {
        self.spread(record.id.clone(), &Message::State(record.clone()), now_us);
    }

    /// Whoever repeats an old report is sent the newer one when all of its packet is read.
    fn re_announce(&mut self, id: &NodeId, sender: Option<&Sender>) {
        if sender.is_some() {
            self.outdated.push(id.clone());
        }
    }

    /// Sends what is known of those of whom the packet's sender has old news.
    pub(super) fn correct(&mut self, sender: &Sender) {
        let room = self.room();
        let mut body = Vec::new();
        for id in std::mem::take(&mut self.outdated) {
            let start = body.len();
            match self.table.get(&id).map(|member| &member.record) {
                None => self.own.encode(&mut body),
                Some(known) if known.status == Status::Alive => known.encode(&mut body),
                Some(known) => verdict(known, &self.own.id).encode(&mut body),
            }
            if start > 0 && body.len() > room {
                let rest = body.split_off(start);
                self.send_written(sender.addr, sender.epoch, |out| out.extend_from_slice(&body));
                body = rest;
            }
        }
        if !body.is_empty() {
            self.send_written(sender.addr, sender.epoch, |out| out.extend_from_slice(&body));
        }
    }

    /// A report about this node's own id.
    fn learn_of_self(&mut self, now_us: u64, record: &Record, sender: Option<&Sender>) {
        if record.epoch > self.own.epoch {
            self.meet_later_life(now_us, record);
        } else if record.epoch < self.own.epoch {
            // An earlier life is still told of; if it still speaks, it still runs.
            self.re_announce(&record.id, sender);
            if sender.is_some_and(|sender| sender.id == self.own.id) {
                self.events.push_back(Event::Conflict(record.clone()));
            }
        } else if record.incarnation > self.own.incarnation || record.status != Status::Alive {
            self.contradict(now_us, record.incarnation);
        }
    }

    /// A later life of this node: a memory if that one has ended or this one has not joined yet (the clock was set
    /// back), a second process otherwise.
    fn meet_later_life(&mut self, now_us: u64, record: &Record) {
        if !self.joined || !record.status.is_live() {
            self.own.epoch = record.epoch.saturating_add(1);
            self.announce(now_us);
        } else if !self.superseded {
            self.superseded = true;
            self.events.push_back(Event::Superseded(record.clone()));
        }
    }

    /// Says that this node is alive, louder than what was said.
    fn contradict(&mut self, now_us: u64, incarnation: u32) {
        if self.own.status == Status::Left || incarnation < self.own.incarnation {
            return;
        }
        self.own.incarnation = incarnation.saturating_add(1);
        self.feel(1);
        self.announce(now_us);
    }

    /// A verdict about a life.
    pub(super) fn judge(&mut self, now_us: u64, judgement: &Judgement, sender: Option<&Sender>) {
        if judgement.id == self.own.id {
            if judgement.epoch == self.own.epoch {
                self.contradict(now_us, judgement.incarnation);
            } else if judgement.epoch < self.own.epoch && judgement.status.is_live() {
                self.re_announce(&judgement.id, sender);
            }
            return;
        }
        let Some(known) = self.table.get(&judgement.id).map(|member| &member.record) else { return };
        let older = judgement.epoch < known.epoch
            || (judgement.epoch == known.epoch && judgement.incarnation < known.incarnation);
        if older && judgement.status != Status::Left {
            self.re_announce(&judgement.id, sender);
            return;
        }
        if judgement.epoch != known.epoch {
            return; // Of a life that is over, or of one that has not been announced here.
        }
        match (judgement.status, known.status) {
            (Status::Alive, _) | (_, Status::Left) | (Status::Suspect | Status::Dead, Status::Dead) => {}
            (Status::Suspect, Status::Alive) => {
                self.begin_suspicion(known.clone(), judgement.incarnation, judgement.from.clone(), now_us);
            }
            (Status::Suspect, Status::Suspect) => self.confirm(judgement, now_us),
            (status @ (Status::Dead | Status::Left), _) => {
                let was_live = known.status.is_live();
                let incarnation = judgement.incarnation.max(known.incarnation);
                let record = Record { status, incarnation, ..known.clone() };
                self.table.put(record.clone(), now_us);
                let message = verdict(&record, &judgement.from);
                self.spread(record.id.clone(), &message, now_us);
                match status {
                    Status::Left if was_live => self.events.push_back(Event::Left(record)),
                    Status::Dead => self.events.push_back(Event::Dead(record)),
                    _ => {}
                }
            }
        }
    }
}
