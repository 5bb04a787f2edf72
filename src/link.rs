//! A node's connections as JavaScript sees them: a class whose methods pass on, and a bell for news.

use crate::bell::{KeepAlive, WakeUp};
use crate::raw;
use libeam_core::membership::member::NodeId;
use libeam_core::security::keys::KEY_BYTES;
use libeam_core::security::z85;
use libeam_net::link::{CurveKeys, Idle, Link, LinkEvent, LinkOptions, Sent};
use napi::bindgen_prelude::{Array, BufferSlice, ClassInstance, JavaScriptClassExt, Object};
use napi::{Env, Error, JsValue, Result, Status, Unknown, sys};
use napi_derive::napi;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::CStr;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

/// How a node is connected.
#[napi(object)]
pub struct NativeLinkOptions {
    /// Names the node.
    pub node_id: String,
    /// Names this life, in milliseconds since 1970.
    pub epoch: f64,
    /// Names the cluster.
    pub cluster: String,
    /// Where to listen, `ip:port`; port 0 is any free one.
    pub bind: String,
    /// Keys of the cluster. None is an open cluster.
    pub keys: Option<NativeCurveKeys>,
}

/// Keys of the transport, in Z85.
#[napi(object)]
pub struct NativeCurveKeys {
    /// The public key that all nodes share.
    pub public_key: String,
    /// Its secret key.
    pub secret_key: String,
    /// Further public keys that are accepted.
    pub accepted: Vec<String>,
}

/// A node's connections, their sockets and their thread.
#[napi]
pub struct NativeLink {
    line: Rc<Line>,
    bell: Arc<WakeUp>,
}

/// What the methods share.
struct Line {
    /// None after `stop`.
    link: RefCell<Option<Link>>,
    senders: RefCell<Senders>,
}

/// Methods that are called for every frame, or again and again while a loop is awake. Perf: as methods of the class, which
/// checks and counts its borrowers, each of them took 350 ns longer; an `idle` that finds nothing takes 30.
const FREQUENT: [(&CStr, raw::Callback); 3] =
    [(c"takeFrames", take_frames), (c"sendFrame", send_frame), (c"idle", idle)];

/// Numbers for the nodes that something has come from: a number costs less than a string.
#[derive(Default)]
struct Senders {
    numbers: HashMap<NodeId, u32>,
    names: Vec<NodeId>,
}

impl Senders {
    fn number(&mut self, node: &NodeId) -> u32 {
        if let Some(&number) = self.numbers.get(node) {
            return number;
        }
        let number = self.names.len() as u32;
        self.names.push(node.clone());
        self.numbers.insert(node.clone(), number);
        number
    }
}

/// What `takeFrames` writes before the frames, and before each of them.
const FLAGS_BYTES: usize = 4;
const FRAME_HEADER_BYTES: usize = 8;

fn invalid(what: &str, why: &str) -> Error {
    Error::new(Status::InvalidArg, format!("{what} cannot be used: {why}"))
}

/// The text is not quoted: it may be secret.
fn key_of(text: &str) -> Result<[u8; KEY_BYTES]> {
    let bytes = z85::decode(text).map_err(|error| invalid("key", &error.to_string()))?;
    bytes.try_into().map_err(|_| invalid("key", "it has another length"))
}

fn keys_of(keys: &NativeCurveKeys) -> Result<CurveKeys> {
    Ok(CurveKeys {
        public: key_of(&keys.public_key)?,
        secret: key_of(&keys.secret_key)?,
        accepted: keys.accepted.iter().map(|key| key_of(key)).collect::<Result<_>>()?,
    })
}

fn addr_of(text: &str) -> Result<SocketAddr> {
    text.parse().map_err(|_| invalid("address", text))
}

/// Binds the socket and starts. `onNews` is called when there is something to fetch; the process stays up until `stop`.
#[napi(catch_unwind)]
pub fn start_link<'env>(
    env: &'env Env,
    options: NativeLinkOptions,
    on_news: Unknown<'_>,
) -> Result<ClassInstance<'env, NativeLink>> {
    let NativeLinkOptions { node_id, epoch, cluster, bind, keys } = options;
    let bind = addr_of(&bind)?;
    let mut options = LinkOptions::new(NodeId::from(node_id), epoch as u64, cluster, bind);
    options.curve = keys.as_ref().map(keys_of).transpose()?;
    let bell = WakeUp::shared(env.raw(), on_news.raw())?;
    let rings = Arc::clone(&bell);
    let link = Link::start(options, move || rings.wake()).map_err(|error| {
        bell.release();
        Error::new(Status::GenericFailure, format!("{bind} cannot be bound: {error}"))
    })?;
    bell.keep_alive(env.raw(), KeepAlive::Yes);
    let line = Rc::new(Line { link: RefCell::new(Some(link)), senders: RefCell::default() });
    let instance = NativeLink { line: Rc::clone(&line), bell }.into_instance(env)?;
    for method in FREQUENT {
        raw::method(env.raw(), instance.raw(), method, &line)?;
    }
    Ok(instance)
}

impl Line {
    /// What the link says, or what would be said of an unknown peer if it has been stopped.
    fn sent(&self, send: impl FnOnce(&Link) -> Sent) -> f64 {
        match self.link.borrow().as_ref().map_or(Sent::NoPeer, send) {
            Sent::Queued { room } => room as f64,
            Sent::Full => -1.0,
            Sent::NoPeer => -2.0,
            Sent::TooBig => -3.0,
        }
    }

    fn take_frames(&self, into: &mut [u8]) -> f64 {
        let link = self.link.borrow();
        let Some(link) = link.as_ref() else { return 0.0 };
        let mut senders = self.senders.borrow_mut();
        let mut used = FLAGS_BYTES.min(into.len());
        let portion = link.take_frames(into.len() - used, FRAME_HEADER_BYTES, |from, frame| {
            for number in [senders.number(from), frame.len() as u32] {
                into[used..used + 4].copy_from_slice(&number.to_le_bytes());
                used += 4;
            }
            into[used..used + frame.len()].copy_from_slice(frame);
            used += frame.len();
        });
        if portion.missing > 0 && used == FLAGS_BYTES {
            return -((portion.missing + FLAGS_BYTES) as f64);
        }
        if let Some(flags) = into.first_mut() {
            *flags = u8::from(portion.events) | u8::from(link.stays_awake()) << 1;
        }
        used as f64
    }
}

/// Runs a frequent method.
fn guarded<const N: usize>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
    work: impl FnOnce(&Line, [sys::napi_value; N]) -> f64,
) -> sys::napi_value {
    // SAFETY: `start_link` has given each of these functions a share of its line, which is used on this thread only.
    unsafe { raw::guarded(env, info, |line, args| raw::number(env, work(line, args))) }
}

/// `takeFrames(into)` writes what has come into a buffer of at least 12 bytes: a byte of flags (1 something has happened, 2 the
/// loop is to stay awake) and three of nothing, and then, for each frame, the number of its sender and its length, each with 32
/// bits, little-endian, before it. Gives the bytes that were written; or, negative, the size that the next frame needs.
unsafe extern "C" fn take_frames(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    guarded::<1>(env, info, |line, [into]| line.take_frames(raw::bytes_argument(env, into)))
}

/// `sendFrame(node, bytes, end)` sends several messages, which are the bytes up to `end`, all or none; otherwise as `send`.
unsafe extern "C" fn send_frame(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    guarded::<3>(env, info, |line, [node, bytes, end]| {
        let bytes = raw::bytes_argument(env, bytes);
        let end = bytes.len().min(raw::u32_argument(env, end) as usize);
        let node = raw::string_argument(env, node).unwrap_or_default();
        line.sent(|link| link.send_frame(&node, &bytes[..end]))
    })
}

/// `idle()` says what to do while awake, which is when `takeFrames` has said so: 0 ask again in the loop's next turn, 1 fetch
/// the news, 2 wait for `onNews`, which is not called before.
unsafe extern "C" fn idle(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    guarded::<0>(env, info, |line, []| match line.link.borrow().as_ref().map_or(Idle::Sleep, Link::idle) {
        Idle::Ask => 0.0,
        Idle::News => 1.0,
        Idle::Sleep => 2.0,
    })
}

#[napi]
impl NativeLink {
    /// Where this node listens, `ip:port`.
    #[napi(getter, catch_unwind)]
    pub fn address(&self) -> String {
        self.line.link.borrow().as_ref().map_or_else(String::new, |link| link.addr().to_string())
    }

    /// Connects to a node, and stays with it.
    #[napi(catch_unwind)]
    pub fn connect(&self, node: String, address: String) -> Result<()> {
        let addr = addr_of(&address)?;
        if let Some(link) = &*self.line.link.borrow() {
            link.connect(&node, addr);
        }
        Ok(())
    }

    /// Ends the connection to a node, after what waits for it.
    #[napi(catch_unwind)]
    pub fn disconnect(&self, node: String) {
        if let Some(link) = &*self.line.link.borrow() {
            link.disconnect(&node);
        }
    }

    /// Whether a node speaks to this one that was not disconnected since.
    #[napi(catch_unwind)]
    pub fn hears(&self, node: String) -> bool {
        self.line.link.borrow().as_ref().is_some_and(|link| link.hears(&node))
    }

    /// Sends a message: how many bytes may still wait, or -1 the queue is full, -2 there is no such peer, -3 it is too big.
    #[napi(catch_unwind)]
    pub fn send(&self, node: String, message: BufferSlice<'_>) -> f64 {
        self.line.sent(|link| link.send(&node, &message))
    }

    /// How many bytes may still wait for a node, or -2 there is no such peer.
    #[napi(catch_unwind)]
    pub fn room(&self, node: String) -> f64 {
        self.line.sent(|link| link.room(&node).map_or(Sent::NoPeer, |room| Sent::Queued { room }))
    }

    /// Changes the keys, without cutting connections.
    #[napi(catch_unwind)]
    pub fn set_keys(&self, keys: NativeCurveKeys) -> Result<()> {
        let keys = keys_of(&keys)?;
        if let Some(link) = &*self.line.link.borrow() {
            link.set_keys(keys);
        }
        Ok(())
    }

    /// The node with a number that `takeFrames` has given.
    #[napi(catch_unwind)]
    pub fn sender(&self, number: u32) -> String {
        self.line.senders.borrow().names.get(number as usize).map_or_else(String::new, ToString::to_string)
    }

    /// Fetches what has happened.
    #[napi(catch_unwind, ts_return_type = "NativeLinkEvent[]")]
    pub fn take_events<'env>(&self, env: &'env Env) -> Result<Array<'env>> {
        let events = self.line.link.borrow().as_ref().map(Link::take_events).unwrap_or_default();
        let events = events.iter().map(|event| event_of(env, event)).collect::<Result<_>>()?;
        Array::from_vec::<Object<'_>>(env, events)
    }

    /// Begins the end: what waits is sent for up to a second, and nothing more is taken.
    #[napi(catch_unwind)]
    pub fn end(&self) {
        if let Some(link) = &*self.line.link.borrow() {
            link.end();
        }
    }

    /// Whether the sockets are closed and the thread is gone, so that `stop` does not wait.
    #[napi(catch_unwind)]
    pub fn has_ended(&self) -> bool {
        self.line.link.borrow().as_ref().is_none_or(Link::has_ended)
    }

    /// Closes the sockets and ends the thread; what waits is sent for up to a second.
    #[napi(catch_unwind)]
    pub fn stop(&self) {
        drop(self.line.link.borrow_mut().take());
        self.bell.release();
    }
}

fn event_of<'env>(env: &'env Env, event: &LinkEvent) -> Result<Object<'env>> {
    let mut object = Object::new(env)?;
    let (kind, node, epoch) = match event {
        LinkEvent::Up { node, epoch } => ("up", &**node, *epoch),
        LinkEvent::Down { node, epoch } => ("down", &**node, *epoch),
        LinkEvent::Refused { who, reason } => {
            object.set("reason", reason.as_str())?;
            ("refused", who.as_str(), 0)
        }
    };
    object.set("kind", kind)?;
    object.set("node", node)?;
    object.set("epoch", epoch as f64)?;
    Ok(object)
}
