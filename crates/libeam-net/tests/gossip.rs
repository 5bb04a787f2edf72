//! Membership over real sockets on this machine. Waits are for facts, with a limit that only a failure reaches.

use libeam_core::event_loop::LoopState;
use libeam_core::membership::config::MembershipConfig;
use libeam_core::membership::envelope::{Key, Keyring};
use libeam_core::membership::member::{Event, NodeId, Status};
use libeam_net::gossip::{Gossip, GossipOptions, read_said};
#[cfg(unix)]
use std::fs::File;
use std::io::Write;
#[cfg(unix)]
use std::io::{Read, stdout};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
#[cfg(unix)]
use std::process::{Command, exit};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

struct Node {
    gossip: Gossip,
    rung: mpsc::Receiver<()>,
    events: Vec<Event>,
}

impl Node {
    fn start(id: &str, epoch: u64, seeds: &[SocketAddr], secret: Option<&[u8]>) -> Self {
        let (ring, rung) = mpsc::channel();
        let options = GossipOptions {
            config: MembershipConfig::lan(),
            id: NodeId::from(id),
            epoch,
            meta: b"meta"[..].into(),
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            advertise: None,
            seeds: seeds.iter().map(ToString::to_string).collect(),
            keys: secret.map_or_else(Keyring::open, |secret| Keyring::of(Key::new(1, secret))),
            seed: epoch,
            blocked: Vec::new(),
        };
        let gossip = Gossip::start(options, move || {
            let _ = ring.send(());
        })
        .expect("loopback can be bound");
        Self { gossip, rung, events: Vec::new() }
    }

    /// Waits until an event is there, past or future.
    fn wait_for(&mut self, what: &str, matches: impl Fn(&Event) -> bool) {
        let end = Instant::now() + PATIENCE;
        loop {
            self.events.extend(self.gossip.take_news().events);
            if self.events.iter().any(&matches) {
                return;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(self.rung.recv_timeout(left).is_ok(), "no {what} among {:?}", self.events);
        }
    }

    fn live(&self) -> usize {
        let snapshot = self.gossip.snapshot();
        snapshot.map_or(0, |snapshot| snapshot.members.iter().filter(|member| member.status.is_live()).count())
    }
}

fn up(id: &'static str) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::Up(record) if &*record.id == id)
}

fn trio(secret: Option<&[u8]>) -> [Node; 3] {
    let mut a = Node::start("a", 1, &[], secret);
    let seeds = [a.gossip.addr()];
    let (mut b, mut c) = (Node::start("b", 2, &seeds, secret), Node::start("c", 3, &seeds, secret));
    for (node, others) in [(&mut a, ["b", "c"]), (&mut b, ["a", "c"]), (&mut c, ["a", "b"])] {
        others.into_iter().for_each(|id| node.wait_for(id, up(id)));
    }
    [a, b, c]
}

#[test]
fn nodes_meet_and_say_goodbye() {
    let [mut a, mut b, c] = trio(Some(b"secret"));
    c.gossip.leave();
    for node in [&mut a, &mut b] {
        node.wait_for("farewell", |event| matches!(event, Event::Left(record) if &*record.id == "c"));
        assert!(!node.events.iter().any(|event| matches!(event, Event::Dead(_))));
    }
}

#[test]
fn a_node_that_vanishes_is_missed_and_may_come_back() {
    let [mut a, mut b, c] = trio(None);
    drop(c);
    for node in [&mut a, &mut b] {
        node.wait_for("death", |event| matches!(event, Event::Dead(record) if &*record.id == "c"));
    }
    let _c = Node::start("c", 4, &[a.gossip.addr()], None);
    for node in [&mut a, &mut b] {
        node.wait_for(
            "second life",
            |event| matches!(event, Event::Up(record) if &*record.id == "c" && record.epoch == 4),
        );
    }
}

#[test]
fn nodes_that_are_cut_off_miss_each_other_until_the_cut_heals() {
    let [mut a, mut b, mut c] = trio(Some(b"secret"));
    // Only one side of each cut knows of it: what comes from there is lost as well.
    for node in [&a, &b] {
        node.gossip.block(NodeId::from("c"), c.gossip.addr());
    }
    for node in [&mut a, &mut b] {
        node.wait_for("death of c", |event| matches!(event, Event::Dead(record) if &*record.id == "c"));
    }
    for id in ["a", "b"] {
        c.wait_for("death", |event| matches!(event, Event::Dead(record) if &*record.id == id));
    }
    assert_eq!((a.live(), b.live(), c.live()), (1, 1, 0));
    a.gossip.unblock(NodeId::from("c"));
    b.gossip.unblock_all();
    for node in [&mut a, &mut b, &mut c] {
        node.events.clear();
    }
    a.wait_for("return of c", up("c"));
    b.wait_for("return of c", up("c"));
    for id in ["a", "b"] {
        c.wait_for("return", up(id));
    }
}

#[test]
fn metadata_is_told() {
    let [mut a, b, _c] = trio(None);
    b.gossip.set_meta(b"roles=web"[..].into());
    a.wait_for(
        "metadata",
        |event| matches!(event, Event::Updated(record) if read_said(&record.meta).1 == b"roles=web"),
    );
}

#[test]
fn how_a_loop_does_is_told_beside_the_metadata() {
    let [mut a, b, _c] = trio(None);
    let tell = b.gossip.loop_listener();
    let said = |state| move |event: &Event| matches!(event, Event::Updated(record) if read_said(&record.meta) == (state, &b"meta"[..]));
    tell(LoopState::Busy);
    a.wait_for("busy", said(LoopState::Busy));
    tell(LoopState::Hung);
    a.wait_for("hung", said(LoopState::Hung));
    tell(LoopState::Ok);
    a.wait_for("ok", said(LoopState::Ok));
    assert!(!a.events.iter().any(|event| matches!(event, Event::Dead(_))));
    drop(b);
    tell(LoopState::Busy); // Nobody is there to hear it.
}

#[test]
fn strangers_and_noise_change_nothing() {
    let [mut a, _b, _c] = trio(Some(b"secret"));
    let stranger = Node::start("stranger", 9, &[a.gossip.addr()], Some(b"another"));
    let noise = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback can be bound");
    for length in 0..300_usize {
        let bytes: Vec<u8> = (0..length).map(|at| (at * 31 + length) as u8).collect();
        noise.send_to(&bytes, a.gossip.addr()).expect("loopback takes datagrams");
    }
    let silent: Vec<TcpStream> =
        (0..100).map(|_| TcpStream::connect(a.gossip.addr()).expect("the port listens")).collect();
    let mut liar = TcpStream::connect(a.gossip.addr()).expect("the port listens");
    liar.write_all(&u32::MAX.to_le_bytes()).expect("loopback takes bytes");
    let d = Node::start("d", 5, &[a.gossip.addr()], Some(b"secret"));
    a.wait_for("another member, noise or not", up("d"));
    assert_eq!(stranger.live(), 0);
    assert_eq!(a.live(), 3);
    let snapshot = a.gossip.snapshot().expect("it runs");
    assert!(snapshot.rejected > 0);
    assert!(snapshot.members.iter().all(|member| member.status == Status::Alive));
    drop((silent, liar, d));
}

/// Set in the process that has few files.
#[cfg(unix)]
const FEW_FILES: &str = "LIBEAM_TEST_FEW_FILES";

/// The limit is the whole process's, so a process of its own has it.
#[cfg(unix)]
#[test]
fn a_node_that_has_no_file_left_goes_on() {
    let run = Command::new("sh")
        .args(["-c", "ulimit -n 48 && exec \"$0\" --exact --nocapture in_a_process_with_few_files"])
        .arg(std::env::current_exe().expect("a test has a file"))
        .env(FEW_FILES, "1")
        .output()
        .expect("there is a shell");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
}

#[cfg(unix)]
#[test]
fn in_a_process_with_few_files() {
    if std::env::var_os(FEW_FILES).is_none() {
        return; // Run by the test before.
    }
    let node = Node::start("a", 1, &[], None);
    let mut files: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    files.pop();
    let mut waits = TcpStream::connect(node.gossip.addr()).expect("the last file is for this");
    assert!(File::open("/dev/null").is_err(), "none is left for the other end");
    node.gossip.leave();
    let end = Instant::now() + PATIENCE;
    while !node.gossip.take_news().gone {
        if node.rung.recv_timeout(end.saturating_duration_since(Instant::now())).is_err() {
            println!("the node does nothing any more");
            let _ = stdout().flush();
            exit(1); // Its end would be waited for as well.
        }
    }
    drop(files);
    waits.set_read_timeout(Some(PATIENCE)).expect("it is a socket");
    waits.write_all(&u32::MAX.to_le_bytes()).expect("loopback takes bytes");
    assert!(!waits.read(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "it is served");
}
