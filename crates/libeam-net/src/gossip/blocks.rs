//! Nodes that a test has cut off from this one.
//!
//! What is sent is told by its address: the one that was given, and the one at which membership knows the node now. What
//! arrives is told by the node that it names, because streams come from ports that mean nothing. A name that is not true
//! changes nothing: whoever forges it only loses its own packet.

use libeam_core::membership::envelope::claimed_source;
use libeam_core::membership::member::NodeId;
use libeam_core::membership::table::Table;
use std::collections::HashMap;
use std::net::SocketAddr;

/// See the module's header.
#[derive(Debug, Default)]
pub(super) struct Blocks(HashMap<NodeId, SocketAddr>);

impl FromIterator<(NodeId, SocketAddr)> for Blocks {
    fn from_iter<T: IntoIterator<Item = (NodeId, SocketAddr)>>(cut_off: T) -> Self {
        Self(cut_off.into_iter().collect())
    }
}

impl Blocks {
    pub fn add(&mut self, id: NodeId, addr: SocketAddr) {
        self.0.insert(id, addr);
    }

    pub fn remove(&mut self, id: &NodeId) {
        self.0.remove(id);
    }

    /// Whether what goes there is lost.
    pub fn to(&self, to: SocketAddr, table: &Table) -> bool {
        self.0.iter().any(|(id, &addr)| addr == to || table.get(id).is_some_and(|member| member.record.addr == to))
    }

    /// Whether this packet is lost.
    pub fn from(&self, packet: &[u8]) -> bool {
        !self.0.is_empty() && claimed_source(packet).is_some_and(|source| self.0.contains_key(&source))
    }
}
