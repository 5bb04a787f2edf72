//! Who said it, to whom, and that it was not said before: the outside of every packet.
//!
//! ```text
//! magic 2 | version 1 | key id 1 | source id (1 + n) | source epoch 8 | target epoch 8 | sequence 8 | body | tag 16
//! ```
//!
//! The tag is HMAC-SHA256 over everything before it, cut to 16 bytes (RFC 2104, section 5); it is
//! checked before anything is read. A packet names the life that it is for, so a recording is
//! useless to the next life, and a window of 128 sequence numbers per source rejects copies (RFC
//! 4303, section 3.4.3). Packets of an earlier life of the source are rejected. Only over a stream
//! may the target be unknown (0): whoever joins knows no epochs yet, and changes nothing with such a packet.
//!
//! Two keys and more can be accepted at once, so keys are changed without losing a packet. Without a
//! key packets carry no tag, and anybody can take part: that is for trusted networks.

use super::member::{NODE_ID_BYTES_MAX, NodeId};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::collections::HashMap;

const MAGIC: [u8; 2] = *b"lb";
const VERSION: u8 = 1;
/// Bytes of a tag.
pub const TAG_BYTES: usize = 16;
/// Sequence numbers that may arrive late.
const WINDOW: u64 = 128;
/// The key id of packets without a tag.
const OPEN: u8 = 0;

/// Why a packet was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reject {
    /// It is none of ours, or cut off.
    Malformed,
    /// A version that this node does not speak.
    Version,
    /// No key of this node fits its tag.
    Unauthenticated,
    /// It is for another life of this node.
    OtherLife,
    /// It has been seen before, or may have been.
    Replayed,
    /// Its source has begun a later life.
    OldLife,
}

/// A secret that the nodes of a cluster share.
#[derive(Clone)]
pub struct Key {
    /// Tells keys apart; 1 to 255.
    pub id: u8,
    state: Hmac<Sha256>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({})", self.id)
    }
}

impl Key {
    /// A key of any length; 32 bytes or more are best.
    ///
    /// # Panics
    /// Never: HMAC takes keys of every length.
    #[must_use]
    pub fn new(id: u8, secret: &[u8]) -> Self {
        Self { id: id.max(1), state: Hmac::new_from_slice(secret).expect("HMAC takes keys of every length") }
    }

    fn tag(&self, bytes: &[u8]) -> [u8; TAG_BYTES] {
        let full = self.state.clone().chain_update(bytes).finalize().into_bytes();
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&full[..TAG_BYTES]);
        tag
    }

    fn fits(&self, bytes: &[u8], tag: &[u8]) -> bool {
        self.state.clone().chain_update(bytes).verify_truncated_left(tag).is_ok()
    }
}

/// The keys of a node. The first one seals, all of them open.
#[derive(Clone, Debug, Default)]
pub struct Keyring(Vec<Key>);

impl Keyring {
    /// Packets without a tag.
    #[must_use]
    pub const fn open() -> Self {
        Self(Vec::new())
    }

    /// One key.
    #[must_use]
    pub fn of(key: Key) -> Self {
        Self(vec![key])
    }

    /// Accepts a further key. The first key of an open keyring closes it.
    pub fn install(&mut self, key: Key) {
        self.0.retain(|known| known.id != key.id);
        self.0.push(key);
    }

    /// Seals with a key that is installed; false if it is not.
    pub fn activate(&mut self, id: u8) -> bool {
        let Some(at) = self.0.iter().position(|key| key.id == id) else { return false };
        self.0[..=at].rotate_right(1);
        true
    }

    /// Accepts a key no longer; false if it is the one that seals, or is not there.
    pub fn remove(&mut self, id: u8) -> bool {
        let Some(at) = self.0.iter().position(|key| key.id == id) else { return false };
        if at == 0 {
            return false;
        }
        self.0.remove(at);
        true
    }

    /// Ids of the keys, the one that seals first.
    pub fn ids(&self) -> impl Iterator<Item = u8> {
        self.0.iter().map(|key| key.id)
    }
}

/// What is inside a packet.
#[derive(Debug)]
pub struct Opened<'a> {
    /// Who sealed it.
    pub source: NodeId,
    /// Which life of it.
    pub epoch: u64,
    /// The life of this node that it is for; 0 is any.
    pub target: u64,
    /// Number of the packet.
    pub sequence: u64,
    /// The messages.
    pub body: &'a [u8],
}

/// Sequence numbers of one life that have been seen.
#[derive(Clone, Debug)]
struct Seen {
    epoch: u64,
    highest: u64,
    /// Bit n is `highest - n`.
    window: u128,
}

/// Seals and opens the packets of one node.
#[derive(Debug)]
pub struct Envelope {
    keys: Keyring,
    sequence: u64,
    seen: HashMap<NodeId, Seen>,
    sources_max: usize,
}

impl Envelope {
    /// An envelope that remembers so many sources.
    #[must_use]
    pub fn new(keys: Keyring, sources_max: usize) -> Self {
        Self { keys, sequence: 0, seen: HashMap::new(), sources_max }
    }

    /// The keys.
    pub const fn keys_mut(&mut self) -> &mut Keyring {
        &mut self.keys
    }

    /// Bytes that sealing adds.
    #[must_use]
    pub fn overhead(&self, source: &str) -> usize {
        let tag = if self.keys.0.is_empty() { 0 } else { TAG_BYTES };
        MAGIC.len() + 2 + 1 + source.len() + 3 * size_of::<u64>() + tag
    }

    /// A packet of this node for one life of another; `write` appends the body.
    pub fn seal(&mut self, source: (&str, u64), target: u64, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        self.sequence += 1;
        let mut packet = Vec::with_capacity(256);
        packet.extend_from_slice(&MAGIC);
        packet.push(VERSION);
        packet.push(self.keys.0.first().map_or(OPEN, |key| key.id));
        packet.push(source.0.len() as u8);
        packet.extend_from_slice(source.0.as_bytes());
        for number in [source.1, target, self.sequence] {
            packet.extend_from_slice(&number.to_le_bytes());
        }
        write(&mut packet);
        if let Some(key) = self.keys.0.first() {
            let tag = key.tag(&packet);
            packet.extend_from_slice(&tag);
        }
        packet
    }

    /// Checks a packet's tag and reads its head.
    ///
    /// # Errors
    /// The reason for which it must be dropped.
    pub fn open<'a>(&self, packet: &'a [u8]) -> Result<Opened<'a>, Reject> {
        let (&[m0, m1, version, key_id], _) = packet.split_first_chunk::<4>().ok_or(Reject::Malformed)?;
        if [m0, m1] != MAGIC {
            return Err(Reject::Malformed);
        }
        if version != VERSION {
            return Err(Reject::Version);
        }
        let sealed = self.authenticated(packet, key_id)?;
        read_head(&sealed[4..]).ok_or(Reject::Malformed)
    }

    fn authenticated<'a>(&self, packet: &'a [u8], key_id: u8) -> Result<&'a [u8], Reject> {
        if self.keys.0.is_empty() {
            return if key_id == OPEN { Ok(packet) } else { Err(Reject::Unauthenticated) };
        }
        let key = self.keys.0.iter().find(|key| key.id == key_id).ok_or(Reject::Unauthenticated)?;
        let at = packet.len().checked_sub(TAG_BYTES).ok_or(Reject::Malformed)?;
        let (sealed, tag) = packet.split_at(at);
        if sealed.len() >= 4 && key.fits(sealed, tag) { Ok(sealed) } else { Err(Reject::Unauthenticated) }
    }

    /// Notes that a packet has come, and tells whether it is the first time.
    ///
    /// # Errors
    /// [`Reject::Replayed`] and [`Reject::OldLife`].
    pub fn admit(&mut self, opened: &Opened<'_>) -> Result<(), Reject> {
        let Opened { source, epoch, sequence, .. } = opened;
        let fresh = Seen { epoch: *epoch, highest: *sequence, window: 1 };
        let Some(seen) = self.seen.get_mut(source) else {
            if self.is_full() {
                return Err(Reject::Replayed);
            }
            self.seen.insert(source.clone(), fresh);
            return Ok(());
        };
        if *epoch != seen.epoch {
            if *epoch < seen.epoch {
                return Err(Reject::OldLife);
            }
            *seen = fresh;
            return Ok(());
        }
        if *sequence > seen.highest {
            let ahead = sequence - seen.highest;
            seen.window = if ahead < WINDOW { (seen.window << ahead) | 1 } else { 1 };
            seen.highest = *sequence;
            return Ok(());
        }
        let behind = seen.highest - sequence;
        if behind >= WINDOW || seen.window & (1 << behind) != 0 {
            return Err(Reject::Replayed);
        }
        seen.window |= 1 << behind;
        Ok(())
    }

    /// The latest life of a source from which a packet has come, for as long as it is remembered.
    #[must_use]
    pub fn latest_life(&self, source: &str) -> Option<u64> {
        self.seen.get(source).map(|seen| seen.epoch)
    }

    /// Whether a source that is new would be refused.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.seen.len() >= self.sources_max
    }

    /// Sources that are remembered.
    #[must_use]
    pub fn sources_len(&self) -> usize {
        self.seen.len()
    }

    /// Forgets sources that are not members any more.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.seen.retain(|source, _| keep(source));
    }
}

/// Whose packet this says it is; nobody has checked that.
#[must_use]
pub fn claimed_source(packet: &[u8]) -> Option<NodeId> {
    let (head, rest) = packet.split_first_chunk::<4>()?;
    if head[..3] != [MAGIC[0], MAGIC[1], VERSION] {
        return None;
    }
    read_head(rest).map(|head| head.source)
}

fn read_head(rest: &[u8]) -> Option<Opened<'_>> {
    let (&length, rest) = rest.split_first()?;
    let (id, rest) = rest.split_at_checked(usize::from(length))?;
    let source = std::str::from_utf8(id).ok().filter(|id| !id.is_empty() && id.len() <= NODE_ID_BYTES_MAX)?;
    let (epoch, rest) = rest.split_first_chunk::<8>()?;
    let (target, rest) = rest.split_first_chunk::<8>()?;
    let (sequence, body) = rest.split_first_chunk::<8>()?;
    Some(Opened {
        source: NodeId::from(source),
        epoch: u64::from_le_bytes(*epoch),
        target: u64::from_le_bytes(*target),
        sequence: u64::from_le_bytes(*sequence),
        body,
    })
}
