//! A member that is told anything by whoever has the key: the table fed with decoded messages.
//!
//! The input is a script: `op | number | length | bytes`, with the bytes as the body of a packet, sealed by one of a few
//! nodes in one of a few lives. Between any two steps the rules that no message may break are checked: limits, lives and
//! incarnations that only grow, the end of a life that stays one, counts and hashes that fit the table.

use super::wire;
use crate::membership::config::MembershipConfig;
use crate::membership::envelope::{Envelope, Key, Keyring};
use crate::membership::member::{META_BYTES_MAX, NodeId, Record, Status};
use crate::membership::message::Encode;
use crate::membership::table::contribution;
use crate::membership::{Hint, Identity, Membership, Output, RequestError};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

const OWN_EPOCH: u64 = 3;
const MEMBERS_MAX: usize = 12;
const SOURCES: [&str; 4] = ["a", "b", "c", "stranger"];
/// Steps of a script at most: each may cost a whole exchange of tables.
const STEPS_MAX: usize = 400;

struct World {
    machine: Membership,
    seals: HashMap<(usize, u64), Envelope>,
    now_us: u64,
    requests: Vec<u64>,
    known: HashMap<NodeId, Record>,
}

/// Runs a script.
pub fn run(bytes: &[u8]) {
    let mut world = World::new();
    let mut rest = bytes;
    for _ in 0..STEPS_MAX {
        let Some((&[op, number, length], after)) = rest.split_first_chunk::<3>() else { return };
        let (body, after) = after.split_at(after.len().min(usize::from(length)));
        world.step(op, number, body);
        world.check();
        rest = after;
    }
}

fn keyring() -> Keyring {
    Keyring::of(Key::new(1, b"the secret of a test"))
}

fn addr(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

impl World {
    fn new() -> Self {
        let config = MembershipConfig { members_max: MEMBERS_MAX, ..MembershipConfig::lan() };
        let identity = Identity { id: NodeId::from("a"), epoch: OWN_EPOCH, addr: addr(1), meta: Arc::from(&b"m"[..]) };
        let mut machine = Membership::new(config, identity, keyring(), 0, 7);
        machine.join(&[addr(2)], 0);
        Self { machine, seals: HashMap::new(), now_us: 0, requests: Vec::new(), known: HashMap::new() }
    }

    fn step(&mut self, op: u8, number: u8, body: &[u8]) {
        let source = usize::from(number) % SOURCES.len();
        let epoch = 1 + u64::from(number >> 2) % 4;
        let packet = |world: &mut Self, target: u64| {
            let seal = world.seals.entry((source, epoch)).or_insert_with(|| Envelope::new(keyring(), 1));
            seal.seal((SOURCES[source], epoch), target, |out| out.extend_from_slice(body))
        };
        match op % 8 {
            0 | 1 => {
                let packet = packet(self, self.machine.own().epoch);
                let _ = self.machine.handle_datagram(self.now_us, addr(9), &packet);
            }
            2 => {
                let packet = packet(self, self.machine.own().epoch);
                let _ = self.machine.handle_request(self.now_us, addr(9), &packet);
            }
            3 => {
                let before = self.machine.table().len();
                let packet = packet(self, 0);
                let _ = self.machine.handle_request(self.now_us, addr(9), &packet);
                assert_eq!(self.machine.table().len(), before, "a packet that names no life has changed something");
            }
            4 => {
                let Some(token) = self.requests.pop() else { return };
                let packet = packet(self, self.machine.own().epoch);
                self.machine.handle_response(self.now_us, token, Ok(&packet));
            }
            5 => {
                let Some(token) = self.requests.pop() else { return };
                self.machine.handle_response(self.now_us, token, Err(RequestError::Refused));
            }
            6 => {
                self.now_us += u64::from(number) * 20_000;
                self.machine.handle_timeout(self.now_us);
            }
            _ => {
                let hint = if number < 128 { Hint::Active } else { Hint::Refused };
                self.machine.hint(SOURCES[source], hint, self.now_us);
                assert!(self.machine.handle_datagram(self.now_us, addr(9), body).is_err(), "it is not sealed");
            }
        }
    }

    fn check(&mut self) {
        let bytes_max = MembershipConfig::lan().datagram_bytes_max;
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Datagram { bytes, .. } => assert!(bytes.len() <= bytes_max, "{} bytes", bytes.len()),
                Output::Request { token, .. } => self.requests.push(token),
            }
        }
        while self.machine.poll_event().is_some() {}
        let (own, table) = (self.machine.own(), self.machine.table());
        assert!(own.status == Status::Alive && own.epoch >= OWN_EPOCH && &*own.id == "a");
        assert!(table.len() <= MEMBERS_MAX && table.get("a").is_none());
        assert_eq!(table.live_len(), table.iter().filter(|member| member.record.status.is_live()).count());
        let live = table.iter().filter(|member| member.record.status.is_live());
        assert_eq!(table.view(), live.fold(0, |view, member| view ^ contribution(&member.record)));
        for member in table.iter() {
            let (record, suspect) = (&member.record, member.suspicion.is_some());
            assert_eq!(suspect, record.status == Status::Suspect, "{record:?}");
            assert!(record.meta.len() <= META_BYTES_MAX);
            if let Some(before) = self.known.get(&record.id) {
                check_change(before, record);
            }
            self.known.insert(record.id.clone(), record.clone());
        }
    }
}

fn check_change(before: &Record, after: &Record) {
    assert!(after.epoch >= before.epoch, "a life goes back: {before:?}, {after:?}");
    if after.epoch > before.epoch {
        return;
    }
    assert!(after.incarnation >= before.incarnation, "an incarnation goes back: {before:?}, {after:?}");
    assert!(before.status != Status::Left || after.status == Status::Left, "who has left is back: {after:?}");
    let risen = before.status == Status::Dead && after.status.is_live();
    assert!(!risen || after.incarnation > before.incarnation, "the dead rise without a contradiction: {after:?}");
}

/// Scripts that say everything once, as news and as a table.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let all = wire::messages();
    let body = |messages: &[crate::membership::message::Message]| {
        let mut bytes = Vec::new();
        messages.iter().for_each(|message| message.encode(&mut bytes));
        bytes
    };
    let step = |op: u8, number: u8, body: Vec<u8>| [vec![op, number, body.len() as u8], body].concat();
    let wait = || step(6, 100, Vec::new());
    let news = all.iter().flat_map(|message| [step(0, 9, body(std::slice::from_ref(message))), wait()].concat());
    let table =
        [step(2, 9, body(&all[..7])), step(4, 9, body(&all[5..7])), wait(), wait(), step(5, 0, Vec::new())].concat();
    let meeting =
        [step(3, 10, body(&all[..1])), step(4, 10, body(&all[5..6])), wait(), step(7, 129, Vec::new())].concat();
    vec![news.collect(), table, meeting]
}
