//! The way from all peers: accepts, checks greetings, passes frames on.
//!
//! One task per ROUTER. There is one, and while keys are changed there are more: a new one takes the port over, and
//! those before it stay until their connections have ended.

use super::inbox::only_part;
use super::sockets::{endpoint, io_error, router};
use super::{GREETING_TIMEOUT, HANDSHAKES_MAX, LinkEvent, STRANGERS_MAX, Shared};
use libeam_core::membership::member::NodeId;
use libeam_core::session::batch;
use libeam_core::session::hello::{Greeting, Hello, Refusal};
use omq_tokio::endpoint::Host;
use omq_tokio::{Endpoint, IdentitySocket, Message, MonitorEvent, MonitorStream, PeerIdent, Socket};
use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

/// Time between two looks at which connections there are.
const SWEEP: Duration = Duration::from_secs(1);
/// Looks at which a connection must be missing, with nothing left to read.
const MISSING: u8 = 3;
/// A handshake is over by then, and what the socket tells of its failure has been read.
const HANDSHAKE_OVER: Duration = GREETING_TIMEOUT.saturating_add(SWEEP);
/// Messages that are read in a row.
const BURST: usize = 64;
/// Addresses whose refusal is remembered, so that it is told once.
const REFUSED_MAX: usize = 256;
/// Attempts to bind a port that a router has just left.
const REBINDS: usize = 20;
const REBIND_PAUSE: Duration = Duration::from_millis(10);

/// What a listening task is to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// Ends with its last connection.
    Retired,
    Closed,
}

/// A ROUTER that is bound.
pub(super) struct Listener {
    shared: Arc<Shared>,
    router: Socket,
    addr: SocketAddr,
}

impl Listener {
    pub async fn bind(shared: &Arc<Shared>, bind: SocketAddr) -> io::Result<Self> {
        let router = router(shared).map_err(io_error)?;
        let bound = router.bind(endpoint(bind)).await.map_err(io_error)?;
        let Endpoint::Tcp { host: Host::Ip(ip), port } = bound else {
            return Err(io::Error::other("the socket was bound to something else"));
        };
        Ok(Self { shared: Arc::clone(shared), router, addr: SocketAddr::new(ip, port) })
    }

    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn start(self) -> Listening {
        let mut listening =
            Listening { addr: self.addr, current: self.router.clone(), stages: Vec::new(), desks: JoinSet::new() };
        listening.open(self);
        listening
    }
}

/// The tasks that listen.
pub(super) struct Listening {
    addr: SocketAddr,
    current: Socket,
    stages: Vec<watch::Sender<Stage>>,
    desks: JoinSet<()>,
}

impl Listening {
    fn open(&mut self, listener: Listener) {
        let stage = watch::Sender::new(Stage::Open);
        self.desks.spawn(Desk::new(listener).run(stage.subscribe()));
        self.stages.retain(|stage| stage.receiver_count() > 0);
        self.stages.push(stage);
    }

    fn tell(&self, stage: Stage) {
        self.stages.iter().for_each(|desk| desk.send_modify(|now| *now = stage));
    }

    /// Listens with the keys of now. The port is free for a moment; who dials then tries again.
    pub async fn rekey(&mut self, shared: &Arc<Shared>) {
        if let Err(error) = self.current.unbind(endpoint(self.addr)).await {
            tracing::warn!(%error, "the listening socket keeps its key");
            return;
        }
        self.tell(Stage::Retired);
        for attempt in 1..=REBINDS {
            match Listener::bind(shared, self.addr).await {
                Ok(listener) => {
                    self.current = listener.router.clone();
                    self.open(listener);
                    return;
                }
                Err(error) if attempt == REBINDS => tracing::error!(%error, "the port is lost while keys were changed"),
                Err(_) => sleep(REBIND_PAUSE).await,
            }
        }
    }

    pub async fn close(mut self) {
        self.tell(Stage::Closed);
        drop(self.current);
        let _ = timeout(SWEEP, async { while self.desks.join_next().await.is_some() {} }).await;
    }
}

/// A connection that has not shown a key.
struct Knock {
    addr: SocketAddr,
    since: Instant,
}

/// A connection that has greeted.
struct Session {
    node: NodeId,
    number: u64,
    missing: u8,
}

/// The task of a ROUTER.
struct Desk {
    shared: Arc<Shared>,
    router: IdentitySocket,
    monitor: MonitorStream,
    sessions: HashMap<u64, Session>,
    /// Connections that have not greeted, or not well, and since when.
    strangers: HashMap<u64, Instant>,
    /// Connections that have not shown a key, where keys are needed.
    knocking: HashMap<u64, Knock>,
    refused: HashSet<IpAddr>,
    /// Addresses of connections that ended without a word: that may be a stranger, a probe of the port, or bad luck.
    broken_off: HashSet<IpAddr>,
}

impl Desk {
    fn new(listener: Listener) -> Self {
        let monitor = listener.router.monitor();
        let router = IdentitySocket::try_from(listener.router).expect("it was made as a router");
        Self {
            shared: listener.shared,
            router,
            monitor,
            sessions: HashMap::new(),
            strangers: HashMap::new(),
            knocking: HashMap::new(),
            refused: HashSet::new(),
            broken_off: HashSet::new(),
        }
    }

    async fn run(mut self, mut stage: watch::Receiver<Stage>) {
        let shared = Arc::clone(&self.shared);
        let mut sweep = interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let now = *stage.borrow_and_update();
            if now == Stage::Closed {
                break;
            }
            let room = shared.inbox.room();
            let full = shared.inbox.is_full();
            tokio::select! {
                received = self.router.recv_from(), if !full => match received {
                    Ok((from, message)) => {
                        self.read(&from, &message);
                        self.read_burst();
                    }
                    Err(error) => {
                        tracing::error!(%error, "the listening socket has ended");
                        break;
                    }
                },
                () = room, if full => {}
                event = self.monitor.recv() => if let Ok(event) = event { self.note(event) },
                _ = sweep.tick() => if self.sweep(full).await == Some(0) && now == Stage::Retired { break },
                _ = stage.changed() => {}
            }
        }
        for session in self.sessions.values() {
            shared.roster.lock().leave(&session.node, session.number);
        }
        let _ = self.router.into_inner().close_with_linger(Some(Duration::ZERO)).await;
    }

    fn read_burst(&mut self) {
        for _ in 0..BURST {
            if self.shared.inbox.is_full() {
                return;
            }
            let Ok((from, message)) = self.router.try_recv_from() else { return };
            self.read(&from, &message);
        }
    }

    /// One frame of some connection.
    fn read(&mut self, from: &omq_tokio::Identity, message: &Message) {
        let connection = from.peer_info().connection_id;
        let Some(frame) = only_part(message) else { return self.cut(connection) };
        let Some(session) = self.sessions.get_mut(&connection) else { return self.greeted(from, frame) };
        session.missing = 0;
        if !self.shared.roster.lock().is_current(&session.node, session.number) {
            self.cut(connection);
        } else if frame.is_empty() {
            self.answer(from, &Greeting::Farewell);
        } else if batch::is_complete(frame) {
            self.shared.inbox.put(session.node.clone(), frame);
            self.shared.pulse.beat();
        } else {
            tracing::warn!(node = %session.node, "a frame ends within a message; the connection is cut");
            self.cut(connection);
        }
    }

    /// Somebody says who they are.
    fn greeted(&mut self, from: &omq_tokio::Identity, frame: &[u8]) {
        let connection = from.peer_info().connection_id;
        let hello = match Greeting::decode(frame) {
            Ok(Greeting::Hello(hello)) => Ok(hello),
            Ok(_) => Err(Refusal::Malformed),
            Err(refusal) => Err(refusal),
        };
        let admitted = hello.and_then(|hello| self.admit(connection, &hello).map(|()| hello));
        match admitted {
            Ok(hello) => {
                self.answer(from, &Greeting::Welcome(self.shared.local.hello(&hello.node, hello.nonce)));
                let peer = self.shared.peers.read().get(&hello.node).cloned();
                if let Some(peer) = peer {
                    peer.has_greeted(hello.epoch);
                }
            }
            Err(refusal) => {
                self.answer(from, &Greeting::Refused(refusal));
                // Who has been refused leaves; whoever does not is cut off by the sweep.
                self.strangers.entry(connection).or_insert_with(Instant::now);
                self.tell_refused(from.peer_info().peer_address, &refusal.to_string());
            }
        }
    }

    fn admit(&mut self, connection: u64, hello: &Hello) -> Result<(), Refusal> {
        let mut roster = self.shared.roster.lock();
        let known = roster.epoch(&hello.node);
        self.shared.local.admit(hello, known)?;
        let number = roster.seat(&hello.node, hello.epoch);
        drop(roster);
        self.strangers.remove(&connection);
        self.sessions.insert(connection, Session { node: hello.node.clone(), number, missing: 0 });
        Ok(())
    }

    fn answer(&self, to: &omq_tokio::Identity, greeting: &Greeting) {
        // It may have gone, or read nothing for long; then it has to greet again.
        let _ = self.router.try_send_to(to, Message::single(greeting.encode()));
    }

    fn cut(&mut self, connection: u64) {
        if let Some(session) = self.sessions.remove(&connection) {
            self.shared.roster.lock().leave(&session.node, session.number);
        }
        let router = self.router.clone();
        // Not waited for here: the socket may be waiting for this task to read.
        tokio::spawn(async move { router.disconnect_peer(connection).await });
    }

    fn note(&mut self, event: MonitorEvent) {
        match event {
            MonitorEvent::Accepted { peer_ident: PeerIdent::Socket(addr), connection_id, .. }
                if self.knocking.len() < HANDSHAKES_MAX && self.shared.keys.read().is_some() =>
            {
                self.knocking.insert(connection_id, Knock { addr, since: Instant::now() });
            }
            MonitorEvent::HandshakeSucceeded { peer, .. } => {
                self.knocking.remove(&peer.connection_id);
            }
            MonitorEvent::HandshakeFailed { peer_ident: PeerIdent::Socket(addr), reason, .. } => {
                self.knocking.retain(|_, known| known.addr != addr);
                self.tell_refused(Some(addr), &reason);
            }
            _ => {}
        }
    }

    fn tell_refused(&mut self, addr: Option<SocketAddr>, reason: &str) {
        let Some(addr) = addr else { return };
        if self.refused.len() < REFUSED_MAX && self.refused.insert(addr.ip()) {
            self.shared.inbox.tell(LinkEvent::Refused { who: addr.to_string(), reason: reason.to_owned() });
        }
    }

    /// Tells of connections that have ended without having shown a key. The socket names those whose handshake is over:
    /// the others are still at it, until there is no time left for it.
    fn tell_broken_off(&mut self, live: &HashSet<u64>) {
        self.knocking.retain(|id, _| !live.contains(id));
        let late = self.knocking.extract_if(|_, knock| knock.since.elapsed() > HANDSHAKE_OVER);
        let ended: Vec<SocketAddr> = late.map(|(_, knock)| knock.addr).collect();
        for addr in ended {
            let ip = addr.ip();
            if !self.refused.contains(&ip) && self.broken_off.len() < REFUSED_MAX && self.broken_off.insert(ip) {
                let reason = "it broke off before it had shown a key".to_owned();
                self.shared.inbox.tell(LinkEvent::Refused { who: addr.to_string(), reason });
            }
        }
    }

    /// Forgets connections that have ended, and ends those that should have greeted. Says how many there are, if the socket does.
    async fn sweep(&mut self, full: bool) -> Option<usize> {
        let Ok(Ok(connections)) = timeout(SWEEP, self.router.connections()).await else { return None };
        let live: HashSet<u64> = connections.iter().map(|status| status.connection_id).collect();
        while let Ok(event) = self.monitor.try_recv() {
            self.note(event);
        }
        self.tell_broken_off(&live);
        let roster = &self.shared.roster;
        self.sessions.retain(|connection, session| {
            // What has been received of it may still wait to be read.
            session.missing = if live.contains(connection) || full { 0 } else { session.missing + 1 };
            if session.missing == MISSING {
                roster.lock().leave(&session.node, session.number);
            }
            session.missing < MISSING
        });
        let now = Instant::now();
        self.strangers.retain(|connection, _| live.contains(connection));
        for connection in live.iter().filter(|connection| !self.sessions.contains_key(connection)) {
            self.strangers.entry(*connection).or_insert(now);
        }
        let too_many = self.strangers.len().saturating_sub(STRANGERS_MAX);
        let late = self.strangers.iter().filter(|(_, since)| now.duration_since(**since) >= GREETING_TIMEOUT);
        let mut cut: Vec<u64> = late.map(|(connection, _)| *connection).collect();
        cut.extend(self.strangers.keys().take(too_many));
        cut.into_iter().for_each(|connection| self.cut(connection));
        Some(live.len())
    }
}
