//! The first frame of a session in each direction.
//!
//! ```text
//! magic 4 | version 1 | kind 1 | body
//! Hello, Welcome   cluster (1 + n) | node (1 + n) | epoch 8 | target (1 + n) | nonce 8
//! Refused          why 1
//! Farewell         nothing
//! ```
//! Numbers are little-endian, names UTF-8 of at most 255 bytes. A refusal has the same layout in every version, so
//! that two nodes that speak different ones can tell each other so.

use crate::membership::member::NodeId;
use std::fmt;

const MAGIC: [u8; 4] = *b"lbsn";
/// The version of the session's protocol.
pub const VERSION: u8 = 1;
/// Bytes of a cluster's or node's name at most.
pub const NAME_BYTES_MAX: usize = 255;
/// Bytes of a greeting at most.
pub const GREETING_BYTES_MAX: usize = MAGIC.len() + 2 + 3 * (1 + NAME_BYTES_MAX) + 2 * size_of::<u64>();

const HELLO: u8 = 1;
const WELCOME: u8 = 2;
const REFUSED: u8 = 3;
const FAREWELL: u8 = 4;

/// Why somebody who greets is sent away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is no greeting.
    Malformed,
    /// It is one of a version that this node does not speak.
    Version,
    /// It is from another cluster.
    Cluster,
    /// It is meant for another node.
    Target,
    /// It is from a node that calls itself as this one does.
    OwnId,
    /// It is from a life of the node that is over.
    Epoch,
    /// It answers another greeting.
    Nonce,
}

impl Refusal {
    const ALL: [Self; 7] =
        [Self::Malformed, Self::Version, Self::Cluster, Self::Target, Self::OwnId, Self::Epoch, Self::Nonce];

    const fn code(self) -> u8 {
        self as u8 + 1
    }

    /// Reasons of later versions count as the one that always fits.
    fn of_code(code: u8) -> Self {
        Self::ALL.into_iter().find(|refusal| refusal.code() == code).unwrap_or(Self::Malformed)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "what was said is no greeting",
            Self::Version => "the nodes speak different versions of the protocol",
            Self::Cluster => "the nodes are of different clusters",
            Self::Target => "another node was meant",
            Self::OwnId => "both nodes have one name",
            Self::Epoch => "a later life of the node is known",
            Self::Nonce => "it is the answer to another greeting",
        })
    }
}

/// Who speaks, to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The cluster of the speaker.
    pub cluster: String,
    /// The speaker.
    pub node: NodeId,
    /// Its life.
    pub epoch: u64,
    /// The node that is meant; empty if that is not known.
    pub target: NodeId,
    /// Tells greetings apart; an answer repeats it.
    pub nonce: u64,
}

/// A frame of the session itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Greeting {
    /// The dialler says who it is.
    Hello(Hello),
    /// The listener says who it is; messages may come.
    Welcome(Hello),
    /// The listener has other plans.
    Refused(Refusal),
    /// The listener has read everything up to the end.
    Farewell,
}

/// The node that checks greetings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// Its cluster.
    pub cluster: String,
    /// Its name.
    pub node: NodeId,
    /// Its life.
    pub epoch: u64,
}

impl Local {
    /// Whether the node can be named in a greeting.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        is_name(&self.node) && self.cluster.len() <= NAME_BYTES_MAX
    }

    /// The greeting for a node.
    #[must_use]
    pub fn hello(&self, target: &NodeId, nonce: u64) -> Hello {
        Hello {
            cluster: self.cluster.clone(),
            node: self.node.clone(),
            epoch: self.epoch,
            target: target.clone(),
            nonce,
        }
    }

    /// Whether a node that greets may send; `known` is the latest life of it that is known.
    ///
    /// # Errors
    /// Why it may not.
    pub fn admit(&self, hello: &Hello, known: Option<u64>) -> Result<(), Refusal> {
        if hello.cluster != self.cluster {
            Err(Refusal::Cluster)
        } else if hello.node == self.node {
            Err(Refusal::OwnId)
        } else if !hello.target.is_empty() && hello.target != self.node {
            Err(Refusal::Target)
        } else if known.is_some_and(|known| hello.epoch < known) {
            Err(Refusal::Epoch)
        } else {
            Ok(())
        }
    }

    /// Whether an answer is from the node that was greeted; `known` is the latest life of it that is known.
    ///
    /// # Errors
    /// Why it is not.
    pub fn accept(&self, sent: &Hello, answer: &Hello, known: Option<u64>) -> Result<(), Refusal> {
        if answer.nonce != sent.nonce {
            return Err(Refusal::Nonce);
        }
        if !sent.target.is_empty() && answer.node != sent.target {
            return Err(Refusal::Target);
        }
        self.admit(answer, known)
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= NAME_BYTES_MAX
}

impl Greeting {
    /// Writes the frame. Names that are too long are cut, and refused by whoever reads them.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut frame = Vec::with_capacity(64);
        frame.extend_from_slice(&MAGIC);
        frame.push(VERSION);
        match self {
            Self::Hello(hello) => encode_hello(&mut frame, HELLO, hello),
            Self::Welcome(hello) => encode_hello(&mut frame, WELCOME, hello),
            Self::Refused(refusal) => frame.extend_from_slice(&[REFUSED, refusal.code()]),
            Self::Farewell => frame.push(FAREWELL),
        }
        frame
    }

    /// Reads a frame, whoever sent it.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] and [`Refusal::Version`].
    pub fn decode(frame: &[u8]) -> Result<Self, Refusal> {
        let rest = frame.strip_prefix(&MAGIC).ok_or(Refusal::Malformed)?;
        let (&[version, kind], body) = rest.split_first_chunk::<2>().ok_or(Refusal::Malformed)?;
        match kind {
            REFUSED => body.first().map(|&code| Self::Refused(Refusal::of_code(code))),
            _ if version != VERSION => return Err(Refusal::Version),
            HELLO => decode_hello(body).map(Self::Hello),
            WELCOME => decode_hello(body).map(Self::Welcome),
            FAREWELL if body.is_empty() => Some(Self::Farewell),
            _ => None,
        }
        .ok_or(Refusal::Malformed)
    }
}

fn encode_hello(frame: &mut Vec<u8>, kind: u8, hello: &Hello) {
    frame.push(kind);
    encode_name(frame, &hello.cluster);
    encode_name(frame, &hello.node);
    frame.extend_from_slice(&hello.epoch.to_le_bytes());
    encode_name(frame, &hello.target);
    frame.extend_from_slice(&hello.nonce.to_le_bytes());
}

fn encode_name(frame: &mut Vec<u8>, name: &str) {
    let bytes = &name.as_bytes()[..name.len().min(NAME_BYTES_MAX)];
    frame.push(bytes.len() as u8);
    frame.extend_from_slice(bytes);
}

fn decode_hello(body: &[u8]) -> Option<Hello> {
    let (cluster, body) = decode_name(body)?;
    let (node, body) = decode_name(body)?;
    let (epoch, body) = body.split_first_chunk::<8>()?;
    let (target, body) = decode_name(body)?;
    let (nonce, rest) = body.split_first_chunk::<8>()?;
    (is_name(node) && rest.is_empty()).then(|| Hello {
        cluster: cluster.to_owned(),
        node: NodeId::from(node),
        epoch: u64::from_le_bytes(*epoch),
        target: NodeId::from(target),
        nonce: u64::from_le_bytes(*nonce),
    })
}

fn decode_name(body: &[u8]) -> Option<(&str, &[u8])> {
    let (&length, body) = body.split_first()?;
    let (name, body) = body.split_at_checked(usize::from(length))?;
    Some((std::str::from_utf8(name).ok()?, body))
}
