//! A node's membership as JavaScript sees it: a class whose methods pass on, and a bell for news.

use crate::bell::WakeUp;
use crate::loop_watch::{NativeLoopWatch, name_of};
use libeam_core::membership::Hint;
use libeam_core::membership::config::MembershipConfig;
use libeam_core::membership::envelope::{Key, Keyring};
use libeam_core::membership::member::{Event, NodeId, Record, Status};
use libeam_net::gossip::{Gossip, GossipOptions, Trouble, read_said};
use napi::bindgen_prelude::{Buffer, Uint8Array};
use napi::{Env, Error, JsValue, Result, Status as NapiStatus, Unknown};
use napi_derive::napi;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

const US_PER_MS: f64 = 1_000.0;

/// How a node takes part.
#[napi(object)]
pub struct NativeGossipOptions {
    /// Names the node.
    pub id: String,
    /// Names this life, in milliseconds since 1970.
    pub epoch: f64,
    /// What the node says about itself.
    pub meta: Uint8Array,
    /// Where to listen, `ip:port`; port 0 is any free one.
    pub bind: String,
    /// Where others reach this node; the address that it listens at unless given.
    pub advertise: Option<String>,
    /// `host:port`, or `dns:name:port`.
    pub seeds: Vec<String>,
    /// Keys of the cluster; the first one seals. None is an open cluster.
    pub keys: Vec<NativeKey>,
    /// `fast`, `lan` or `wan`.
    pub preset: String,
    /// Replaces the preset's probe interval, in milliseconds.
    pub probe_interval_ms: Option<f64>,
    /// Replaces the preset's shortest suspicion with up to ten nodes, in milliseconds.
    pub suspicion_ms: Option<f64>,
    /// Replaces the preset's number of members told per round.
    pub fanout: Option<u32>,
    /// Of the machine's dice.
    pub seed: f64,
    /// Nodes that a test has cut off, from the start.
    pub blocked: Vec<NativeBlocked>,
}

/// A node that a test has cut off.
#[napi(object)]
pub struct NativeBlocked {
    /// The node.
    pub id: String,
    /// `ip:port` of its datagrams.
    pub address: String,
}

/// A secret of the cluster.
#[napi(object)]
pub struct NativeKey {
    /// Tells keys apart; 1 to 255.
    pub id: u32,
    /// The secret.
    pub secret: Uint8Array,
}

/// What is known of a member.
#[napi(object)]
pub struct NativeMember {
    /// The node.
    pub id: String,
    /// Its life.
    pub epoch: f64,
    /// Raised by the node itself to contradict.
    pub incarnation: u32,
    /// `alive`, `suspect`, `dead` or `left`.
    pub status: String,
    /// `ip:port` of its datagrams.
    pub address: String,
    /// What it says about itself.
    pub meta: Buffer,
    /// How its event loop does: `ok`, `busy` or `hung`.
    pub event_loop: String,
}

/// Something has happened to a member.
#[napi(object)]
pub struct NativeMemberEvent {
    /// `up`, `suspect`, `recovered`, `updated`, `restarted`, `left`, `dead`, `superseded` or `conflict`.
    pub kind: String,
    /// The member.
    pub member: NativeMember,
}

/// What keeps nodes apart.
#[napi(object)]
pub struct NativeTrouble {
    /// `ip:port`, or the name of a seed.
    pub about: String,
    /// What it is, as a sentence without its end.
    pub what: String,
}

/// What there is to fetch.
#[napi(object)]
pub struct NativeNews {
    /// In order.
    pub events: Vec<NativeMemberEvent>,
    /// Events were dropped; `members` is right.
    pub lost: bool,
    /// The farewell is over.
    pub gone: bool,
    /// For the log.
    pub troubles: Vec<NativeTrouble>,
}

/// A node's membership, its sockets and its thread.
#[napi]
pub struct NativeGossip {
    gossip: Option<Gossip>,
    bell: Arc<WakeUp>,
}

fn invalid(what: &str, value: &str) -> Error {
    Error::new(NapiStatus::InvalidArg, format!("{what} cannot be used: {value}"))
}

fn config_of(options: &NativeGossipOptions) -> Result<MembershipConfig> {
    let mut config = match options.preset.as_str() {
        "fast" => MembershipConfig::fast(),
        "lan" => MembershipConfig::lan(),
        "wan" => MembershipConfig::wan(),
        other => return Err(invalid("preset", other)),
    };
    if let Some(interval_ms) = options.probe_interval_ms {
        config.probe_interval_us = (interval_ms * US_PER_MS) as u64;
        config.probe_timeout_us = config.probe_interval_us / 2;
        config.gossip_interval_us = config.gossip_interval_us.min(config.probe_interval_us);
    }
    if let Some(suspicion_ms) = options.suspicion_ms {
        let intervals = suspicion_ms * US_PER_MS / config.probe_interval_us.max(1) as f64;
        config.suspicion_multiplier = intervals.ceil().max(1.0) as u32;
    }
    if let Some(fanout) = options.fanout {
        config.gossip_fanout = fanout.max(1) as usize;
    }
    Ok(config)
}

fn key_of(key: &NativeKey) -> Result<Key> {
    let id = u8::try_from(key.id).map_err(|_| invalid("key id", &key.id.to_string()))?;
    Ok(Key::new(id, &key.secret))
}

fn keyring_of(keys: &[NativeKey]) -> Result<Keyring> {
    let mut ring = Keyring::open();
    for key in keys {
        ring.install(key_of(key)?);
    }
    Ok(ring)
}

fn socket_address(what: &str, text: &str) -> Result<SocketAddr> {
    text.parse().map_err(|_| invalid(what, text))
}

fn member_of(record: &Record) -> NativeMember {
    let status = match record.status {
        Status::Alive => "alive",
        Status::Suspect => "suspect",
        Status::Dead => "dead",
        Status::Left => "left",
    };
    let (event_loop, meta) = read_said(&record.meta);
    NativeMember {
        id: record.id.to_string(),
        epoch: record.epoch as f64,
        incarnation: record.incarnation,
        status: status.to_owned(),
        address: record.addr.to_string(),
        meta: Buffer::from(meta.to_vec()),
        event_loop: name_of(event_loop).to_owned(),
    }
}

fn event_of(event: &Event) -> NativeMemberEvent {
    let kind = match event {
        Event::Up(_) => "up",
        Event::Suspect(_) => "suspect",
        Event::Recovered(_) => "recovered",
        Event::Updated(_) => "updated",
        Event::Restarted(_) => "restarted",
        Event::Left(_) => "left",
        Event::Dead(_) => "dead",
        Event::Superseded(_) => "superseded",
        Event::Conflict(_) => "conflict",
    };
    NativeMemberEvent { kind: kind.to_owned(), member: member_of(event.record()) }
}

/// Binds the sockets and starts. `onNews` is called when there is something to fetch; the process stays up until `stop`.
#[napi(catch_unwind)]
pub fn start_gossip(env: Env, options: NativeGossipOptions, on_news: Unknown<'_>) -> Result<NativeGossip> {
    let config = config_of(&options)?;
    let keys = keyring_of(&options.keys)?;
    let bind = socket_address("bind address", &options.bind)?;
    let blocked = options
        .blocked
        .iter()
        .map(|NativeBlocked { id, address }| Ok((NodeId::from(id.as_str()), socket_address("address", address)?)));
    let blocked = blocked.collect::<Result<_>>()?;
    let advertise = match &options.advertise {
        Some(text) => Some(text.parse::<IpAddr>().map_err(|_| invalid("advertised address", text))?),
        None => None,
    };
    let bell = WakeUp::shared(env.raw(), on_news.raw())?;
    let rings = Arc::clone(&bell);
    let NativeGossipOptions { id, epoch, meta, seeds, seed, .. } = options;
    let started = Gossip::start(
        GossipOptions {
            config,
            id: NodeId::from(id.as_str()),
            epoch: epoch as u64,
            meta: Arc::from(&*meta),
            bind,
            advertise,
            seeds,
            keys,
            seed: seed as u64,
            blocked,
        },
        move || rings.wake(),
    );
    let gossip = started.map_err(|error| {
        bell.release();
        Error::new(NapiStatus::GenericFailure, format!("{bind} cannot be bound: {error}"))
    })?;
    bell.keep_alive(env.raw(), crate::bell::KeepAlive::Yes);
    Ok(NativeGossip { gossip: Some(gossip), bell })
}

#[napi]
impl NativeGossip {
    /// Where others reach this node, `ip:port`.
    #[napi(getter, catch_unwind)]
    pub fn address(&self) -> String {
        self.gossip.as_ref().map_or_else(String::new, |gossip| gossip.addr().to_string())
    }

    /// Fetches the news.
    #[napi(catch_unwind)]
    pub fn take_news(&self) -> NativeNews {
        let news = self.gossip.as_ref().map(Gossip::take_news).unwrap_or_default();
        let trouble_of = |Trouble { about, what }| NativeTrouble { about, what: what.to_string() };
        NativeNews {
            events: news.events.iter().map(event_of).collect(),
            lost: news.lost,
            gone: news.gone,
            troubles: news.troubles.into_iter().map(trouble_of).collect(),
        }
    }

    /// All members but this node, dead ones included.
    #[napi(catch_unwind)]
    pub fn members(&self) -> Vec<NativeMember> {
        let snapshot = self.gossip.as_ref().and_then(Gossip::snapshot);
        snapshot.map_or_else(Vec::new, |snapshot| snapshot.members.iter().map(member_of).collect())
    }

    /// Packets that were not let in.
    #[napi(catch_unwind)]
    pub fn rejected(&self) -> f64 {
        self.gossip.as_ref().and_then(Gossip::snapshot).map_or(0.0, |snapshot| snapshot.rejected as f64)
    }

    /// Changes what this node says about itself.
    #[napi(catch_unwind)]
    pub fn set_meta(&self, meta: Uint8Array) {
        if let Some(gossip) = &self.gossip {
            gossip.set_meta(Arc::from(&*meta));
        }
    }

    /// Has the others told how an event loop does, as long as it is watched.
    #[napi(catch_unwind)]
    pub fn follow_loop(&self, watch: &NativeLoopWatch) {
        if let Some(gossip) = &self.gossip {
            watch.tell(gossip);
        }
    }

    /// Says goodbye; the news tell when that is done.
    #[napi(catch_unwind)]
    pub fn leave(&self) {
        if let Some(gossip) = &self.gossip {
            gossip.leave();
        }
    }

    /// Tells that a member's connection was refused (`true`), or that it has just sent something.
    #[napi(catch_unwind)]
    pub fn hint(&self, id: String, refused: bool) {
        if let Some(gossip) = &self.gossip {
            gossip.hint(NodeId::from(id.as_str()), if refused { Hint::Refused } else { Hint::Active });
        }
    }

    /// Accepts a further key.
    #[napi(catch_unwind)]
    pub fn install_key(&self, key: NativeKey) -> Result<()> {
        let key = key_of(&key)?;
        if let Some(gossip) = &self.gossip {
            gossip.install_key(key);
        }
        Ok(())
    }

    /// Seals with a key that is installed.
    #[napi(catch_unwind)]
    pub fn activate_key(&self, id: u32) {
        if let Some(gossip) = &self.gossip {
            gossip.activate_key(id as u8);
        }
    }

    /// Accepts a key no longer, unless it is the one that seals.
    #[napi(catch_unwind)]
    pub fn remove_key(&self, id: u32) {
        if let Some(gossip) = &self.gossip {
            gossip.remove_key(id as u8);
        }
    }

    /// Loses everything to and from a node from now on; for tests. `address` is `ip:port` of its datagrams.
    #[napi(catch_unwind)]
    pub fn block(&self, id: String, address: String) -> Result<()> {
        let addr = socket_address("address", &address)?;
        if let Some(gossip) = &self.gossip {
            gossip.block(NodeId::from(id.as_str()), addr);
        }
        Ok(())
    }

    /// Ends that, for one node or for all.
    #[napi(catch_unwind)]
    pub fn unblock(&self, id: Option<String>) {
        if let Some(gossip) = &self.gossip {
            match id {
                Some(id) => gossip.unblock(NodeId::from(id.as_str())),
                None => gossip.unblock_all(),
            }
        }
    }

    /// Closes the sockets and ends the thread, without a goodbye.
    #[napi(catch_unwind)]
    pub fn stop(&mut self) {
        drop(self.gossip.take());
        self.bell.release();
    }
}
