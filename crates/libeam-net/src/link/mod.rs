//! The driver of a node's connections: a thread with ZeroMQ sockets (CURVE if there are keys) and the clock.
//!
//! It decides nothing. [`libeam_core::session`] says what a greeting is worth, what goes into a frame and who is
//! whom; messages and events are put where the owner fetches them, and the owner is told by a callback that there
//! is something. Everything that knows the crate of the sockets is in this module.
//!
//! Sockets. One ROUTER listens, one DEALER per peer dials; a node sends over its DEALERs only and reads from its
//! ROUTER only, so messages from one node to another keep their order. A DEALER lives for one connection: when that
//! breaks, a new one is made after a pause that grows and is partly random. So nothing is sent over a connection
//! that has not been greeted, and what was under way when it broke is lost. Routing ids of ROUTER mean nothing: a
//! connection speaks for the node of its verified greeting.
//!
//! States of a peer, per `connect`: dialling, greeting, up (`LinkEvent::Up`), and dialling again after
//! `LinkEvent::Down`. What is sent before `Up` waits; what waits at `Down` is lost with what was under way, so
//! that whatever arrives has no gaps. `disconnect`, and the end of a [`Link`], send what waits for up to
//! [`FAREWELL`]. `disconnect` tells `Down` at once, and nothing of that peer afterwards: there may be another connection to
//! its node by then.
//!
//! Limits. `queue_bytes_max` per peer for what is to be sent ([`Sent::Full`]), and once for what has arrived: beyond
//! that the ROUTER is not read, so senders fill up too. Within the sockets [`HWM_FRAMES`] frames per connection and
//! direction. [`HANDSHAKES_MAX`] connections that have not shown a key, [`STRANGERS_MAX`] that have not greeted,
//! [`GREETING_TIMEOUT`] for either. Heartbeats find dead connections within about three seconds. There is no limit to the
//! time for which a peer may not read: that looks as a dead host does, and telling these apart is
//! membership's business, whose owner calls `disconnect`.
//!
//! Failure. Connections fail all the time and are made again. Who is sent away, here or there, is
//! [`LinkEvent::Refused`], once per cause.

mod awake;
mod dial;
mod eagerness;
mod inbox;
mod keys;
mod listen;
mod sockets;

pub use keys::{CurveKeys, KEY_BYTES};

use crate::MonotonicClock;
use awake::Pulse;
use dial::Peer;
use inbox::Inbox;
pub use inbox::{Idle, Portion};
use libeam_core::membership::member::NodeId;
use libeam_core::session::batch::{Messages, Outgoing, Pushed};
use libeam_core::session::hello::Local;
use libeam_core::session::roster::Roster;
use listen::Listener;
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc as std_mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Bytes of a message at most, unless told otherwise.
pub const FRAME_BYTES_MAX: usize = 16 << 20;
/// Bytes that wait for a peer, and that wait for the owner, unless told otherwise.
pub const QUEUE_BYTES_MAX: usize = 64 << 20;
/// Frames of one connection and direction within the sockets.
pub const HWM_FRAMES: u32 = 16;
/// Connections that have not shown a key.
pub const HANDSHAKES_MAX: usize = 1_024;
/// Connections that have shown a key and not greeted.
pub const STRANGERS_MAX: usize = 1_024;
/// Time for the handshake of a connection, and for its greeting.
pub const GREETING_TIMEOUT: Duration = Duration::from_secs(3);
/// Time for what waits when a connection is ended.
pub const FAREWELL: Duration = Duration::from_secs(1);

/// What a link is started with.
#[derive(Debug)]
pub struct LinkOptions {
    /// Names the node.
    pub node_id: NodeId,
    /// Names this life.
    pub epoch: u64,
    /// Names the cluster.
    pub cluster: String,
    /// Where to listen; port 0 is any free one.
    pub bind: SocketAddr,
    /// Keys of the cluster; without, anybody can connect and nothing is encrypted.
    pub curve: Option<CurveKeys>,
    /// Bytes of a message at most.
    pub frame_bytes_max: usize,
    /// Bytes that wait for a peer at most, and bytes that wait for the owner.
    pub queue_bytes_max: usize,
}

impl LinkOptions {
    /// Options with the usual limits and without keys.
    #[must_use]
    pub fn new(node_id: NodeId, epoch: u64, cluster: String, bind: SocketAddr) -> Self {
        Self {
            node_id,
            epoch,
            cluster,
            bind,
            curve: None,
            frame_bytes_max: FRAME_BYTES_MAX,
            queue_bytes_max: QUEUE_BYTES_MAX,
        }
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It waits, and is sent when the peer is up.
    Queued {
        /// Bytes that may still wait.
        room: usize,
    },
    /// Too much waits for the peer.
    Full,
    /// There is no such peer.
    NoPeer,
    /// It is longer than a message may be.
    TooBig,
}

/// Something has happened to a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// A peer can be sent to.
    Up {
        /// The peer.
        node: NodeId,
        /// Its life.
        epoch: u64,
    },
    /// A peer cannot be sent to any more; what it has not received is lost.
    Down {
        /// The peer.
        node: NodeId,
        /// The life that it was up with.
        epoch: u64,
    },
    /// Somebody was sent away, here or there.
    Refused {
        /// The node, or the address if it has not said which node it is.
        who: String,
        /// Why.
        reason: String,
    },
}

/// News for the owner.
#[derive(Debug, Default)]
pub struct LinkNews {
    /// Messages with the nodes that sent them; in order for each of them. The callback comes again if there are more.
    pub messages: Vec<(NodeId, Vec<u8>)>,
    /// What has happened, in order.
    pub events: Vec<LinkEvent>,
}

/// What the threads share.
struct Shared {
    local: Local,
    frame_bytes_max: usize,
    queue_bytes_max: usize,
    keys: RwLock<Option<Arc<CurveKeys>>>,
    peers: RwLock<HashMap<NodeId, Arc<Peer>>>,
    roster: Mutex<Roster>,
    inbox: Inbox,
    pulse: Arc<Pulse>,
}

/// Something for the driver to do.
enum Command {
    Dial(Arc<Peer>),
    Rekey,
    Stop,
}

/// A node's connections, with their sockets and their thread. Dropping it ends all three; what waits is sent for up to
/// [`FAREWELL`].
pub struct Link {
    commands: mpsc::UnboundedSender<Command>,
    shared: Arc<Shared>,
    addr: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("node", &self.shared.local.node).field("addr", &self.addr).finish_non_exhaustive()
    }
}

impl Link {
    /// Binds the listening socket and starts the thread. `on_news` is called on it when there is something to fetch; it
    /// must not block.
    ///
    /// # Errors
    /// When the address cannot be bound, a name is too long or empty, or the thread cannot be started.
    pub fn start(options: LinkOptions, on_news: impl Fn() + Send + 'static) -> io::Result<Self> {
        let LinkOptions { node_id, epoch, cluster, bind, curve, frame_bytes_max, queue_bytes_max } = options;
        let local = Local { cluster, node: node_id, epoch };
        if !local.is_valid() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the name of the node or the cluster is too long"));
        }
        let shared = Arc::new(Shared {
            local,
            frame_bytes_max,
            queue_bytes_max,
            keys: RwLock::new(curve.map(Arc::new)),
            peers: RwLock::default(),
            roster: Mutex::default(),
            inbox: Inbox::new(queue_bytes_max),
            pulse: Arc::default(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (commands, received) = mpsc::unbounded_channel();
        let (bound, addr) = std_mpsc::channel();
        let for_thread = Arc::clone(&shared);
        let thread = thread::Builder::new().name("libeam-link".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let listener = Listener::bind(&for_thread, bind).await;
                match listener {
                    Ok(listener) => {
                        let _ = bound.send(Ok(listener.addr()));
                        run(for_thread, listener, received, on_news).await;
                    }
                    Err(error) => drop(bound.send(Err(error))),
                }
            });
        })?;
        let addr = addr.recv().map_err(|_| io::Error::other("the thread of the link has ended"))??;
        Ok(Self { commands, shared, addr, thread: Some(thread) })
    }

    /// Where this node listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Connects to a node, and stays with it until `disconnect`. Another address replaces the one before.
    pub fn connect(&self, node: &str, addr: SocketAddr) {
        let mut peers = self.shared.peers.write();
        if let Some(peer) = peers.get(node) {
            peer.move_to(addr);
            return;
        }
        let node = NodeId::from(node);
        let peer = Arc::new(Peer::new(node.clone(), addr, &self.shared));
        self.shared.roster.lock().expect(&node);
        peers.insert(node, Arc::clone(&peer));
        drop(peers);
        self.send_command(Command::Dial(peer));
    }

    /// Ends the connection to a node, after what waits for it.
    pub fn disconnect(&self, node: &str) {
        let removed = self.shared.peers.write().remove(node);
        if let Some(peer) = removed {
            peer.remove(&self.shared);
        }
    }

    /// Whether a node speaks to this one that was not disconnected since: it is there, or comes.
    #[must_use]
    pub fn hears(&self, node: &str) -> bool {
        self.shared.roster.lock().is_here(node)
    }

    /// Sends a message to a node. Never waits.
    pub fn send(&self, node: &str, message: &[u8]) -> Sent {
        self.add(node, |outgoing| outgoing.push(message))
    }

    /// Sends several messages, put together as in [`libeam_core::session::batch`], all or none. Never waits.
    pub fn send_frame(&self, node: &str, messages: &[u8]) -> Sent {
        self.add(node, |outgoing| outgoing.push_frame(messages))
    }

    fn add(&self, node: &str, push: impl FnOnce(&mut Outgoing) -> Pushed) -> Sent {
        let peers = self.shared.peers.read();
        let Some(peer) = peers.get(node) else { return Sent::NoPeer };
        let added = peer.add(push);
        drop(peers);
        self.shared.pulse.give_turn();
        match added {
            (Pushed::Queued, room) => Sent::Queued { room },
            (Pushed::Full, _) => Sent::Full,
            (Pushed::TooBig, _) => Sent::TooBig,
        }
    }

    /// Bytes that may still wait for a node; `None` if there is no such peer.
    #[must_use]
    pub fn room(&self, node: &str) -> Option<usize> {
        self.shared.peers.read().get(node).map(|peer| peer.room())
    }

    /// Fetches the news.
    #[must_use]
    pub fn take_news(&self) -> LinkNews {
        let mut messages = Vec::new();
        self.take_frames(usize::MAX, 0, |from, frame| {
            messages.extend(Messages::new(frame).flatten().map(|bytes| (from.clone(), bytes.to_vec())));
        });
        LinkNews { messages, events: self.take_events() }
    }

    /// Shows some of the frames of complete messages, in order, without copying: as many as `room` bytes hold with `overhead`
    /// bytes for each. The callback comes again if there are more.
    pub fn take_frames(&self, room: usize, overhead: usize, frame: impl FnMut(&NodeId, &[u8])) -> Portion {
        self.shared.inbox.fetch(room, overhead, frame)
    }

    /// Fetches what has happened, in order.
    #[must_use]
    pub fn take_events(&self) -> Vec<LinkEvent> {
        self.shared.inbox.take_events()
    }

    /// Whether the owner, who has seen to all news and has nothing to do, looks again at once instead of waiting for the
    /// callback. While it does, it MUST go on asking, for there is no callback until it has been told [`Idle::Sleep`].
    #[must_use]
    pub fn stays_awake(&self) -> bool {
        self.shared.inbox.stays_awake(MonotonicClock.now_us())
    }

    /// What an owner that is awake does next. Lets other threads have their turn.
    #[must_use]
    pub fn idle(&self) -> Idle {
        self.shared.inbox.idle()
    }

    /// Changes the keys. Connections stay; new ones are made, and listened for, with the new pair, and nodes that
    /// still listen with an accepted key are tried with that, too.
    pub fn set_keys(&self, keys: CurveKeys) {
        *self.shared.keys.write() = Some(Arc::new(keys));
        self.send_command(Command::Rekey);
    }

    /// Begins the end: what waits is sent for up to [`FAREWELL`], and nothing more is taken. The drop does not wait once
    /// `has_ended`.
    pub fn end(&self) {
        self.send_command(Command::Stop);
    }

    /// Whether the sockets are closed and the thread is gone.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn send_command(&self, command: Command) {
        // The thread ends with the link only.
        let _ = self.commands.send(command);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.end();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn run(
    shared: Arc<Shared>,
    listener: Listener,
    mut commands: mpsc::UnboundedReceiver<Command>,
    on_news: impl Fn(),
) {
    let mut listening = listener.start();
    let mut dialling = JoinSet::new();
    let pulse = Arc::clone(&shared.pulse);
    let of_peers = Arc::clone(&shared);
    let awake = tokio::spawn(async move {
        awake::keep_awake(&pulse, || of_peers.peers.read().values().for_each(|peer| peer.look())).await;
    });
    loop {
        tokio::select! {
            () = shared.inbox.bell.notified() => if shared.inbox.wakes() { on_news() },
            Some(_) = dialling.join_next() => {}
            command = commands.recv() => match command {
                Some(Command::Dial(peer)) => drop(dialling.spawn(dial::run(peer, Arc::clone(&shared)))),
                Some(Command::Rekey) => listening.rekey(&shared).await,
                Some(Command::Stop) | None => break,
            }
        }
    }
    awake.abort();
    let peers = std::mem::take(&mut *shared.peers.write());
    peers.values().for_each(|peer| peer.stop());
    // The farewell itself is bounded; this is for what might go wrong within the sockets.
    let _ = timeout(FAREWELL + FAREWELL / 4, async { while dialling.join_next().await.is_some() {} }).await;
    listening.close().await;
}
