//! What must hold for all bytes: one function per decoder, for the fuzzer and for seeded tests.
//!
//! Each takes any bytes and panics if something is wrong. What is accepted must say the same again when it is
//! written, so that no two readers can understand one packet in two ways. [`TARGETS`] lists them with valid inputs
//! to begin with; `fuzz/seeds/` holds those as files.

use super::wire_membership;
use crate::membership::envelope::{Envelope, Key, Keyring, TAG_BYTES};
use crate::membership::member::{NodeId, Record, Status};
use crate::membership::message::{Encode, Message, Messages};
use crate::security::{keys, z85};
use crate::session::batch::{self, LENGTH_BYTES, Outgoing, Pushed};
use crate::session::hello::{GREETING_BYTES_MAX, Greeting, Local, Refusal};
use crate::session::roster::Roster;
use std::collections::HashMap;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// A decoder with what must hold for it.
pub struct Target {
    /// Of the fuzz target and of its folder of seeds.
    pub name: &'static str,
    /// Panics if something is wrong.
    pub run: fn(&[u8]),
    /// Valid inputs.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: [Target; 8] = [
    Target { name: "packet", run: packet, seeds: packet_seeds },
    Target { name: "envelope", run: envelope, seeds: envelope_seeds },
    Target { name: "greeting", run: greeting, seeds: greeting_seeds },
    Target { name: "batch", run: batch, seeds: batch_seeds },
    Target { name: "roster", run: roster, seeds: roster_seeds },
    Target { name: "z85", run: z85, seeds: z85_seeds },
    Target { name: "keys", run: keys, seeds: keys_seeds },
    Target { name: "membership", run: wire_membership::run, seeds: wire_membership::seeds },
];

/// The messages of membership.
pub fn packet(bytes: &[u8]) {
    let mut reader = Messages::new(bytes);
    let mut again = Vec::new();
    let messages: Vec<Message> = reader.by_ref().inspect(|message| message.encode(&mut again)).collect();
    assert!(bytes.starts_with(&again), "what was read is not what was written");
    assert_eq!(reader.is_broken(), again.len() < bytes.len());
    assert_eq!(Messages::new(&again).collect::<Vec<_>>(), messages);
}

/// The seal: without the key nobody makes or changes a packet, and nothing is admitted twice.
pub fn envelope(bytes: &[u8]) {
    let (open, sealed) = (Keyring::open(), Keyring::of(Key::new(1, b"the secret of a test")));
    let strict = Envelope::new(sealed.clone(), 4);
    assert!(strict.open(bytes).is_err(), "a packet that nobody has sealed");
    if let Ok(opened) = Envelope::new(open, 4).open(bytes) {
        assert!(!opened.source.is_empty() && opened.body.len() < bytes.len());
    }
    let (at, body) = bytes.split_first_chunk::<2>().map_or((0, bytes), |(at, body)| (u16::from_le_bytes(*at), body));
    let packet = Envelope::new(sealed.clone(), 4).seal(("a", 7), 9, |out| out.extend_from_slice(body));
    let mut receiver = Envelope::new(sealed, 4);
    let opened = receiver.open(&packet).expect("it is sealed");
    assert_eq!((&*opened.source, opened.epoch, opened.target, opened.body), ("a", 7, 9, body));
    assert!(receiver.admit(&opened).is_ok() && receiver.admit(&opened).is_err());
    let (mut changed, at) = (packet.clone(), usize::from(at));
    let place = at / 8 % packet.len();
    changed[place] ^= 1 << (at % 8);
    assert!(strict.open(&changed).is_err(), "bit {at} is changed and nobody sees it");
    assert!(strict.open(&packet[..place]).is_err(), "it is cut off");
    assert!(packet.len() > TAG_BYTES);
}

/// The first frames of a session.
pub fn greeting(bytes: &[u8]) {
    let Ok(greeting) = Greeting::decode(bytes) else { return };
    let again = greeting.encode();
    assert!(again.len() <= GREETING_BYTES_MAX);
    assert_eq!(Greeting::decode(&again).as_ref(), Ok(&greeting));
    if let Greeting::Hello(hello) | Greeting::Welcome(hello) = &greeting {
        assert_eq!(again, bytes);
        let local = Local { cluster: "cluster".to_owned(), node: NodeId::from("b"), epoch: 5 };
        let verdict = local.admit(hello, Some(3));
        assert!(verdict.is_err() || (hello.cluster == "cluster" && &*hello.node != "b" && hello.epoch >= 3));
        let sent = local.hello(&hello.node, hello.nonce);
        assert_eq!(local.accept(&sent, hello, Some(3)), verdict);
    }
}

/// Frames with many messages, and the queue that makes them.
pub fn batch(bytes: &[u8]) {
    let mut again = Vec::new();
    let complete =
        batch::Messages::new(bytes).map_while(Result::ok).inspect(|message| batch::append(&mut again, message));
    let count = complete.count();
    assert!(bytes.starts_with(&again));
    assert_eq!(batch::is_complete(bytes), again.len() == bytes.len());
    assert_eq!(batch::Messages::new(&again).count(), count);
    let (mut queue, mut queued, mut rest) = (Outgoing::new(300, 2_000), Vec::new(), bytes);
    while let Some((&length, after)) = rest.split_first() {
        let (message, after) = after.split_at(after.len().min(usize::from(length) * 2));
        match queue.push(message) {
            Pushed::Queued => queued.push(message.to_vec()),
            Pushed::TooBig => assert!(message.len() > 300),
            Pushed::Full => assert!(queue.bytes() + message.len() + LENGTH_BYTES > 2_000),
        }
        rest = after;
    }
    let frames: Vec<Vec<u8>> = std::iter::from_fn(|| queue.pop()).collect();
    let sent = frames.iter().flat_map(|frame| batch::Messages::new(frame)).map(|message| message.map(<[u8]>::to_vec));
    assert_eq!(sent.collect::<Result<Vec<_>, _>>().as_ref(), Ok(&queued));
    assert!(queue.is_empty() && queue.bytes() == 0);
}

/// Which connection speaks for a node: the last one that was seated, and never for an earlier life.
pub fn roster(bytes: &[u8]) {
    let nodes = ["a", "b", "c"].map(NodeId::from);
    let mut roster = Roster::default();
    let mut seats: HashMap<&str, Vec<u64>> = HashMap::new();
    for step in bytes.chunks_exact(3) {
        let [what, who, number] = *step else { continue };
        let node = &nodes[usize::from(who) % nodes.len()];
        let before = roster.epoch(node);
        match what % 5 {
            0 => seats.entry(node).or_default().push(roster.seat(node, number.into())),
            1 => roster.note(node, number.into()),
            2 => roster.expect(node),
            3 => roster.forget(node, None),
            _ => {
                if let Some(seat) = seats.get(&**node).and_then(|seats| seats.get(usize::from(number) % seats.len())) {
                    roster.leave(node, *seat);
                }
            }
        }
        assert!(what % 5 >= 3 || before <= roster.epoch(node), "a life goes back");
        let current =
            seats.get(&**node).map_or(0, |all| all.iter().filter(|seat| roster.is_current(node, **seat)).count());
        assert!(current <= 1, "{current} connections speak for one node");
        assert!(what % 5 != 0 || current == 1);
    }
    for node in &nodes {
        seats.get(&**node).into_iter().flatten().for_each(|seat| roster.leave(node, *seat));
        roster.forget(node, None);
        assert_eq!(roster.epoch(node), None, "a node is remembered that nobody knows");
    }
}

/// Keys as text.
pub fn z85(bytes: &[u8]) {
    match z85::encode(bytes) {
        Ok(text) => assert_eq!(z85::decode(&text).as_deref(), Ok(bytes)),
        Err(_) => assert_ne!(bytes.len() % 4, 0),
    }
    let text = String::from_utf8_lossy(bytes);
    if let Ok(data) = z85::decode(&text) {
        assert_eq!(z85::encode(&data).as_deref(), Ok(&*text), "two texts stand for the same bytes");
    }
}

/// Keys from a cookie, whatever it is made of.
pub fn keys(bytes: &[u8]) {
    let (salt, cookie) = bytes.split_at(bytes.len() / 2);
    let derived = keys::derive(cookie, salt);
    assert!(derived == keys::derive(cookie, salt));
    assert_ne!(derived.gossip, derived.curve_secret);
    assert_eq!(derived.curve_public, keys::public_key(derived.curve_secret));
    let longer = [cookie, b"x"].concat();
    assert!(keys::derive(&longer, salt).gossip != derived.gossip);
    assert_ne!(keys::fingerprint(&derived.curve_public), derived.curve_public);
}

fn encoded(messages: &[Message]) -> Vec<u8> {
    let mut bytes = Vec::new();
    messages.iter().for_each(|message| message.encode(&mut bytes));
    bytes
}

/// One message of each kind.
pub(super) fn messages() -> Vec<Message> {
    let (id, from) = (NodeId::from("b"), NodeId::from("c"));
    let addr = SocketAddr::from(([127, 0, 0, 1], 4_000));
    let record =
        Record { id: id.clone(), epoch: 3, incarnation: 1, status: Status::Alive, addr, meta: Arc::from(&b"meta"[..]) };
    let far = Record { addr: SocketAddr::from((Ipv6Addr::LOCALHOST, 4_001)), id: from.clone(), ..record.clone() };
    let verdict = |status| Message::Verdict { id: id.clone(), epoch: 3, incarnation: 1, status, from: from.clone() };
    vec![
        Message::Sync,
        Message::Ping { seq: 1, target: NodeId::from("a"), view: 2 },
        Message::Ack { seq: 1, view: 2 },
        Message::PingReq { seq: 2, target: id.clone() },
        Message::Nack { seq: 2 },
        Message::State(record),
        Message::State(far),
        verdict(Status::Suspect),
        verdict(Status::Dead),
        verdict(Status::Left),
    ]
}

fn packet_seeds() -> Vec<Vec<u8>> {
    let all = messages();
    all.iter().map(|message| encoded(std::slice::from_ref(message))).chain([encoded(&all)]).collect()
}

fn envelope_seeds() -> Vec<Vec<u8>> {
    let body = encoded(&messages()[1..3]);
    let packet = Envelope::new(Keyring::open(), 4).seal(("a", 7), 9, |out| out.extend_from_slice(&body));
    vec![packet, [&[8, 1][..], &body].concat(), Vec::new()]
}

fn greeting_seeds() -> Vec<Vec<u8>> {
    let local = Local { cluster: "cluster".to_owned(), node: NodeId::from("a"), epoch: 5 };
    let hello = local.hello(&NodeId::from("b"), 7);
    [Greeting::Hello(hello.clone()), Greeting::Welcome(hello), Greeting::Refused(Refusal::Epoch), Greeting::Farewell]
        .iter()
        .map(Greeting::encode)
        .collect()
}

fn batch_seeds() -> Vec<Vec<u8>> {
    let mut frame = Vec::new();
    [&b"one"[..], b"", b"three"].iter().for_each(|message| batch::append(&mut frame, message));
    vec![frame.clone(), frame[..frame.len() - 1].to_vec(), vec![200; 400]]
}

fn roster_seeds() -> Vec<Vec<u8>> {
    vec![vec![2, 0, 0, 0, 0, 5, 0, 0, 6, 4, 0, 0, 3, 0, 0, 4, 0, 1], vec![0, 0, 1, 0, 1, 2, 1, 0, 9, 0, 2, 3]]
}

fn z85_seeds() -> Vec<Vec<u8>> {
    vec![b"HelloWorld".to_vec(), b"%nSc0".to_vec(), vec![0; 32], b"short".to_vec()]
}

fn keys_seeds() -> Vec<Vec<u8>> {
    vec![b"libeam-v2a cookie with sixteen characters".to_vec(), Vec::new()]
}
