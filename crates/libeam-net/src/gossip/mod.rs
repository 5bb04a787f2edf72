//! The driver of a node's membership: a thread with a UDP socket, a TCP listener and the clock.
//!
//! It decides nothing. [`libeam_core::membership`] says what to send and when it wants to be called;
//! what it says about members is put where the owner fetches it, and the owner is told by a callback
//! that there is something. The thread is the driver's own, so a busy event loop or a busy isolate
//! never looks like a dead node.
//!
//! Sockets. Datagrams and streams arrive at one port number. A stream carries one request and one
//! response, each a 32-bit little-endian length and that many bytes. After a pause the UDP socket is
//! read until it is empty before timers run, as the machine asks.
//!
//! Limits. [`FRAME_BYTES_MAX`] bytes per request or response, [`REQUEST_BYTES_MAX`] for all requests that are being
//! read, [`STREAMS_MAX`] streams served at once (of further ones the oldest of whoever has most is closed),
//! [`STREAM_TIMEOUT`] for all of a stream, [`EVENTS_MAX`] events that
//! nobody has fetched; past that the oldest are dropped and the owner is told to look at the table.
//!
//! What the node says about itself begins with how its event loop does ([`said`]), which whoever watches the loop tells the
//! driver: it goes out while the loop stands still.
//!
//! Faults. Tests cut a node off from others: the block list names them, and what goes to their addresses or says that it
//! comes from them is lost, datagrams and streams alike. It is empty unless somebody fills it, and nothing else reads it.
//!
//! Failure. Errors of single packets and streams are answers ("refused", "unreachable"), never errors
//! of the driver. If the UDP socket itself fails, the driver logs it and goes on trying. While no stream can be accepted,
//! because the process has too many files open, everything else goes on.

mod blocks;
mod said;
mod seeds;
mod streams;
mod troubles;

pub use said::read as read_said;
pub use troubles::{Trouble, What};

use crate::MonotonicClock;
use blocks::Blocks;
use libeam_core::event_loop::LoopState;
use libeam_core::membership::config::MembershipConfig;
use libeam_core::membership::envelope::{Key, Keyring};
use libeam_core::membership::member::{Event, NodeId, Record};
use libeam_core::membership::{Hint, Identity, Membership, Output};
use parking_lot::Mutex;
use said::Said;
use seeds::Seeds;
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use streams::{Answer, Request, Streams};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use troubles::Troubles;

/// Bytes of a request or a response at most.
pub const FRAME_BYTES_MAX: usize = 8 << 20;
/// Bytes of all requests that are being read: strangers cannot be told from members before the end.
pub const REQUEST_BYTES_MAX: usize = 4 * FRAME_BYTES_MAX;
/// Streams served at once.
pub const STREAMS_MAX: usize = 64;
/// Time for all of a stream.
pub const STREAM_TIMEOUT: Duration = Duration::from_secs(1);
/// Events that wait for the owner at most.
pub const EVENTS_MAX: usize = 65_536;
/// Times that a port is chosen anew because the other protocol has it.
const PORT_ATTEMPTS: usize = 16;
/// Time after which a machine that wants nothing is looked at all the same.
const IDLE: Duration = Duration::from_secs(10);
/// Time without new streams when one could not be accepted: mostly the process has too many files open, and the socket goes
/// on saying that somebody waits.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Time between two news of packets that were not let in, in microseconds.
const REJECTS_INTERVAL_US: u64 = 1_000_000;
/// Bytes of a datagram that are read; longer ones are none of ours.
const DATAGRAM_BYTES: usize = 2_048;

/// What a driver is started with.
#[derive(Debug)]
pub struct GossipOptions {
    /// How fast and how patient the node is.
    pub config: MembershipConfig,
    /// Names the node.
    pub id: NodeId,
    /// Names this life; see [`Identity::epoch`].
    pub epoch: u64,
    /// What the node says about itself.
    pub meta: Arc<[u8]>,
    /// Where to listen; port 0 is any free one.
    pub bind: SocketAddr,
    /// Where others reach this node; the address it listens at unless given.
    pub advertise: Option<IpAddr>,
    /// `host:port`, or `dns:name:port` for all addresses of a name.
    pub seeds: Vec<String>,
    /// The cluster's keys.
    pub keys: Keyring,
    /// Of the machine's dice.
    pub seed: u64,
    /// Nodes that are cut off from the start; see [`Gossip::block`].
    pub blocked: Vec<(NodeId, SocketAddr)>,
}

/// Something for the driver to do.
#[derive(Debug)]
enum Command {
    Leave,
    Meta(Arc<[u8]>),
    Loop(LoopState),
    Hint(NodeId, Hint),
    Install(Key),
    Activate(u8),
    Remove(u8),
    Block(NodeId, SocketAddr),
    Unblock(NodeId),
    UnblockAll,
    Stop,
}

/// What the driver and its owner share.
#[derive(Debug, Default)]
struct Shared {
    events: VecDeque<Event>,
    /// Events were dropped: only the table is right.
    lost: bool,
    members: Vec<Record>,
    own: Option<Record>,
    view: u64,
    health: u32,
    rejected: u64,
    /// How many of these were news.
    rejected_told: u64,
    gone: bool,
    troubles: Vec<Trouble>,
}

/// What a driver knows now.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// This node.
    pub own: Record,
    /// The others, dead ones included.
    pub members: Vec<Record>,
    /// Equal views have equal hashes.
    pub view: u64,
    /// How much the node doubts itself; 0 is not at all.
    pub health: u32,
    /// Packets that were not let in.
    pub rejected: u64,
}

/// News for the owner.
#[derive(Debug, Default)]
pub struct News {
    /// What has happened, in order.
    pub events: Vec<Event>,
    /// Some of it was dropped.
    pub lost: bool,
    /// The node has said goodbye for long enough.
    pub gone: bool,
    /// What keeps nodes apart.
    pub troubles: Vec<Trouble>,
}

/// A node's membership with its sockets and its thread. Dropping it ends all three, without a goodbye.
#[derive(Debug)]
pub struct Gossip {
    commands: mpsc::UnboundedSender<Command>,
    shared: Arc<Mutex<Shared>>,
    addr: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl Gossip {
    /// Binds the sockets and starts the thread. `on_news` is called on it when there is something to fetch; it must
    /// not block.
    ///
    /// # Errors
    /// When the address cannot be bound, or the thread not be started.
    pub fn start(options: GossipOptions, on_news: impl Fn() + Send + 'static) -> io::Result<Self> {
        Self::start_with(options, on_news, seeds::lookup)
    }

    /// The same with a way of its own to find out what names mean.
    fn start_with<L, F>(options: GossipOptions, on_news: impl Fn() + Send + 'static, lookup: L) -> io::Result<Self>
    where
        L: Fn(String) -> F + Clone + Send + 'static,
        F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        let (udp, tcp) = bind(options.bind)?;
        let local = udp.local_addr()?;
        let ip = options.advertise.unwrap_or_else(|| advertised(local.ip()));
        let addr = SocketAddr::new(ip, local.port());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(seeds::RESOLVERS_MAX)
            .build()?;
        let shared = Arc::new(Mutex::new(Shared::default()));
        let (commands, received) = mpsc::unbounded_channel();
        let for_thread = Arc::clone(&shared);
        let name = format!("libeam-gossip-{}", local.port());
        let thread = thread::Builder::new().name(name).spawn(move || {
            runtime.block_on(async {
                // Sockets become the runtime's inside of it.
                let sockets = UdpSocket::from_std(udp).and_then(|udp| Ok((udp, TcpListener::from_std(tcp)?)));
                match sockets {
                    Ok((udp, tcp)) => {
                        let troubles = Arc::default();
                        let seeds = Seeds::ask(&options.seeds, &lookup, &troubles);
                        Driver::new(options, addr, for_thread, (troubles, on_news))
                            .run(udp, tcp, seeds, received)
                            .await;
                    }
                    Err(error) => tracing::error!(%error, "the sockets of the gossip driver cannot be used"),
                }
            });
            // Whoever ends the driver does not wait for name servers.
            runtime.shutdown_background();
        })?;
        Ok(Self { commands, shared, addr, thread: Some(thread) })
    }

    /// Where others reach this node.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Fetches the news.
    #[must_use]
    pub fn take_news(&self) -> News {
        let mut shared = self.shared.lock();
        News {
            events: shared.events.drain(..).collect(),
            lost: std::mem::take(&mut shared.lost),
            gone: shared.gone,
            troubles: std::mem::take(&mut shared.troubles),
        }
    }

    /// What is known now; `None` until the thread has begun.
    #[must_use]
    pub fn snapshot(&self) -> Option<Snapshot> {
        let shared = self.shared.lock();
        let own = shared.own.clone()?;
        let Shared { view, health, rejected, .. } = *shared;
        Some(Snapshot { own, members: shared.members.clone(), view, health, rejected })
    }

    /// Says goodbye; [`News::gone`] tells when that is done.
    pub fn leave(&self) {
        self.send(Command::Leave);
    }

    /// Changes what this node says about itself; what is too long is ignored.
    pub fn set_meta(&self, meta: Arc<[u8]>) {
        self.send(Command::Meta(meta));
    }

    /// Takes news of how the owner's event loop does, from any thread and after the end, too.
    pub fn loop_listener(&self) -> impl Fn(LoopState) + Send + 'static {
        let commands = self.commands.clone();
        move |state| drop(commands.send(Command::Loop(state)))
    }

    /// Another part of the runtime knows something about a member.
    pub fn hint(&self, id: NodeId, hint: Hint) {
        self.send(Command::Hint(id, hint));
    }

    /// Accepts a further key.
    pub fn install_key(&self, key: Key) {
        self.send(Command::Install(key));
    }

    /// Seals with a key that is installed.
    pub fn activate_key(&self, id: u8) {
        self.send(Command::Activate(id));
    }

    /// Accepts a key no longer, unless it is the one that seals.
    pub fn remove_key(&self, id: u8) {
        self.send(Command::Remove(id));
    }

    /// Loses everything to and from a node from now on, as a cut network would; see the module's header.
    pub fn block(&self, id: NodeId, addr: SocketAddr) {
        self.send(Command::Block(id, addr));
    }

    /// Ends that.
    pub fn unblock(&self, id: NodeId) {
        self.send(Command::Unblock(id));
    }

    /// Ends it for all nodes.
    pub fn unblock_all(&self) {
        self.send(Command::UnblockAll);
    }

    fn send(&self, command: Command) {
        // The thread has ended only if the sockets could not be used; there is nobody to tell then.
        let _ = self.commands.send(command);
    }
}

impl Drop for Gossip {
    fn drop(&mut self) {
        self.send(Command::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Both sockets on one port number.
fn bind(addr: SocketAddr) -> io::Result<(std::net::UdpSocket, std::net::TcpListener)> {
    let mut attempt = 0;
    loop {
        let tcp = std::net::TcpListener::bind(addr)?;
        match std::net::UdpSocket::bind(SocketAddr::new(addr.ip(), tcp.local_addr()?.port())) {
            Ok(udp) => {
                udp.set_nonblocking(true)?;
                tcp.set_nonblocking(true)?;
                return Ok((udp, tcp));
            }
            Err(error) if addr.port() != 0 || attempt == PORT_ATTEMPTS => return Err(error),
            Err(_) => attempt += 1,
        }
    }
}

/// The next stream, when a pause is over.
async fn accept(tcp: &TcpListener, pause_end: Option<Instant>) -> io::Result<(TcpStream, SocketAddr)> {
    if let Some(end) = pause_end {
        sleep_until(end).await;
    }
    tcp.accept().await
}

/// A node that listens everywhere is reached here by others on this machine.
fn advertised(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(v4) if v4.is_unspecified() => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        IpAddr::V6(v6) if v6.is_unspecified() => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
        other => other,
    }
}

struct Driver<F> {
    machine: Membership,
    said: Said,
    clock: MonotonicClock,
    shared: Arc<Mutex<Shared>>,
    on_news: F,
    /// Before this, packets that were not let in are no news.
    rejects_not_before_us: u64,
    /// Nodes that a test has cut off.
    blocks: Blocks,
    troubles: Arc<Troubles>,
}

impl<F: Fn()> Driver<F> {
    fn new(
        options: GossipOptions,
        addr: SocketAddr,
        shared: Arc<Mutex<Shared>>,
        (troubles, on_news): (Arc<Troubles>, F),
    ) -> Self {
        let GossipOptions { config, id, epoch, meta, keys, seed, blocked, .. } = options;
        let clock = MonotonicClock;
        let said = Said::new(meta);
        let identity = Identity { id, epoch, addr, meta: said.bytes() };
        let machine = Membership::new(config, identity, keys, clock.now_us(), seed);
        let blocks = Blocks::from_iter(blocked);
        Self { machine, said, clock, shared, on_news, rejects_not_before_us: 0, blocks, troubles }
    }

    async fn run(
        mut self,
        udp: UdpSocket,
        tcp: TcpListener,
        mut seeds: Seeds,
        mut commands: mpsc::UnboundedReceiver<Command>,
    ) {
        let (mut streams, mut requests, mut answers) = Streams::new();
        let mut buffer = vec![0; DATAGRAM_BYTES];
        let mut pause_end = None;
        loop {
            self.speak();
            self.flush(&udp, &mut streams).await;
            let due = [self.machine.poll_timeout(), self.said.poll_timeout()].into_iter().flatten().min();
            let due = due.and_then(|due_us| self.clock.instant(due_us));
            let due = due.map_or_else(|| Instant::now() + IDLE, Instant::from_std);
            tokio::select! {
                biased;
                ready = udp.readable() => match ready {
                    Ok(()) => self.read_all(&udp, &mut buffer),
                    Err(error) => tracing::warn!(%error, "the gossip socket cannot be read"),
                },
                Some(request) = requests.recv() => self.serve(request),
                Some(answer) = answers.recv() => self.answered(&answer),
                accepted = accept(&tcp, pause_end) => {
                    pause_end = accepted.is_err().then(|| Instant::now() + ACCEPT_PAUSE);
                    if let Ok((stream, from)) = accepted { streams.serve(stream, from) }
                }
                Some(command) = commands.recv() => if !self.obey(command) { return },
                Some(addrs) = seeds.changed() => self.machine.join(&addrs, self.clock.now_us()),
                () = sleep_until(due) => {
                    self.read_all(&udp, &mut buffer);
                    self.machine.handle_timeout(self.clock.now_us());
                }
            }
        }
    }

    /// Reads datagrams until there are none.
    fn read_all(&mut self, udp: &UdpSocket, buffer: &mut [u8]) {
        while let Ok((length, from)) = udp.try_recv_from(buffer) {
            if self.blocks.from(&buffer[..length]) {
                continue;
            }
            // What is not let in is counted by the machine.
            if let Err(reject) = self.machine.handle_datagram(self.clock.now_us(), from, &buffer[..length]) {
                self.troubles.rejected(from, reject);
            }
        }
    }

    fn serve(&mut self, request: Request) {
        if self.blocks.from(&request.bytes) {
            streams::lose(request);
            return;
        }
        let response = self.machine.handle_request(self.clock.now_us(), request.from, &request.bytes);
        if let Err(reject) = response {
            self.troubles.rejected(request.from, reject);
        }
        // The stream may have ended meanwhile.
        let _ = request.respond.send(response.ok());
    }

    fn answered(&mut self, answer: &Answer) {
        let response = answer.response.as_deref().map_err(|&error| error);
        if self.machine.table().live_len() == 0 {
            self.troubles.asked(answer.to, response.err());
        }
        self.machine.handle_response(self.clock.now_us(), answer.token, response);
    }

    /// False ends the driver.
    fn obey(&mut self, command: Command) -> bool {
        let now_us = self.clock.now_us();
        match command {
            Command::Leave => self.machine.leave(now_us),
            Command::Meta(meta) => {
                self.said.set_meta(meta);
                self.say(self.said.bytes());
            }
            Command::Loop(state) => self.said.set_loop(state),
            Command::Hint(id, hint) => self.machine.hint(&id, hint, now_us),
            Command::Install(key) => self.machine.keys_mut().install(key),
            Command::Activate(id) => drop(self.machine.keys_mut().activate(id)),
            Command::Remove(id) => drop(self.machine.keys_mut().remove(id)),
            Command::Block(id, addr) => self.blocks.add(id, addr),
            Command::Unblock(id) => self.blocks.remove(&id),
            Command::UnblockAll => self.blocks = Blocks::default(),
            Command::Stop => return false,
        }
        true
    }

    /// Says how the loop does, if that has to be said now.
    fn speak(&mut self) {
        if let Some(said) = self.said.refresh(self.clock.now_us()) {
            self.say(said);
        }
    }

    fn say(&mut self, said: Arc<[u8]>) {
        if !self.machine.set_meta(said, self.clock.now_us()) {
            tracing::warn!("metadata of a node is too long; it stays as it was");
        }
    }

    /// Does what the machine wants done, and passes on what it says.
    async fn flush(&mut self, udp: &UdpSocket, streams: &mut Streams) {
        while let Some(output) = self.machine.poll_output() {
            let (Output::Datagram { to, .. } | Output::Request { to, .. }) = output;
            let lost = self.blocks.to(to, self.machine.table());
            match output {
                Output::Request { token, .. } if lost => streams.lose(token, to),
                Output::Datagram { .. } if lost => {}
                Output::Datagram { to, bytes } => {
                    // A datagram may be lost on the way, and so it may be lost here.
                    let _ = udp.send_to(&bytes, to).await;
                }
                Output::Request { token, to, bytes } => streams.request(token, to, bytes),
            }
        }
        let mut shared = self.shared.lock();
        let mut news = false;
        while let Some(event) = self.machine.poll_event() {
            news = true;
            if shared.events.len() == EVENTS_MAX {
                shared.events.pop_front();
                shared.lost = true;
            }
            shared.events.push_back(event);
        }
        let view = self.machine.view();
        if news || shared.own.is_none() || shared.view != view {
            shared.members = self.machine.table().iter().map(|member| member.record.clone()).collect();
        }
        news |= self.machine.is_gone() && !shared.gone;
        let troubles = self.troubles.take();
        news |= !troubles.is_empty();
        shared.troubles.extend(troubles);
        let now_us = self.clock.now_us();
        if self.machine.rejected() != shared.rejected_told && now_us >= self.rejects_not_before_us {
            self.rejects_not_before_us = now_us + REJECTS_INTERVAL_US;
            shared.rejected_told = self.machine.rejected();
            news = true;
        }
        shared.own = Some(self.machine.own().clone());
        shared.view = view;
        shared.health = self.machine.health();
        shared.rejected = self.machine.rejected();
        shared.gone = self.machine.is_gone();
        drop(shared);
        if news {
            (self.on_news)();
        }
    }
}
