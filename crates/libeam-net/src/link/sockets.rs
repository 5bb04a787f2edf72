//! How sockets are made.

use super::{FAREWELL, GREETING_TIMEOUT, HANDSHAKES_MAX, HWM_FRAMES, Shared};
use omq_tokio::endpoint::Host;
use omq_tokio::{CurveServerOptions, Endpoint, Error, Options, ReconnectPolicy, Socket, SocketType};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const HEARTBEAT: Duration = Duration::from_millis(500);
/// Silence that ends a connection. Patient: a connection that ends loses what was under way, a thread that gets no
/// processor for a second is not dead, and membership is quicker for hosts that are.
const SILENCE: Duration = Duration::from_secs(3);
/// What the socket counts for a message beside its bytes.
const OVERHEAD_BYTES: usize = 1 << 10;
/// Events that wait for the task that watches a socket.
const MONITOR_EVENTS: usize = 1_024;
/// No socket lives so long without its connection: it is told that it waits, and closed.
const NEVER: Duration = Duration::from_secs(3_600);

fn options(shared: &Shared) -> Options {
    Options::default()
        .max_message_size(shared.frame_bytes_max.saturating_add(OVERHEAD_BYTES))
        .send_hwm(HWM_FRAMES)
        .recv_hwm(HWM_FRAMES)
        .heartbeat_interval(HEARTBEAT)
        .heartbeat_timeout(SILENCE)
        .handshake_timeout(GREETING_TIMEOUT)
        .max_pending_handshakes(HANDSHAKES_MAX)
        .monitor_capacity(MONITOR_EVENTS)
        .linger(FAREWELL)
}

/// A socket that listens, and lets in who has a key that is accepted at that moment.
pub(super) fn router(shared: &Arc<Shared>) -> Result<Socket, Error> {
    let mut options = options(shared).router_mandatory(true);
    if let Some(keys) = shared.keys.read().clone() {
        let shared = Arc::clone(shared);
        let admission = CurveServerOptions::default()
            .authenticator(move |peer| shared.keys.read().as_ref().is_some_and(|keys| keys.accepts(&peer.public_key)));
        options = options.curve_server_with_options(keys.pair(), admission);
    }
    Socket::try_new(SocketType::Router, options)
}

/// A socket that dials. `attempt` chooses among the keys that the other end may listen with.
pub(super) fn dealer(shared: &Shared, attempt: usize) -> Result<Socket, Error> {
    let mut options = options(shared).reconnect(ReconnectPolicy::Fixed(NEVER));
    if let Some(keys) = shared.keys.read().clone() {
        options = options.curve_client(keys.pair(), keys.of_listener(attempt));
    }
    Socket::try_new(SocketType::Dealer, options)
}

pub(super) const fn endpoint(addr: SocketAddr) -> Endpoint {
    Endpoint::Tcp { host: Host::Ip(addr.ip()), port: addr.port() }
}

pub(super) fn io_error(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        other => io::Error::other(other.to_string()),
    }
}
