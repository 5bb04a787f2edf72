//! Connections over real sockets on this machine. Waits are for facts, with a limit that only a failure reaches.

use libeam_core::membership::member::NodeId;
use libeam_core::security::keys::public_key;
use libeam_net::link::{CurveKeys, Link, LinkEvent, LinkOptions, Sent};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

fn keys(seed: u8) -> CurveKeys {
    let secret = [seed; 32];
    CurveKeys { public: public_key(secret), secret, accepted: Vec::new() }
}

fn options(id: &str, epoch: u64) -> LinkOptions {
    let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut options = LinkOptions::new(NodeId::from(id), epoch, "test".to_owned(), bind);
    options.curve = Some(keys(1));
    options
}

struct Node {
    id: String,
    link: Link,
    rung: mpsc::Receiver<()>,
    events: Vec<LinkEvent>,
    messages: Vec<(NodeId, Vec<u8>)>,
}

impl Node {
    fn start(options: LinkOptions) -> Self {
        let (ring, rung) = mpsc::channel();
        let id = options.node_id.to_string();
        let link = Link::start(options, move || {
            let _ = ring.send(());
        })
        .expect("loopback can be bound");
        Self { id, link, rung, events: Vec::new(), messages: Vec::new() }
    }

    fn of(id: &str, epoch: u64) -> Self {
        Self::start(options(id, epoch))
    }

    fn connect(&self, other: &Self) {
        self.link.connect(&other.id, other.link.addr());
    }

    fn fetch(&mut self) {
        let news = self.link.take_news();
        self.events.extend(news.events);
        self.messages.extend(news.messages);
    }

    /// Waits until something is so, looking after each piece of news.
    fn wait_until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        loop {
            self.fetch();
            if is_so(self) {
                return;
            }
            let left = end.saturating_duration_since(Instant::now());
            let rung = self.rung.recv_timeout(left).is_ok();
            assert!(rung, "{}: no {what}; {} messages, {:?}", self.id, self.messages.len(), self.events);
        }
    }

    fn wait_for(&mut self, what: &str, matches: impl Fn(&LinkEvent) -> bool) {
        self.wait_until(what, |node| node.events.iter().any(&matches));
    }

    fn wait_up(&mut self, id: &str, life: u64) {
        self.wait_for(
            "connection",
            |event| matches!(event, LinkEvent::Up { node, epoch } if &**node == id && *epoch == life),
        );
    }

    fn send(&self, to: &str, message: &[u8]) {
        assert!(matches!(self.link.send(to, message), Sent::Queued { .. }));
    }

    /// Numbers that a node has sent, in the order of their arrival.
    fn numbers(&self, from: &str) -> Vec<u64> {
        let of_node = self.messages.iter().filter(|(id, _)| &**id == from);
        of_node.map(|(_, bytes)| u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes"))).collect()
    }

    fn is_up(&self) -> bool {
        self.events.iter().any(|event| matches!(event, LinkEvent::Up { .. }))
    }
}

fn pair() -> (Node, Node) {
    let (mut a, mut b) = (Node::of("a", 1), Node::of("b", 1));
    a.connect(&b);
    b.connect(&a);
    a.wait_up("b", 1);
    b.wait_up("a", 1);
    (a, b)
}

/// An address where nobody listens now.
fn free_addr() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback can be bound");
    listener.local_addr().expect("it is bound")
}

#[test]
fn fifty_thousand_messages_arrive_in_order_both_ways() {
    const COUNT: u64 = 50_000;
    let (mut a, mut b) = pair();
    for number in 0..COUNT {
        a.send("b", &number.to_le_bytes());
        b.send("a", &[&number.to_le_bytes()[..], &[7; 90]].concat());
    }
    a.wait_until("messages", |node| node.messages.len() as u64 >= COUNT);
    b.wait_until("messages", |node| node.messages.len() as u64 >= COUNT);
    assert_eq!(a.numbers("b"), (0..COUNT).collect::<Vec<_>>());
    assert_eq!(b.numbers("a"), (0..COUNT).collect::<Vec<_>>());
}

#[test]
fn three_nodes_talk_without_keys() {
    let mut nodes = ["a", "b", "c"].map(|id| Node::start(LinkOptions { curve: None, ..options(id, 1) }));
    for node in &nodes {
        nodes.iter().filter(|other| other.id != node.id).for_each(|other| node.connect(other));
    }
    for node in &nodes {
        for other in nodes.iter().filter(|other| other.id != node.id) {
            (0..1_000_u64).for_each(|number| node.send(&other.id, &number.to_le_bytes()));
        }
    }
    for node in &mut nodes {
        node.wait_until("messages", |node| node.messages.len() == 2_000);
        let others = ["a", "b", "c"].into_iter().filter(|id| *id != node.id);
        others.for_each(|other| assert_eq!(node.numbers(other), (0..1_000).collect::<Vec<_>>()));
    }
}

#[test]
fn big_messages_arrive_and_bigger_ones_are_refused() {
    let (a, mut b) = pair();
    let big = |mib: usize| (0..mib << 20).map(|at| ((at * 31) >> 7) as u8).collect::<Vec<_>>();
    assert_eq!(a.link.send("b", &big(17)), Sent::TooBig);
    let sent = [big(1), vec![1], big(15), vec![2], Vec::new(), big(16)];
    sent.iter().for_each(|message| a.send("b", message));
    b.wait_until("messages", |node| node.messages.len() == sent.len());
    let arrived: Vec<_> = b.messages.iter().map(|(_, bytes)| bytes).collect();
    assert!(arrived.into_iter().eq(&sent), "not the same bytes");
}

#[test]
fn who_is_not_known_is_not_sent_to() {
    let (mut a, mut b) = pair();
    assert_eq!(a.link.send("c", b"hello"), Sent::NoPeer);
    a.send("b", b"the last one");
    a.link.disconnect("b");
    assert_eq!(a.link.send("b", b"too late"), Sent::NoPeer);
    a.wait_for("end", |event| matches!(event, LinkEvent::Down { node, epoch: 1 } if &**node == "b"));
    b.wait_until("message", |node| node.messages.len() == 1);
    b.send("a", b"the other way stays");
    a.wait_until("message", |node| node.messages.len() == 1);
}

#[test]
fn messages_wait_for_a_peer_that_starts_later() {
    let mut a = Node::of("a", 1);
    let addr = free_addr();
    a.link.connect("b", addr);
    (0..100_u64).for_each(|number| a.send("b", &number.to_le_bytes()));
    let mut b = Node::start(LinkOptions { bind: addr, ..options("b", 2) });
    a.wait_up("b", 2);
    b.wait_until("messages", |node| node.messages.len() == 100);
    assert_eq!(b.numbers("a"), (0..100).collect::<Vec<_>>());
}

#[test]
fn a_peer_that_ends_is_down_and_its_next_life_is_up() {
    let (mut a, b) = pair();
    let addr = b.link.addr();
    drop(b);
    a.wait_for("end", |event| matches!(event, LinkEvent::Down { node, epoch: 1 } if &**node == "b"));
    let mut b = Node::start(LinkOptions { bind: addr, ..options("b", 2) });
    a.wait_up("b", 2);
    a.send("b", b"welcome back");
    b.wait_until("message", |node| node.messages.len() == 1);
    let of_b = |event: &&LinkEvent| !matches!(event, LinkEvent::Refused { .. });
    let lives: Vec<_> = a.events.iter().filter(of_b).collect();
    assert!(matches!(
        lives[..],
        [LinkEvent::Up { epoch: 1, .. }, LinkEvent::Down { epoch: 1, .. }, LinkEvent::Up { epoch: 2, .. }]
    ));
}

#[test]
fn what_waits_is_sent_before_the_end() {
    let (a, mut b) = pair();
    (0..20_000_u64).for_each(|number| a.send("b", &number.to_le_bytes()));
    drop(a);
    b.wait_until("messages", |node| node.messages.len() == 20_000);
    b.wait_for("end", |event| matches!(event, LinkEvent::Down { .. }));
}

#[test]
fn an_earlier_life_is_not_let_in() {
    let (mut b, mut new) = (Node::of("b", 1), Node::of("a", 5));
    new.connect(&b);
    new.wait_up("b", 1);
    let mut old = Node::of("a", 4);
    old.connect(&b);
    old.wait_for("refusal", |event| matches!(event, LinkEvent::Refused { who, .. } if who == "b"));
    b.wait_for("refusal", |event| matches!(event, LinkEvent::Refused { .. }));
    new.send("b", b"still here");
    b.wait_until("message", |node| node.messages.len() == 1);
    assert!(!old.is_up());
}

#[test]
fn a_life_with_an_earlier_clock_is_let_in_once_its_owner_has_forgotten_the_one_before() {
    let (mut a, old) = (Node::of("a", 1), Node::of("b", 9));
    a.connect(&old);
    old.connect(&a);
    a.wait_up("b", 9);
    old.send("a", b"last words");
    a.wait_until("message", |node| node.messages.len() == 1);
    // Its process is back at once, and membership has said so; the connections of before have not been missed.
    let mut new = Node::of("b", 4);
    a.link.disconnect("b");
    a.connect(&new);
    new.connect(&a);
    a.wait_up("b", 4);
    new.wait_up("a", 1);
    new.send("a", b"first words");
    a.wait_until("message", |node| node.messages.len() == 2);
}

#[test]
fn a_peer_that_is_removed_is_down_at_once_and_says_no_more() {
    let (mut a, mut old) = pair();
    a.send("b", b"for the old one");
    a.link.disconnect("b");
    assert_eq!(a.link.take_news().events, [LinkEvent::Down { node: NodeId::from("b"), epoch: 1 }]);
    let new = Node::of("b", 2);
    a.connect(&new);
    a.wait_up("b", 2);
    old.wait_until("message", |node| node.messages.len() == 1);
    // The connection to the old one is over by now: it was kept for that message.
    drop(old);
    drop(new);
    a.wait_for("end", |event| matches!(event, LinkEvent::Down { epoch: 2, .. }));
    let downs = a.events.iter().filter(|event| matches!(event, LinkEvent::Down { .. }));
    assert_eq!(downs.count(), 1);
}

#[test]
fn a_later_life_replaces_the_earlier_one() {
    let (mut a, mut old) = (Node::of("a", 1), Node::of("b", 1));
    a.connect(&old);
    a.wait_up("b", 1);
    // The next life is at another address, and says so itself before anybody has missed the first.
    let mut new = Node::of("b", 2);
    new.connect(&a);
    new.wait_up("a", 1);
    a.link.connect("b", new.link.addr());
    a.wait_up("b", 2);
    old.link.connect("a", a.link.addr());
    old.wait_for("refusal", |event| matches!(event, LinkEvent::Refused { .. }));
    a.send("b", b"which one?");
    new.wait_until("message", |node| node.messages.len() == 1);
    old.fetch();
    assert!(old.messages.is_empty());
}

#[test]
fn another_key_does_not_open() {
    let (mut a, mut b) = pair();
    let other_key = Node::start(LinkOptions { curve: Some(keys(2)), ..options("c", 1) });
    // It has learnt which key the others listen with, but has not their secret.
    let guessed = CurveKeys { public: keys(3).public, secret: keys(3).secret, accepted: vec![keys(1).public] };
    let knows_public = Node::start(LinkOptions { curve: Some(guessed), ..options("d", 1) });
    let no_key = Node::start(LinkOptions { curve: None, ..options("e", 1) });
    for mut stranger in [other_key, knows_public, no_key] {
        stranger.connect(&a);
        a.connect(&stranger);
        stranger.send("a", b"let me in");
        stranger.wait_for("refusal", |event| matches!(event, LinkEvent::Refused { who, .. } if who == "a"));
        a.wait_for("refusal", |event| matches!(event, LinkEvent::Refused { who, .. } if *who == stranger.id));
        stranger.fetch();
        assert!(!stranger.is_up());
    }
    a.send("b", b"1");
    b.send("a", b"2");
    b.wait_until("message", |node| !node.messages.is_empty());
    a.wait_until("message", |node| !node.messages.is_empty());
    assert!(a.messages.iter().all(|(from, _)| &**from == "b"));
    let downs = |node: &Node| node.events.iter().filter(|event| matches!(event, LinkEvent::Down { .. })).count();
    assert_eq!((downs(&a), downs(&b)), (0, 0));
}

#[test]
fn another_cluster_is_refused_and_so_is_a_wrong_node() {
    let (mut a, mut b) = pair();
    let mut elsewhere = Node::start(LinkOptions { cluster: "another".to_owned(), ..options("c", 1) });
    elsewhere.connect(&a);
    let says = |text: &'static str| move |event: &LinkEvent| matches!(event, LinkEvent::Refused { reason, .. } if reason.contains(text));
    elsewhere.wait_for("refusal", says("different clusters"));
    a.wait_for("refusal", says("different clusters"));
    let mut lost = Node::of("d", 1);
    lost.link.connect("somebody", a.link.addr());
    lost.wait_for("refusal", says("another node was meant"));
    let mut twin = Node::of("b", 1);
    twin.link.connect("a", b.link.addr());
    twin.wait_for("refusal", says("both nodes have one name"));
    assert!(!elsewhere.is_up() && !lost.is_up() && !twin.is_up());
    b.fetch();
    assert!(b.messages.is_empty());
}

#[test]
fn strangers_and_noise_do_no_harm() {
    let noise: Vec<u8> = (0..4_096_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut greeting = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1];
    greeting.extend_from_slice(b"CURVE");
    greeting.resize(64, 0);
    let mut open_greeting = greeting.clone();
    open_greeting[12..17].copy_from_slice(b"NULL\0");
    let huge = |greeting: &[u8], flags: u8, shift: u32| [greeting, &[flags], &(1_u64 << shift).to_be_bytes()].concat();
    for curve in [Some(keys(1)), None] {
        let mut a = Node::start(LinkOptions { curve: curve.clone(), ..options("a", 1) });
        let mut streams = Vec::new();
        let mut tell = |bytes: &[u8]| {
            let mut stream = TcpStream::connect(a.link.addr()).expect("the port listens");
            stream.write_all(bytes).expect("loopback takes bytes");
            streams.push(stream);
        };
        (0..100).for_each(|_| tell(b""));
        tell(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        for length in [1, 9, 10, 64, 65, 300, 4_096] {
            tell(&noise[..length]);
            tell(&[&greeting[..], &noise[..length]].concat());
            tell(&[&open_greeting[..], &noise[..length]].concat());
        }
        for shift in [24, 31, 32, 40, 47, 62, 63] {
            for flags in [2, 3, 6] {
                tell(&huge(&greeting, flags, shift));
                tell(&huge(&open_greeting, flags, shift));
            }
        }
        let mut b = Node::start(LinkOptions { curve, ..options("b", 1) });
        a.connect(&b);
        b.connect(&a);
        b.send("a", b"through the noise");
        a.wait_until("message", |node| node.messages.len() == 1);
        a.wait_up("b", 1);
        b.wait_up("a", 1);
        // Whoever has said nothing is sent away.
        let silent = &mut streams[0];
        silent.set_read_timeout(Some(PATIENCE)).expect("a stream has timeouts");
        let mut buffer = Vec::new();
        assert!(silent.read_to_end(&mut buffer).is_ok() || buffer.len() <= 64, "the connection stays");
        assert!(memory_mib().is_none_or(|mib| mib < 1_500), "{:?} MiB", memory_mib());
    }
}

#[test]
fn whoever_is_slow_to_show_a_key_has_not_broken_off() {
    let told = |node: &Node| {
        let reason = |event: &LinkEvent| match event {
            LinkEvent::Refused { reason, .. } => Some(reason.clone()),
            _ => None,
        };
        node.events.iter().filter_map(reason).collect::<Vec<_>>()
    };
    let (mut a, mut b) = (Node::of("a", 1), Node::of("b", 1));
    let slow = TcpStream::connect(a.link.addr()).expect("the port listens");
    drop(TcpStream::connect(b.link.addr()).expect("the port listens"));
    a.wait_until("refusal", |node| !told(node).is_empty());
    assert!(told(&a)[0].contains("timeout"), "{:?}", told(&a));
    b.wait_until("refusal", |node| !told(node).is_empty());
    assert!(told(&b)[0].contains("broke off"), "{:?}", told(&b));
    drop(slow);
}

#[test]
fn a_receiver_that_does_not_fetch_fills_its_sender() {
    const LIMIT: usize = 1 << 20;
    let limited = |id| LinkOptions { queue_bytes_max: LIMIT, ..options(id, 1) };
    let (mut a, mut b) = (Node::start(limited("a")), Node::start(limited("b")));
    a.connect(&b);
    b.connect(&a);
    a.wait_up("b", 1);
    b.wait_up("a", 1);
    let (mut sent, mut full_since) = (0_u64, None);
    let message = |number: u64| [&number.to_le_bytes()[..], &[3; 1_016]].concat();
    // Longer than the time after which silence is death: who does not read is not dead.
    while full_since.is_none_or(|since: Instant| since.elapsed() < Duration::from_secs(5)) {
        match a.link.send("b", &message(sent)) {
            Sent::Queued { .. } => (sent, full_since) = (sent + 1, None),
            Sent::Full => {
                full_since.get_or_insert_with(Instant::now);
                std::thread::yield_now();
            }
            other => panic!("{other:?}"),
        }
    }
    let bytes = sent as usize * 1_024;
    assert!(bytes > LIMIT && bytes < 64 << 20, "{bytes} bytes were accepted");
    a.fetch();
    assert!(!a.events.iter().any(|event| matches!(event, LinkEvent::Down { .. })));
    b.wait_until("messages", |node| node.messages.len() as u64 == sent);
    assert_eq!(b.numbers("a"), (0..sent).collect::<Vec<_>>());
}

#[test]
fn keys_are_changed_without_losing_a_message() {
    let (mut a, mut b) = pair();
    let both = |current: u8, other: u8| CurveKeys { accepted: vec![keys(other).public], ..keys(current) };
    let mut number = 0_u64;
    let mut step = |a: &Node, b: &Node| {
        for _ in 0..500 {
            a.send("b", &number.to_le_bytes());
            b.send("a", &number.to_le_bytes());
            number += 1;
        }
    };
    step(&a, &b);
    a.link.set_keys(both(1, 2));
    b.link.set_keys(both(1, 2));
    step(&a, &b);
    a.link.set_keys(both(2, 1));
    step(&a, &b);
    b.link.set_keys(both(2, 1));
    step(&a, &b);
    a.link.set_keys(keys(2));
    b.link.set_keys(keys(2));
    step(&a, &b);
    a.wait_until("messages", |node| node.messages.len() as u64 == number);
    b.wait_until("messages", |node| node.messages.len() as u64 == number);
    assert_eq!(a.numbers("b"), (0..number).collect::<Vec<_>>());
    assert_eq!(b.numbers("a"), (0..number).collect::<Vec<_>>());
    // Newcomers need the new key.
    let mut new = Node::start(LinkOptions { curve: Some(keys(2)), ..options("c", 1) });
    new.connect(&a);
    new.wait_up("a", 1);
    let mut old = Node::of("d", 1);
    old.connect(&a);
    old.wait_for("refusal", |event| matches!(event, LinkEvent::Refused { .. }));
    assert!(!old.is_up());
}

#[test]
fn nodes_with_different_keys_meet_if_each_accepts_the_other() {
    let start = |id, current: u8, other: u8| {
        let curve = Some(CurveKeys { accepted: vec![keys(other).public], ..keys(current) });
        Node::start(LinkOptions { curve, ..options(id, 1) })
    };
    let (mut a, mut b) = (start("a", 1, 2), start("b", 2, 1));
    a.connect(&b);
    b.connect(&a);
    a.wait_up("b", 1);
    b.wait_up("a", 1);
}

#[test]
fn a_port_that_is_taken_is_an_error() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback can be bound");
    let bind = taken.local_addr().expect("it is bound");
    assert!(Link::start(LinkOptions { bind, ..options("a", 1) }, || ()).is_err());
    assert!(Link::start(options(&"x".repeat(256), 1), || ()).is_err());
}

fn memory_mib() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse::<usize>().ok().map(|kib| kib >> 10)
}
