//! From a cookie to keys.

use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use x25519_dalek::{PublicKey, StaticSecret};

/// Bytes of every key and of a fingerprint.
pub const KEY_BYTES: usize = 32;

const GOSSIP: &[u8] = b"libeam/gossip hmac/1";
const CURVE_SECRET: &[u8] = b"libeam/curve secret/1";

/// The keys of a cluster.
#[derive(Clone, PartialEq, Eq)]
pub struct DerivedKeys {
    /// Seals gossip.
    pub gossip: [u8; KEY_BYTES],
    /// X25519 secret key, as derived: whoever multiplies with it clamps it.
    pub curve_secret: [u8; KEY_BYTES],
    /// The public key that belongs to it.
    pub curve_public: [u8; KEY_BYTES],
}

impl std::fmt::Debug for DerivedKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DerivedKeys").field("curve_public", &self.curve_public).finish_non_exhaustive()
    }
}

/// Derives the keys of a cluster. Equal arguments give equal keys, on every node and in every version
/// of this scheme.
#[must_use]
pub fn derive(cookie: &[u8], salt: &[u8]) -> DerivedKeys {
    let curve_secret = hkdf(cookie, salt, CURVE_SECRET);
    DerivedKeys { gossip: hkdf(cookie, salt, GOSSIP), curve_secret, curve_public: public_key(curve_secret) }
}

/// The first 32 bytes of HKDF-SHA256 (RFC 5869).
///
/// # Panics
/// Never: HKDF-SHA256 gives up to 8160 bytes.
#[must_use]
pub fn hkdf(secret: &[u8], salt: &[u8], info: &[u8]) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    Hkdf::<Sha256>::new(Some(salt), secret).expand(info, &mut key).expect("32 bytes are within HKDF's limit");
    key
}

/// The X25519 public key of a secret key (RFC 7748).
#[must_use]
pub fn public_key(secret: [u8; KEY_BYTES]) -> [u8; KEY_BYTES] {
    PublicKey::from(&StaticSecret::from(secret)).to_bytes()
}

/// What a person compares instead of a public key: its SHA-256.
#[must_use]
pub fn fingerprint(public_key: &[u8; KEY_BYTES]) -> [u8; KEY_BYTES] {
    Sha256::digest(public_key).into()
}
