//! Key material: everything that the nodes of a cluster derive from the cookie they share.
//!
//! # What is derived
//! ```text
//! PRK = HKDF-Extract(salt, cookie)                           SHA-256, RFC 5869
//!   ├─ Expand("libeam/gossip hmac/1")    32 bytes   seals gossip (HMAC-SHA256)
//!   └─ Expand("libeam/curve secret/1")   32 bytes   X25519 secret key of the transport
//!        └─ X25519 with the base point   32 bytes   its public key (RFC 7748)
//!             └─ SHA-256                 32 bytes   its fingerprint, the only one of these that may be shown
//! ```
//! The number at the end of a label is the scheme's: a key of another scheme is another key. The labels
//! keep the keys apart, so whoever learns one of them learns neither the other nor the cookie. Keys go over to
//! JavaScript and into configuration as [`z85`] (ZeroMQ RFC 32): 40 characters for 32 bytes.
//!
//! # What it stands on
//! - All nodes with one cookie have one pair of keys. A pair says "is in the cluster"; it says nothing
//!   about which node, and whoever has the secret key can pose as all of them.
//! - HKDF is quick and hides no weak cookie: a tag or a handshake that somebody recorded lets them try
//!   cookies at home, as fast as their hardware can hash. Only the entropy of the cookie stands against that.
//! - Salts are public. Two clusters with one cookie and two salts have unrelated keys.
//! - Curve25519 is computed in constant time by its crate. Nothing here compares secrets.
//!
//! # Deliberately absent
//! The least length of a cookie (whoever takes one from a user checks it), stretching of weak cookies, wiping of
//! memory (JavaScript holds the cookie as a string, which cannot be wiped), sockets and sessions.

pub mod keys;
pub mod z85;
