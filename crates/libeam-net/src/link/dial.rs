//! The way to one peer: dials, greets, sends; again and again until it is told to stop.

use super::awake::Pulse;
use super::inbox::only_part;
use super::sockets::{dealer, endpoint};
use super::{FAREWELL, GREETING_TIMEOUT, LinkEvent, Shared};
use libeam_core::membership::member::NodeId;
use libeam_core::membership::random::Random;
use libeam_core::session::batch::{Outgoing, Pushed};
use libeam_core::session::hello::{Greeting, Hello, Refusal};
use libeam_core::supervision::Backoff;
use omq_tokio::{Message, MonitorEvent, MonitorStream, Socket, TrySendError};
use parking_lot::Mutex;
use std::collections::hash_map::RandomState;
use std::future::pending;
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};

const PAUSE: Backoff = Backoff { initial_ms: 50, max_ms: 2_000, multiplier: 2.0, jitter: 0.3 };
/// Handshakes that break off without a word before that is called a refusal.
const SILENT_REFUSALS: u32 = 2;

/// What the owner wants of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wish {
    addr: SocketAddr,
    stop: bool,
    /// Raised when the peer is known to be in a later life, or to be back.
    redials: u64,
}

/// What the owner has been told of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Down,
    /// It is up with this life.
    Up(u64),
    /// The owner has removed it: it is down, and nothing more is told.
    Removed,
}

/// A peer as all threads see it.
pub(super) struct Peer {
    node: NodeId,
    outgoing: Mutex<Outgoing>,
    filled: Notify,
    pulse: Arc<Pulse>,
    wish: watch::Sender<Wish>,
    told: Mutex<Told>,
}

impl Peer {
    pub fn new(node: NodeId, addr: SocketAddr, shared: &Shared) -> Self {
        Self {
            node,
            outgoing: Mutex::new(Outgoing::new(shared.frame_bytes_max, shared.queue_bytes_max)),
            filled: Notify::new(),
            pulse: Arc::clone(&shared.pulse),
            wish: watch::Sender::new(Wish { addr, stop: false, redials: 0 }),
            told: Mutex::new(Told::Down),
        }
    }

    /// Adds what `push` adds; tells what became of it, and how many bytes still fit.
    pub fn add(&self, push: impl FnOnce(&mut Outgoing) -> Pushed) -> (Pushed, usize) {
        let mut outgoing = self.outgoing.lock();
        let idle = outgoing.is_empty();
        let pushed = push(&mut outgoing);
        let room = outgoing.room();
        drop(outgoing);
        if idle && pushed == Pushed::Queued && self.pulse.submitted() {
            self.filled.notify_one();
        }
        (pushed, room)
    }

    /// Something may have been added without waking the thread.
    pub fn look(&self) {
        if !self.outgoing.lock().is_empty() {
            self.filled.notify_one();
        }
    }

    pub fn room(&self) -> usize {
        self.outgoing.lock().room()
    }

    pub fn move_to(&self, addr: SocketAddr) {
        self.wish.send_if_modified(|wish| std::mem::replace(&mut wish.addr, addr) != addr);
    }

    pub fn stop(&self) {
        self.wish.send_modify(|wish| wish.stop = true);
    }

    /// The owner has removed the peer. It is told now what a connection that takes its time to end would tell later, when
    /// there may be another one to the same node.
    pub fn remove(&self, shared: &Shared) {
        let mut told = self.told.lock();
        self.tell_down(*told, shared);
        let life = if let Told::Up(epoch) = *told { Some(epoch) } else { None };
        *told = Told::Removed;
        shared.roster.lock().forget(&self.node, life);
        drop(told);
        self.stop();
    }

    /// It is up. Race: the owner may have removed it since it was greeted.
    fn begin(&self, epoch: u64, shared: &Shared) {
        let mut told = self.told.lock();
        if *told != Told::Removed {
            *told = Told::Up(epoch);
            shared.roster.lock().note(&self.node, epoch);
            shared.inbox.tell(LinkEvent::Up { node: self.node.clone(), epoch });
        }
    }

    /// It is up no more.
    fn end(&self, shared: &Shared) {
        let mut told = self.told.lock();
        self.outgoing.lock().clear();
        if *told != Told::Removed {
            self.tell_down(*told, shared);
            *told = Told::Down;
        }
    }

    fn tell_down(&self, told: Told, shared: &Shared) {
        if let Told::Up(epoch) = told {
            shared.inbox.tell(LinkEvent::Down { node: self.node.clone(), epoch });
        }
    }

    /// The peer has greeted: whoever waits to dial it, or is connected to an earlier life of it, dials at once.
    pub fn has_greeted(&self, epoch: u64) {
        if !matches!(*self.told.lock(), Told::Up(up) if up >= epoch) {
            self.wish.send_modify(|wish| wish.redials += 1);
        }
    }
}

/// Why a connection is over.
#[derive(Debug)]
enum Broken {
    /// Nobody is there.
    Unreachable,
    /// The handshake was broken off without a word.
    Silently,
    /// The peer, or this node, said no.
    Refused(String),
    /// It was up, or about to be.
    Lost,
    /// It took too long.
    Late,
    /// The owner wants something else.
    Changed,
}

/// Dials a peer until it is told to stop.
pub(super) async fn run(peer: Arc<Peer>, shared: Arc<Shared>) {
    let mut wishes = peer.wish.subscribe();
    let mut random = Random::new(RandomState::new().hash_one(&*peer.node));
    let (mut failures, mut silent, mut last_reason) = (0, 0, String::new());
    loop {
        let wish = *wishes.borrow_and_update();
        if wish.stop {
            return;
        }
        let mut line = Line::new(&peer, &shared, &mut wishes, wish);
        let (greeted, broken) = line.live(silent as usize, random.draw()).await;
        if greeted {
            (failures, silent) = (0, 0);
            last_reason.clear();
        }
        failures += 1;
        let reason = match broken {
            Broken::Changed => {
                failures = 0;
                continue;
            }
            Broken::Silently => {
                silent += 1;
                (silent >= SILENT_REFUSALS).then(|| "the handshake was broken off; the keys may differ".to_owned())
            }
            Broken::Refused(reason) => {
                silent += 1;
                Some(reason)
            }
            Broken::Unreachable | Broken::Lost | Broken::Late => None,
        };
        if let Some(reason) = reason.filter(|reason| *reason != last_reason) {
            last_reason.clone_from(&reason);
            shared.inbox.tell(LinkEvent::Refused { who: peer.node.to_string(), reason });
        }
        let chance = (random.draw() >> 11) as f64 / (1_u64 << 53) as f64;
        let pause = Duration::from_millis(PAUSE.delay_ms(failures, chance).into());
        // Ends early when something changes.
        let _ = timeout(pause, wishes.changed()).await;
    }
}

/// One connection, from the dial to its end.
struct Line<'a> {
    peer: &'a Peer,
    shared: &'a Shared,
    wishes: &'a mut watch::Receiver<Wish>,
    wish: Wish,
    /// The socket has reached somebody.
    connected: bool,
    /// The transport's handshake is over.
    ready: bool,
    up: bool,
    /// What waits is sent, then this is over.
    leaving: bool,
    deadline: Option<Instant>,
}

impl<'a> Line<'a> {
    fn new(peer: &'a Peer, shared: &'a Shared, wishes: &'a mut watch::Receiver<Wish>, wish: Wish) -> Self {
        let deadline = Some(Instant::now() + 2 * GREETING_TIMEOUT);
        Self { peer, shared, wishes, wish, connected: false, ready: false, up: false, leaving: false, deadline }
    }

    /// Dials, greets and sends. Says whether the peer was up, and why it is over.
    async fn live(&mut self, attempt: usize, nonce: u64) -> (bool, Broken) {
        let socket = match dealer(self.shared, attempt) {
            Ok(socket) => socket,
            Err(error) => return (false, Broken::Refused(error.to_string())),
        };
        let mut monitor = socket.monitor();
        let welcome = self.greet(&socket, &mut monitor, nonce).await;
        let (greeted, broken) = match welcome {
            Ok(welcome) => {
                (self.up, self.deadline) = (true, None);
                self.peer.begin(welcome.epoch, self.shared);
                let over = self.send_all(&socket, &mut monitor).await;
                self.peer.end(self.shared);
                (true, over.err().unwrap_or(Broken::Changed))
            }
            Err(broken) => (false, broken),
        };
        // What should arrive has been confirmed by then.
        let _ = socket.close_with_linger(Some(Duration::ZERO)).await;
        (greeted, broken)
    }

    /// Connects, says who this is, and hears who that is.
    async fn greet(&mut self, socket: &Socket, monitor: &mut MonitorStream, nonce: u64) -> Result<Hello, Broken> {
        let refused = |refusal: Refusal| Broken::Refused(refusal.to_string());
        self.during(monitor, socket.connect(endpoint(self.wish.addr))).await?.map_err(|_| Broken::Unreachable)?;
        while !self.ready {
            self.watch(monitor).await?;
        }
        let hello = self.shared.local.hello(&self.peer.node, nonce);
        let greeting = Message::single(Greeting::Hello(hello.clone()).encode());
        self.hand_over(socket, monitor, greeting).await?;
        let answer = self.during(monitor, socket.recv()).await?.map_err(|_| Broken::Lost)?;
        match Greeting::decode(only_part(&answer).unwrap_or_default()).map_err(refused)? {
            Greeting::Welcome(welcome) => {
                let known = self.shared.roster.lock().epoch(&self.peer.node);
                self.shared.local.accept(&hello, &welcome, known).map_err(refused)?;
                Ok(welcome)
            }
            Greeting::Refused(refusal) => Err(refused(refusal)),
            Greeting::Hello(_) | Greeting::Farewell => Err(refused(Refusal::Malformed)),
        }
    }

    /// Sends what comes, until the connection breaks or the owner has had enough.
    async fn send_all(&mut self, socket: &Socket, monitor: &mut MonitorStream) -> Result<(), Broken> {
        loop {
            let frame = self.peer.outgoing.lock().pop();
            match frame {
                Some(frame) => {
                    self.peer.pulse.beat();
                    self.hand_over(socket, monitor, Message::single(frame)).await?;
                }
                None if self.leaving => break,
                None => {
                    let peer = self.peer;
                    tokio::select! {
                        watched = self.watch(monitor) => watched?,
                        () = peer.filled.notified() => {}
                    }
                }
            }
        }
        self.hand_over(socket, monitor, Message::single(Vec::new())).await?;
        // Whatever the answer is, it comes behind everything that was sent.
        self.during(monitor, socket.recv()).await?.map_err(|_| Broken::Lost)?;
        Ok(())
    }

    /// Gives a frame to the socket; waits while that is full.
    async fn hand_over(&mut self, socket: &Socket, monitor: &mut MonitorStream, frame: Message) -> Result<(), Broken> {
        match socket.try_send(frame) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(frame)) => self.during(monitor, socket.send(frame)).await?.map_err(|_| Broken::Lost),
            Err(_) => Err(Broken::Lost),
        }
    }

    /// Does something for as long as the connection may live.
    async fn during<T>(&mut self, monitor: &mut MonitorStream, work: impl Future<Output = T>) -> Result<T, Broken> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                watched = self.watch(monitor) => watched?,
                done = &mut work => return Ok(done),
            }
        }
    }

    /// Waits for the next thing that happens to the connection. Can be dropped at any time.
    async fn watch(&mut self, monitor: &mut MonitorStream) -> Result<(), Broken> {
        tokio::select! {
            biased;
            event = monitor.recv() => match event {
                Ok(event) => self.note(event),
                // Lagging is as bad as the end: what has happened is not known.
                Err(_) => Err(Broken::Lost),
            },
            changed = self.wishes.changed(), if !self.leaving => {
                if changed.is_err() { Err(Broken::Changed) } else { self.obey() }
            }
            () = passed(self.deadline) => Err(Broken::Late),
        }
    }

    fn note(&mut self, event: MonitorEvent) -> Result<(), Broken> {
        match event {
            MonitorEvent::Connected { .. } => self.connected = true,
            MonitorEvent::HandshakeSucceeded { .. } => self.ready = true,
            MonitorEvent::HandshakeFailed { reason, .. } => return Err(Broken::Refused(reason)),
            MonitorEvent::ConnectStopped { reason, .. } => return Err(Broken::Refused(format!("{reason:?}"))),
            // The socket would dial again; this is the place that knows when.
            MonitorEvent::ConnectDelayed { .. } => {
                return Err(match (self.ready, self.connected) {
                    (true, _) => Broken::Lost,
                    (false, true) => Broken::Silently,
                    (false, false) => Broken::Unreachable,
                });
            }
            MonitorEvent::Disconnected { .. } | MonitorEvent::Closed => return Err(Broken::Lost),
            _ => {}
        }
        Ok(())
    }

    fn obey(&mut self) -> Result<(), Broken> {
        let wish = *self.wishes.borrow_and_update();
        if !wish.stop && wish.addr == self.wish.addr {
            self.wish = wish;
            // A dial under way will find out by itself.
            return if self.up { Err(Broken::Changed) } else { Ok(()) };
        }
        if !self.up {
            return Err(Broken::Changed);
        }
        self.leaving = true;
        self.deadline = Some(Instant::now() + FAREWELL);
        Ok(())
    }
}

/// Ends when a deadline has passed; never without one.
async fn passed(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}
