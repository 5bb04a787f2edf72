//! How fast and how patient a node is.

const MS: u64 = 1_000;
const SECOND: u64 = 1_000_000;
/// News is sent at least so often: with a handful of members the logarithm leaves some of them out.
const TRANSMITS_MIN: u32 = 8;

/// Settings of one node's membership. Times are in microseconds.
///
/// All nodes of a cluster should have the same ones.
#[derive(Clone, Debug, PartialEq)]
pub struct MembershipConfig {
    /// Time between two probes; each probes one member.
    pub probe_interval_us: u64,
    /// How long a probe waits for its answer before others are asked to help.
    pub probe_timeout_us: u64,
    /// Members that are asked to probe one that does not answer.
    pub indirect_probes: usize,
    /// Suspicion lasts at least so many probe intervals, times the logarithm of the cluster's size.
    pub suspicion_multiplier: u32,
    /// Suspicion that nobody confirms lasts so many times longer.
    pub suspicion_max_multiplier: u32,
    /// Time between two rounds of gossip, while there is something to tell.
    pub gossip_interval_us: u64,
    /// Members that a round of gossip goes to.
    pub gossip_fanout: usize,
    /// A piece of news is sent so many times, times the logarithm of the cluster's size.
    pub retransmit_multiplier: u32,
    /// Worst health: a node that doubts itself waits up to so many times longer.
    pub health_max: u32,
    /// Time between two attempts to reach a dead member and a seed, on average.
    pub reconnect_interval_us: u64,
    /// Time between two attempts to reach a seed while no member is known.
    pub seed_retry_us: u64,
    /// How long a node that leaves goes on telling.
    pub leave_us: u64,
    /// How long the life of a dead member is remembered, so that it cannot come back.
    pub forget_after_us: u64,
    /// Members at most, dead ones included.
    pub members_max: usize,
    /// Bytes of a datagram at most, envelope included.
    pub datagram_bytes_max: usize,
}

impl MembershipConfig {
    /// For one data centre: a crashed host is known by all after about 3.5 s with up to 10 nodes.
    #[must_use]
    pub const fn lan() -> Self {
        Self {
            probe_interval_us: 500 * MS,
            probe_timeout_us: 250 * MS,
            indirect_probes: 3,
            suspicion_multiplier: 4,
            suspicion_max_multiplier: 6,
            gossip_interval_us: 200 * MS,
            gossip_fanout: 3,
            retransmit_multiplier: 4,
            health_max: 8,
            reconnect_interval_us: 4 * SECOND,
            seed_retry_us: SECOND,
            leave_us: 300 * MS,
            forget_after_us: 24 * 3_600 * SECOND,
            members_max: 10_000,
            datagram_bytes_max: 1_400,
        }
    }

    /// Finds crashes sooner, and takes shorter pauses for them.
    #[must_use]
    pub const fn fast() -> Self {
        Self { suspicion_multiplier: 2, ..Self::lan() }
    }

    /// For links between data centres.
    #[must_use]
    pub const fn wan() -> Self {
        Self {
            probe_interval_us: 2 * SECOND,
            probe_timeout_us: SECOND,
            suspicion_multiplier: 5,
            gossip_interval_us: 500 * MS,
            reconnect_interval_us: 10 * SECOND,
            leave_us: SECOND,
            ..Self::lan()
        }
    }

    /// Shortest suspicion in a cluster of that size.
    #[must_use]
    pub fn suspicion_min_us(&self, members: usize) -> u64 {
        let scale = (members.max(1) as f64).log10().max(1.0);
        (f64::from(self.suspicion_multiplier) * scale * self.probe_interval_us as f64) as u64
    }

    /// How often a piece of news is sent in a cluster of that size.
    #[must_use]
    pub fn transmits(&self, members: usize) -> u32 {
        let enough = self.retransmit_multiplier * ((members + 1) as f64).log10().ceil().max(1.0) as u32;
        enough.max(TRANSMITS_MIN)
    }
}

impl Default for MembershipConfig {
    fn default() -> Self {
        Self::lan()
    }
}
