//! Membership messages as bytes.
//!
//! A body is a sequence of messages; the envelope around it says who sent it to which life. All
//! numbers are little-endian, strings and byte strings carry their length. Decoding never panics,
//! never allocates more than the input is long, and stops at the first message that is not valid.

use super::member::{META_BYTES_MAX, NODE_ID_BYTES_MAX, NodeId, Record, Status};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Are you there?
    Ping {
        /// Comes back in the answer.
        seq: u32,
        /// Whom it is for: the address may have changed hands.
        target: NodeId,
        /// The sender's view hash.
        view: u64,
    },
    /// The answer to a ping.
    Ack {
        /// Of the ping.
        seq: u32,
        /// The sender's view hash.
        view: u64,
    },
    /// Probe somebody for me.
    PingReq {
        /// Comes back in the answer.
        seq: u32,
        /// Whom to probe.
        target: NodeId,
    },
    /// The one that you had me probe has not answered me in time, but I am there.
    Nack {
        /// Of the request.
        seq: u32,
    },
    /// News about a node, in full.
    State(Record),
    /// News about a life that the receiver knows: suspect, dead, or left.
    Verdict {
        /// The node.
        id: NodeId,
        /// Its life.
        epoch: u64,
        /// What it has to exceed to contradict.
        incarnation: u32,
        /// The verdict.
        status: Status,
        /// Who says so.
        from: NodeId,
    },
    /// Over a stream: here is my table, send me yours.
    Sync,
}

/// What a piece of news says about a node, without the rest.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The node.
    pub id: &'a str,
    /// Its life.
    pub epoch: u64,
    /// Its incarnation.
    pub incarnation: u32,
    /// What is thought of it.
    pub status: Status,
}

const PING: u8 = 1;
const ACK: u8 = 2;
const PING_REQ: u8 = 3;
const NACK: u8 = 4;
const STATE: u8 = 5;
const VERDICT: u8 = 6;
const SYNC: u8 = 7;

/// Appends messages to a buffer.
pub trait Encode {
    /// Appends.
    fn encode(&self, out: &mut Vec<u8>);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn put_id(out: &mut Vec<u8>, id: &str) {
    out.push(id.len() as u8);
    out.extend_from_slice(id.as_bytes());
}

fn put_addr(out: &mut Vec<u8>, addr: SocketAddr) {
    match addr.ip() {
        IpAddr::V4(ip) => {
            out.push(4);
            out.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out.push(6);
            out.extend_from_slice(&ip.octets());
        }
    }
    out.extend_from_slice(&addr.port().to_le_bytes());
}

/// As [`Message::State`].
impl Encode for Record {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(STATE);
        put_id(out, &self.id);
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(&self.incarnation.to_le_bytes());
        out.push(self.status as u8);
        put_addr(out, self.addr);
        put_bytes(out, &self.meta);
    }
}

impl Encode for Message {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Ping { seq, target, view } => {
                out.push(PING);
                out.extend_from_slice(&seq.to_le_bytes());
                put_id(out, target);
                out.extend_from_slice(&view.to_le_bytes());
            }
            Self::Ack { seq, view } => {
                out.push(ACK);
                out.extend_from_slice(&seq.to_le_bytes());
                out.extend_from_slice(&view.to_le_bytes());
            }
            Self::PingReq { seq, target } => {
                out.push(PING_REQ);
                out.extend_from_slice(&seq.to_le_bytes());
                put_id(out, target);
            }
            Self::Nack { seq } => {
                out.push(NACK);
                out.extend_from_slice(&seq.to_le_bytes());
            }
            Self::State(record) => record.encode(out),
            Self::Verdict { id, epoch, incarnation, status, from } => {
                out.push(VERDICT);
                put_id(out, id);
                out.extend_from_slice(&epoch.to_le_bytes());
                out.extend_from_slice(&incarnation.to_le_bytes());
                out.push(*status as u8);
                put_id(out, from);
            }
            Self::Sync => out.push(SYNC),
        }
    }
}

/// Reads a body, message by message. Ends at the end, or at the first byte that makes no sense.
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    rest: &'a [u8],
    broken: bool,
}

impl<'a> Messages<'a> {
    /// The messages of a body.
    #[must_use]
    pub const fn new(body: &'a [u8]) -> Self {
        Self { rest: body, broken: false }
    }

    /// Whether reading stopped at something that is no message.
    #[must_use]
    pub const fn is_broken(&self) -> bool {
        self.broken
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = usize::from(self.byte()?);
        let text = std::str::from_utf8(self.take(length)?).ok()?;
        (!text.is_empty() && text.len() <= NODE_ID_BYTES_MAX).then_some(text)
    }

    fn id(&mut self) -> Option<NodeId> {
        self.text().map(NodeId::from)
    }

    fn claim(&mut self) -> Option<Claim<'a>> {
        Some(Claim { id: self.text()?, epoch: self.u64()?, incarnation: self.u32()?, status: self.status()? })
    }

    fn status(&mut self) -> Option<Status> {
        Some(match self.byte()? {
            0 => Status::Alive,
            1 => Status::Suspect,
            2 => Status::Dead,
            3 => Status::Left,
            _ => return None,
        })
    }

    fn addr(&mut self) -> Option<SocketAddr> {
        let ip = match self.byte()? {
            4 => IpAddr::V4(Ipv4Addr::from(self.array::<4>()?)),
            6 => IpAddr::V6(Ipv6Addr::from(self.array::<16>()?)),
            _ => return None,
        };
        Some(SocketAddr::new(ip, self.array().map(u16::from_le_bytes)?))
    }

    fn meta(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.array().map(u16::from_le_bytes)?);
        (length <= META_BYTES_MAX).then(|| self.take(length))?
    }

    /// The next message that is no old news, and none at the end.
    ///
    /// Perf: most news comes many times, and what is skipped here is never allocated.
    pub fn next_news(&mut self, is_old: impl Fn(&Claim<'_>) -> bool) -> Option<Message> {
        while !self.broken && !self.rest.is_empty() {
            match self.message(&is_old) {
                Some(None) => {}
                Some(message) => return message,
                None => self.broken = true,
            }
        }
        None
    }

    /// A message, nothing for old news, or an error.
    fn message(&mut self, is_old: impl Fn(&Claim<'_>) -> bool) -> Option<Option<Message>> {
        Some(Some(match self.byte()? {
            PING => Message::Ping { seq: self.u32()?, target: self.id()?, view: self.u64()? },
            ACK => Message::Ack { seq: self.u32()?, view: self.u64()? },
            PING_REQ => Message::PingReq { seq: self.u32()?, target: self.id()? },
            NACK => Message::Nack { seq: self.u32()? },
            STATE => {
                let (claim, addr, meta) = (self.claim()?, self.addr()?, self.meta()?);
                if is_old(&claim) {
                    return Some(None);
                }
                let Claim { id, epoch, incarnation, status } = claim;
                Message::State(Record { id: NodeId::from(id), epoch, incarnation, status, addr, meta: Arc::from(meta) })
            }
            VERDICT => {
                let (claim, from) = (self.claim()?, self.text()?);
                if is_old(&claim) {
                    return Some(None);
                }
                let Claim { id, epoch, incarnation, status } = claim;
                Message::Verdict { id: NodeId::from(id), epoch, incarnation, status, from: NodeId::from(from) }
            }
            SYNC => Message::Sync,
            _ => return None,
        }))
    }
}

impl Iterator for Messages<'_> {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        self.next_news(|_| false)
    }
}
