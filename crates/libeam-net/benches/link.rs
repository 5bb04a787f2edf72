//! How many messages a link carries over loopback, with CURVE: `cargo bench -p libeam-net`.

use libeam_core::membership::member::NodeId;
use libeam_core::security::keys::public_key;
use libeam_core::session::batch::Messages;
use libeam_net::link::{CurveKeys, Link, LinkEvent, LinkOptions, Sent};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);
const ROUND_TRIPS: u32 = 20_000;

struct Node {
    link: Link,
    rung: Receiver<()>,
}

impl Node {
    fn start(id: &str) -> Self {
        let (ring, rung) = channel();
        let secret = [1; 32];
        let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut options = LinkOptions::new(NodeId::from(id), 1, "bench".to_owned(), bind);
        options.curve = Some(CurveKeys { public: public_key(secret), secret, accepted: Vec::new() });
        let link = Link::start(options, move || {
            let _ = ring.send(());
        })
        .expect("loopback can be bound");
        Self { link, rung }
    }

    fn wait_up(&self) {
        while !self.link.take_news().events.iter().any(|event| matches!(event, LinkEvent::Up { .. })) {
            self.rung.recv_timeout(PATIENCE).expect("the nodes meet");
        }
    }

    /// Waits for so many messages.
    fn wait_for(&self, count: u64) {
        let mut arrived = 0;
        loop {
            self.link.take_frames(usize::MAX, 0, |_, frame| arrived += Messages::new(frame).count() as u64);
            if arrived >= count {
                return;
            }
            self.rung.recv_timeout(PATIENCE).expect("messages arrive");
        }
    }
}

fn pair() -> (Node, Node) {
    let (a, b) = (Node::start("a"), Node::start("b"));
    a.link.connect("b", b.link.addr());
    b.link.connect("a", a.link.addr());
    a.wait_up();
    b.wait_up();
    (a, b)
}

fn one_way(bytes: usize, count: u64) {
    let (a, b) = pair();
    let message = vec![5; bytes];
    let begin = Instant::now();
    let sender = std::thread::spawn(move || {
        for _ in 0..count {
            while a.link.send("b", &message) == Sent::Full {
                std::thread::yield_now();
            }
        }
        a
    });
    b.wait_for(count);
    let rate = count as f64 / begin.elapsed().as_secs_f64();
    println!("{bytes:>6} bytes, one way: {rate:>9.0} messages/s");
    drop(sender.join());
}

fn round_trips() {
    let (a, b) = pair();
    let begin = Instant::now();
    for _ in 0..ROUND_TRIPS {
        a.link.send("b", &[1; 64]);
        b.wait_for(1);
        b.link.send("a", &[1; 64]);
        a.wait_for(1);
    }
    let each = begin.elapsed() / ROUND_TRIPS;
    println!("    64 bytes, there and back, one at a time: {} µs", each.as_micros());
}

fn main() {
    for (bytes, count) in [(64, 2_000_000), (1_024, 500_000), (65_536, 10_000)] {
        one_way(bytes, count);
    }
    round_trips();
}
