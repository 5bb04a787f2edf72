//! What is known of a member, and which of two reports wins.
//!
//! A *life* of a node is its id and its epoch (when it started). Within one life the member itself
//! raises its incarnation to contradict what others say; a later life beats every earlier one, at
//! whatever address. At one incarnation the worse news wins: alive, suspect, dead, left. So `dead`
//! can be refuted by the member itself and by nobody else, and `left` by nobody.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// Bytes of a node's id at most.
pub const NODE_ID_BYTES_MAX: usize = 255;
/// Bytes of a node's metadata at most: 512 of the node's own and a few of the runtime's.
pub const META_BYTES_MAX: usize = 520;

/// Names a node, whatever its address and life.
pub type NodeId = Arc<str>;

/// What is thought of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// It answers.
    Alive,
    /// It does not answer; it has time to contradict.
    Suspect,
    /// It did not contradict in time.
    Dead,
    /// It said goodbye.
    Left,
}

impl Status {
    /// Whether the member counts: suspects do.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Alive | Self::Suspect)
    }
}

/// A report about one life of a node.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// The node.
    pub id: NodeId,
    /// Its life: milliseconds since 1970 when it started, or one more than its last life's.
    pub epoch: u64,
    /// Raised by the node itself to contradict.
    pub incarnation: u32,
    /// What is thought of it.
    pub status: Status,
    /// Where its datagrams go.
    pub addr: SocketAddr,
    /// What it says about itself; opaque here.
    pub meta: Arc<[u8]>,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, epoch, incarnation, status, addr, .. } = self;
        write!(f, "{id}@{addr} {epoch}.{incarnation} {status:?}")
    }
}

impl Record {
    /// What orders reports about one node: the higher one wins.
    #[must_use]
    pub fn rank(&self) -> (u64, bool, u32, Status) {
        (self.epoch, self.status == Status::Left, self.incarnation, self.status)
    }
}

/// Something has happened to a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is there, for the first time, again after a verdict that it refuted, or in a new life.
    Up(Record),
    /// It does not answer.
    Suspect(Record),
    /// It was suspected, and answers.
    Recovered(Record),
    /// It is known under another address or with other metadata.
    Updated(Record),
    /// Its earlier life is over and the one in the record has begun; there was no verdict in between.
    Restarted(Record),
    /// It said goodbye.
    Left(Record),
    /// It is gone.
    Dead(Record),
    /// A later life of this node's own id exists: this process is the older one and must stop.
    Superseded(Record),
    /// An earlier life of this node's own id still runs.
    Conflict(Record),
}

impl Event {
    /// The report behind the event.
    #[must_use]
    pub fn record(&self) -> &Record {
        match self {
            Self::Up(record)
            | Self::Suspect(record)
            | Self::Recovered(record)
            | Self::Updated(record)
            | Self::Restarted(record)
            | Self::Left(record)
            | Self::Dead(record)
            | Self::Superseded(record)
            | Self::Conflict(record) => record,
        }
    }
}
