//! Membership's bytes: what is written can be read, what is not ours changes nothing, nothing is accepted twice.

use libeam_core::membership::config::MembershipConfig;
use libeam_core::membership::envelope::{Envelope, Key, Keyring, Reject};
use libeam_core::membership::member::{META_BYTES_MAX, NodeId, Record, Status};
use libeam_core::membership::message::{Encode, Message, Messages};
use libeam_core::membership::{Identity, Membership, Output, RequestError};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

const HOUR_US: u64 = 3_600_000_000;

fn id() -> impl Strategy<Value = NodeId> {
    "[a-z0-9-]{1,40}".prop_map(|text| NodeId::from(text.as_str()))
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![Just(Status::Alive), Just(Status::Suspect), Just(Status::Dead), Just(Status::Left)]
}

fn addr() -> impl Strategy<Value = SocketAddr> {
    (any::<IpAddr>(), any::<u16>()).prop_map(SocketAddr::from)
}

fn message() -> impl Strategy<Value = Message> {
    let record =
        (id(), any::<u64>(), any::<u32>(), status(), addr(), prop::collection::vec(any::<u8>(), 0..=META_BYTES_MAX))
            .prop_map(|(id, epoch, incarnation, status, addr, meta)| {
                Message::State(Record { id, epoch, incarnation, status, addr, meta: Arc::from(meta) })
            });
    let verdict = (id(), any::<u64>(), any::<u32>(), status(), id())
        .prop_map(|(id, epoch, incarnation, status, from)| Message::Verdict { id, epoch, incarnation, status, from });
    prop_oneof![
        (any::<u32>(), id(), any::<u64>()).prop_map(|(seq, target, view)| Message::Ping { seq, target, view }),
        (any::<u32>(), any::<u64>()).prop_map(|(seq, view)| Message::Ack { seq, view }),
        (any::<u32>(), id()).prop_map(|(seq, target)| Message::PingReq { seq, target }),
        any::<u32>().prop_map(|seq| Message::Nack { seq }),
        record,
        verdict,
        Just(Message::Sync),
    ]
}

fn node(name: &str, port: u16, keys: Keyring) -> Membership {
    let addr = SocketAddr::from(([127, 0, 0, 1], port));
    let identity = Identity { id: NodeId::from(name), epoch: 7, addr, meta: Arc::from(&b""[..]) };
    Membership::new(MembershipConfig::lan(), identity, keys, 0, 1)
}

fn request_of(node: &mut Membership) -> Vec<u8> {
    match node.poll_output() {
        Some(Output::Request { bytes, .. }) => bytes,
        other => panic!("expected a request, got {other:?}"),
    }
}

proptest! {
    #[test]
    fn what_is_written_can_be_read(messages in prop::collection::vec(message(), 0..20)) {
        let mut bytes = Vec::new();
        messages.iter().for_each(|message| message.encode(&mut bytes));
        let mut reader = Messages::new(&bytes);
        let read: Vec<Message> = reader.by_ref().collect();
        prop_assert_eq!(read, messages);
        prop_assert!(!reader.is_broken());
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let read: Vec<Message> = Messages::new(&bytes).collect();
        prop_assert!(read.len() <= bytes.len());
    }

    #[test]
    fn strangers_change_nothing(bytes in prop::collection::vec(any::<u8>(), 0..600), open in any::<bool>()) {
        let keys = if open { Keyring::open() } else { Keyring::of(Key::new(1, b"secret")) };
        let mut node = node("a", 1, keys);
        let from = SocketAddr::from(([127, 0, 0, 1], 9));
        prop_assert!(node.handle_datagram(0, from, &bytes).is_err());
        prop_assert!(node.handle_request(0, from, &bytes).is_err());
        node.handle_response(0, 1, Ok(&bytes));
        prop_assert!(node.table().is_empty());
        prop_assert!(node.poll_output().is_none());
        prop_assert!(node.poll_event().is_none());
    }

    #[test]
    fn one_wrong_bit_is_noticed(at in any::<prop::sample::Index>(), bit in 0..8u32) {
        let key = Key::new(1, b"secret");
        let (mut a, mut b) = (node("a", 1, Keyring::of(key.clone())), node("b", 2, Keyring::of(key)));
        a.join(&[SocketAddr::from(([127, 0, 0, 1], 2))], 0);
        let mut bytes = request_of(&mut a);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(b.handle_request(0, a.own().addr, &bytes).is_err());
        prop_assert!(b.table().is_empty());
    }

    #[test]
    fn each_number_is_admitted_once(order in prop::collection::vec(0..200u64, 1..400)) {
        let mut sealing = Envelope::new(Keyring::open(), 10);
        let packets: Vec<Vec<u8>> = (0..200).map(|_| sealing.seal(("a", 1), 2, |_| {})).collect();
        let mut opening = Envelope::new(Keyring::open(), 10);
        let mut seen = std::collections::HashSet::new();
        let mut highest = 0;
        for number in order {
            let opened = opening.open(&packets[number as usize]).expect("well-formed");
            highest = highest.max(number);
            let late = highest - number >= 128;
            let admitted = opening.admit(&opened).is_ok();
            prop_assert!(!admitted || !seen.contains(&number), "{} twice", number);
            prop_assert!(admitted || late || seen.contains(&number), "{} refused", number);
            if admitted {
                seen.insert(number);
            }
        }
    }
}

/// Requests of a node that meets a seed: the one that names no life, and the one with its table. `b` answers both.
fn meet(a: &mut Membership, b: &mut Membership) -> (Vec<u8>, Vec<u8>) {
    let mut answer = |a: &mut Membership| match a.poll_output() {
        Some(Output::Request { token, bytes, .. }) => {
            let response = b.handle_request(0, a.own().addr, &bytes).expect("it is let in");
            a.handle_response(0, token, Ok(&response));
            bytes
        }
        other => panic!("expected a request, got {other:?}"),
    };
    a.join(&[SocketAddr::from(([127, 0, 0, 1], 2))], 0);
    (answer(a), answer(a))
}

fn life(epoch: u64, key: &Key) -> Membership {
    let addr = SocketAddr::from(([127, 0, 0, 1], 2));
    let identity = Identity { id: NodeId::from("b"), epoch, addr, meta: Arc::from(&b""[..]) };
    Membership::new(MembershipConfig::lan(), identity, Keyring::of(key.clone()), 0, 1)
}

fn knows(node: &Membership, id: &str) -> bool {
    node.table().get(id).is_some_and(|member| member.record.status == Status::Alive)
}

#[test]
fn a_recording_is_useless() {
    let key = Key::new(1, b"secret");
    let (mut a, mut b) = (node("a", 1, Keyring::of(key.clone())), life(7, &key));
    let (hello, table) = meet(&mut a, &mut b);
    assert!(knows(&a, "b") && knows(&b, "a"));
    let (from, own) = (a.own().addr, a.own().clone());
    assert_eq!(b.handle_request(0, from, &table), Err(Reject::Replayed));
    let mut sealing = Envelope::new(Keyring::of(key.clone()), 10);
    (0..9).for_each(|_| drop(sealing.seal(("a", 7), 7, |_| {})));
    let datagram = sealing.seal(("a", 7), 7, |out| Message::State(own.clone()).encode(out));
    assert_eq!(b.handle_datagram(1, from, &datagram), Ok(()));
    assert_eq!(b.handle_datagram(1, from, &datagram), Err(Reject::Replayed));
    // Nobody whom the next life has not heard of gets in with what they said to this one.
    let mut next = life(8, &key);
    assert_eq!(next.handle_request(1, from, &table), Err(Reject::OtherLife));
    assert_eq!(next.handle_datagram(1, from, &datagram), Err(Reject::OtherLife));
    for _ in 0..3 {
        assert!(next.handle_request(1, from, &hello).is_ok(), "it says who is here, and that is all");
    }
    assert!(next.table().is_empty());
    assert!(next.poll_event().is_none() && next.poll_output().is_none());
}

/// Lets a node run that nobody answers any more.
fn run_alone(node: &mut Membership, until_us: u64) {
    while let Some(due_us) = node.poll_timeout().filter(|&due_us| due_us <= until_us) {
        node.handle_timeout(due_us);
        while let Some(output) = node.poll_output() {
            if let Output::Request { token, .. } = output {
                node.handle_response(due_us, token, Err(RequestError::Unreachable));
            }
        }
    }
}

/// Two days later the sender is dead, and even its record is gone: a recording of it is refused all the same.
#[test]
fn a_recording_does_not_become_useful_with_time() {
    let key = Key::new(1, b"secret");
    let (mut a, mut b) = (node("a", 1, Keyring::of(key.clone())), life(7, &key));
    let (_, table) = meet(&mut a, &mut b);
    let (from, own) = (a.own().addr, a.own().clone());
    let mut sealing = Envelope::new(Keyring::of(key), 10);
    (0..9).for_each(|_| drop(sealing.seal(("a", 7), 7, |_| {})));
    let datagram = sealing.seal(("a", 7), 7, |out| Message::State(own.clone()).encode(out));
    assert_eq!(b.handle_datagram(1, from, &datagram), Ok(()));
    for (hours, remembered) in [(1, true), (23, true), (50, false)] {
        let now_us = hours * HOUR_US;
        run_alone(&mut b, now_us);
        while b.poll_event().is_some() {}
        assert_eq!(b.table().get("a").is_some(), remembered, "after {hours} hours");
        assert_eq!(b.handle_datagram(now_us, from, &datagram), Err(Reject::Replayed), "after {hours} hours");
        assert_eq!(b.handle_request(now_us, from, &table), Err(Reject::Replayed), "after {hours} hours");
        assert!(!knows(&b, "a") && b.poll_event().is_none(), "after {hours} hours");
    }
}

#[test]
fn a_node_whose_clock_was_set_back_moves_past_its_future() {
    let key = Key::new(1, b"secret");
    let (mut a, mut later) = (node("a", 1, Keyring::of(key.clone())), life(9, &key));
    meet(&mut a, &mut later);
    assert!(knows(&a, "b"));
    let mut earlier = life(5, &key);
    earlier.join(&[a.own().addr], 0);
    let mut asked = 0;
    while let Some(output) = earlier.poll_output() {
        let Output::Request { token, bytes, .. } = output else { continue };
        let response = a.handle_request(0, earlier.own().addr, &bytes).expect("it is let in");
        earlier.handle_response(0, token, Ok(&response));
        asked += 1;
    }
    assert_eq!((asked, earlier.own().epoch), (2, 10));
    assert_eq!(a.table().get("b").map(|member| member.record.epoch), Some(10));
}

/// A node that has met a later life of `b` and, days later, has forgotten all of it but the numbers of its packets; an earlier
/// life of `b`; and the time.
fn days_after_a_later_life(key: &Key) -> (Membership, Membership, u64) {
    let (mut a, mut later) = (node("a", 1, Keyring::of(key.clone())), life(9, key));
    meet(&mut a, &mut later);
    let now_us = 50 * HOUR_US;
    run_alone(&mut a, now_us);
    while a.poll_event().is_some() {}
    assert!(a.table().get("b").is_none());
    (a, life(5, key), now_us)
}

#[test]
fn a_node_moves_past_a_future_that_was_forgotten_when_it_joins() {
    let key = Key::new(1, b"secret");
    let (mut a, mut earlier, now_us) = days_after_a_later_life(&key);
    earlier.join(&[a.own().addr], now_us);
    while let Some(output) = earlier.poll_output() {
        let Output::Request { token, bytes, .. } = output else { continue };
        let response = a.handle_request(now_us, earlier.own().addr, &bytes);
        earlier.handle_response(now_us, token, response.as_deref().map_err(|_| RequestError::Unanswered));
    }
    assert_eq!(earlier.own().epoch, 10);
    assert!(knows(&a, "b") && knows(&earlier, "a"));
}

/// A third node has let it in, so it is a member; nothing that it says is believed by whoever remembers the numbers.
#[test]
fn a_member_moves_past_a_future_that_was_forgotten() {
    let key = Key::new(1, b"secret");
    let (mut a, mut earlier, now_us) = days_after_a_later_life(&key);
    let mut third = Envelope::new(Keyring::of(key), 10);
    let state = Message::State(earlier.own().clone());
    let news = third.seal(("c", 1), a.own().epoch, |out| state.encode(out));
    a.handle_datagram(now_us, SocketAddr::from(([127, 0, 0, 1], 3)), &news).expect("it is let in");
    let news = third.seal(("c", 1), 5, |out| Message::State(a.own().clone()).encode(out));
    earlier.handle_datagram(now_us, SocketAddr::from(([127, 0, 0, 1], 3)), &news).expect("it is let in");
    let until_us = now_us + 60_000_000;
    let mut clock_us = now_us;
    while clock_us < until_us {
        let due = [&a, &earlier].into_iter().filter_map(Membership::poll_timeout).min().expect("there are rounds");
        clock_us = clock_us.max(due);
        a.handle_timeout(clock_us);
        earlier.handle_timeout(clock_us);
        talk(clock_us, &mut a, &mut earlier);
    }
    assert_eq!(earlier.own().epoch, 10);
    assert!(knows(&a, "b") && knows(&earlier, "a"));
}

/// Delivers what two nodes have for each other, until there is nothing left.
fn talk(now_us: u64, one: &mut Membership, other: &mut Membership) {
    let mut quiet = 0;
    let (mut from, mut to) = (one, other);
    while quiet < 2 {
        quiet += 1;
        while let Some(output) = from.poll_output() {
            quiet = 0;
            match output {
                Output::Datagram { to: addr, bytes } if addr == to.own().addr => {
                    let _ = to.handle_datagram(now_us, from.own().addr, &bytes);
                }
                Output::Request { token, to: addr, bytes } if addr == to.own().addr => {
                    let response = to.handle_request(now_us, from.own().addr, &bytes);
                    from.handle_response(now_us, token, response.as_deref().map_err(|_| RequestError::Unanswered));
                }
                Output::Request { token, .. } => {
                    from.handle_response(now_us, token, Err(RequestError::Unreachable));
                }
                Output::Datagram { .. } => {}
            }
        }
        std::mem::swap(&mut from, &mut to);
    }
}

/// The names of seeds are looked up again and again, and may mean other addresses each time.
#[test]
fn a_lone_node_asks_as_often_however_often_it_was_told_its_seeds() {
    let asked = |times: u16| {
        let mut node = node("a", 1, Keyring::open());
        (0..times).for_each(|port| node.join(&[SocketAddr::from(([127, 0, 0, 1], 100 + port))], 0));
        while node.poll_output().is_some() {}
        let mut requests = 0;
        while let Some(now_us) = node.poll_timeout().filter(|&due_us| due_us <= 60_000_000) {
            node.handle_timeout(now_us);
            while let Some(output) = node.poll_output() {
                if let Output::Request { token, .. } = output {
                    requests += 1;
                    node.handle_response(now_us, token, Err(RequestError::Refused));
                }
            }
        }
        requests
    };
    let (once, often) = (asked(1), asked(20));
    assert!(often <= 2 * once, "{often} requests in a minute, {once} otherwise");
}

/// Each of its lives is news, and whoever is news is to be probed in this round.
#[test]
fn a_member_that_begins_again_and_again_keeps_no_other_from_its_probes() {
    let mut node = node("a", 1, Keyring::open());
    let mut other = Envelope::new(Keyring::open(), 10);
    let addrs = [2, 3].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let state = |id: &str, epoch, addr| {
        let meta = Arc::from(&b""[..]);
        Message::State(Record { id: NodeId::from(id), epoch, incarnation: 0, status: Status::Alive, addr, meta })
    };
    for epoch in 1..=1_000 {
        let news = [state("calm", 1, addrs[0]), state("hasty", epoch, addrs[1])];
        let packet = other.seal(("c", 1), 7, |out| news.iter().for_each(|message| message.encode(out)));
        node.handle_datagram(0, addrs[1], &packet).expect("it is let in");
    }
    while node.poll_output().is_some() {}
    let mut probed = Vec::new();
    while let Some(now_us) = node.poll_timeout().filter(|&due_us| due_us <= 3_000_000) {
        node.handle_timeout(now_us);
        while let Some(output) = node.poll_output() {
            match output {
                Output::Datagram { bytes, .. } => {
                    let opened = other.open(&bytes).expect("it is well-formed");
                    probed.extend(Messages::new(opened.body).filter_map(|message| match message {
                        Message::Ping { target, .. } => Some(target),
                        _ => None,
                    }));
                }
                Output::Request { token, .. } => node.handle_response(now_us, token, Err(RequestError::Unreachable)),
            }
        }
    }
    assert!(probed.iter().any(|id| &**id == "calm"), "probed: {probed:?}");
}

#[test]
fn the_dead_keep_no_living_out() {
    let config = MembershipConfig { members_max: 3, ..MembershipConfig::lan() };
    let addr = SocketAddr::from(([127, 0, 0, 1], 2));
    let identity = Identity { id: NodeId::from("a"), epoch: 7, addr, meta: Arc::from(&b""[..]) };
    let mut node = Membership::new(config, identity, Keyring::open(), 0, 1);
    let mut other = Envelope::new(Keyring::open(), 10);
    let mut hear = |now_us, id: &str, status| {
        let (id, meta) = (NodeId::from(id), Arc::from(&b""[..]));
        let state = Message::State(Record { id, epoch: 1, incarnation: 0, status, addr, meta });
        let packet = other.seal(("teller", 1), 7, |out| state.encode(out));
        node.handle_datagram(now_us, addr, &packet).expect("it is let in");
        let mut known: Vec<String> = node.table().iter().map(|member| member.record.id.to_string()).collect();
        known.sort_unstable();
        known.join(" ")
    };
    hear(1, "old", Status::Dead);
    hear(2, "lives", Status::Alive);
    assert_eq!(hear(3, "young", Status::Left), "lives old young");
    assert_eq!(hear(4, "dead", Status::Dead), "lives old young", "what is over makes no room for itself");
    assert_eq!(hear(5, "new", Status::Alive), "lives new young", "the oldest death is forgotten");
    assert_eq!(hear(6, "newer", Status::Alive), "lives new newer");
    assert_eq!(hear(7, "newest", Status::Alive), "lives new newer", "all of them live");
}

#[test]
fn those_who_came_and_went_keep_nobody_from_being_heard() {
    let config = MembershipConfig { members_max: 3, ..MembershipConfig::lan() };
    let addr = SocketAddr::from(([127, 0, 0, 1], 2));
    let identity = Identity { id: NodeId::from("a"), epoch: 7, addr, meta: Arc::from(&b""[..]) };
    let mut node = Membership::new(config, identity, Keyring::open(), 0, 1);
    for at in 0..20 {
        let id = NodeId::from(format!("n{at}"));
        let mut sealing = Envelope::new(Keyring::open(), 10);
        for status in [Status::Alive, Status::Left] {
            let (id, meta) = (id.clone(), Arc::from(&b""[..]));
            let state = Message::State(Record { id: id.clone(), epoch: 1, incarnation: 0, status, addr, meta });
            let packet = sealing.seal((&id, 1), 7, |out| state.encode(out));
            assert_eq!(node.handle_datagram(at, addr, &packet), Ok(()), "{id}");
            assert_eq!(node.handle_datagram(at, addr, &packet), Err(Reject::Replayed), "{id}");
            assert_eq!(node.table().get(&id).map(|member| member.record.status), Some(status));
        }
    }
}

#[test]
fn keys_change_without_losing_a_packet() {
    let (old, new) = (Key::new(1, b"old"), Key::new(2, b"new"));
    let mut rings = [Keyring::of(old.clone()), Keyring::of(old.clone()), Keyring::of(old)];
    let talk = |rings: &[Keyring; 3]| {
        for from in rings {
            for to in rings {
                let packet = Envelope::new(from.clone(), 10).seal(("a", 1), 2, |_| {});
                assert!(Envelope::new(to.clone(), 10).open(&packet).is_ok(), "{from:?} to {to:?}");
            }
        }
    };
    for at in 0..3 {
        rings[at].install(new.clone());
        talk(&rings);
    }
    for at in 0..3 {
        assert!(rings[at].activate(2));
        talk(&rings);
    }
    for at in 0..3 {
        assert!(!rings[at].remove(2), "the key in use stays");
        assert!(rings[at].remove(1));
        talk(&rings);
    }
    assert_eq!(rings[0].ids().collect::<Vec<_>>(), [2]);
}

#[test]
fn who_is_wrong_about_many_is_told_in_few_datagrams() {
    let mut node = node("a", 1, Keyring::open());
    let mut other = Envelope::new(Keyring::open(), 10);
    let addr = SocketAddr::from(([127, 0, 0, 1], 2));
    let names: BTreeSet<NodeId> = (0..100).map(|at| NodeId::from(format!("n{at}"))).collect();
    let state = |id: &NodeId, incarnation| {
        let id = id.clone();
        Message::State(Record { id, epoch: 1, incarnation, status: Status::Alive, addr, meta: Arc::from(&b""[..]) })
    };
    for incarnation in [1, 0] {
        let packet = other.seal(("b", 7), 7, |out| names.iter().for_each(|id| state(id, incarnation).encode(out)));
        node.handle_datagram(0, addr, &packet).unwrap();
    }
    let answers: Vec<Vec<u8>> = std::iter::from_fn(|| node.poll_output())
        .filter_map(|output| match output {
            Output::Datagram { to, bytes } => {
                assert_eq!(to, addr);
                Some(bytes)
            }
            Output::Request { .. } => None,
        })
        .collect();
    let told: BTreeSet<NodeId> = answers
        .iter()
        .flat_map(|bytes| Messages::new(other.open(bytes).unwrap().body))
        .filter_map(|message| match message {
            Message::State(record) if record.incarnation == 1 => Some(record.id),
            _ => None,
        })
        .collect();
    assert_eq!(told, names);
    assert!(answers.iter().all(|bytes| bytes.len() <= 1_400));
    assert_eq!(answers.len(), 2, "a hundred reports of 27 bytes");
}
