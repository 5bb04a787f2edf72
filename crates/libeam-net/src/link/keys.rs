//! Keys of the transport, and who may come in with which.

use omq_tokio::{CurveKeypair, CurvePublicKey, CurveSecretKey};
use std::fmt;
use std::hint::black_box;

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

/// The pair that all nodes of a cluster share, and further public keys that are let in while it is changed.
#[derive(Clone)]
pub struct CurveKeys {
    /// The public key: the one that this node listens with and dials with.
    pub public: [u8; KEY_BYTES],
    /// Its secret key.
    pub secret: [u8; KEY_BYTES],
    /// Further keys that others may listen with and dial with.
    pub accepted: Vec<[u8; KEY_BYTES]>,
}

impl fmt::Debug for CurveKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurveKeys").field("accepted", &self.accepted.len()).finish_non_exhaustive()
    }
}

impl CurveKeys {
    pub(super) fn pair(&self) -> CurveKeypair {
        CurveKeypair {
            public: CurvePublicKey::from_bytes(self.public),
            secret: CurveSecretKey::from_bytes(self.secret),
        }
    }

    /// The key that a node is likely to listen with, the current one first.
    pub(super) fn of_listener(&self, attempt: usize) -> CurvePublicKey {
        let at = attempt % (self.accepted.len() + 1);
        CurvePublicKey::from_bytes(if at == 0 { self.public } else { self.accepted[at - 1] })
    }

    /// Whether a key is let in. Takes as long for every key.
    pub(super) fn accepts(&self, key: &[u8; KEY_BYTES]) -> bool {
        let mut accepts = false;
        for known in std::iter::once(&self.public).chain(&self.accepted) {
            let difference = known.iter().zip(key).fold(0, |sum, (a, b)| sum | black_box(a ^ b));
            accepts |= black_box(difference) == 0;
        }
        accepts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_key_and_the_further_ones_are_let_in() {
        let keys = CurveKeys { public: [1; 32], secret: [9; 32], accepted: vec![[2; 32], [3; 32]] };
        assert!([1, 2, 3].iter().all(|&byte| keys.accepts(&[byte; 32])));
        let mut close = [1; 32];
        close[31] = 0;
        assert!(!keys.accepts(&close) && !keys.accepts(&[0; 32]));
        assert_eq!(keys.of_listener(0).as_bytes(), &[1; 32]);
        assert_eq!(keys.of_listener(5).as_bytes(), &[3; 32]);
    }
}
