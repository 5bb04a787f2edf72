//! Key material as JavaScript sees it. Keys are text in Z85; bad text is an error that never quotes it.

use libeam_core::security::keys::{self, KEY_BYTES};
use libeam_core::security::z85::{self, Z85Error};
use napi::bindgen_prelude::{Buffer, BufferSlice};
use napi::{Error, Result, Status};
use napi_derive::napi;

/// The keys of a cluster.
#[napi(object)]
pub struct NativeKeys {
    /// Seals gossip.
    pub hmac_key: Buffer,
    /// Public key of the transport.
    pub public_key: String,
    /// Secret key of the transport.
    pub secret_key: String,
}

/// Derives the keys of the cluster that has this cookie and this salt.
#[napi(catch_unwind)]
pub fn derive_keys(cookie: String, salt: String) -> Result<NativeKeys> {
    let derived = keys::derive(cookie.as_bytes(), salt.as_bytes());
    Ok(NativeKeys {
        hmac_key: derived.gossip.to_vec().into(),
        public_key: z85::encode(&derived.curve_public).map_err(refused)?,
        secret_key: z85::encode(&derived.curve_secret).map_err(refused)?,
    })
}

/// Writes bytes as Z85.
#[napi(catch_unwind)]
pub fn z85_encode(data: BufferSlice<'_>) -> Result<String> {
    z85::encode(&data).map_err(refused)
}

/// Reads Z85.
#[napi(catch_unwind)]
pub fn z85_decode(text: String) -> Result<Buffer> {
    Ok(z85::decode(&text).map_err(refused)?.into())
}

/// The fingerprint of a public key, in hexadecimal.
#[napi(catch_unwind)]
pub fn fingerprint(public_key: String) -> Result<String> {
    let key = z85::decode(&public_key).map_err(refused)?;
    let key: [u8; KEY_BYTES] = key
        .try_into()
        .map_err(|_| Error::new(Status::InvalidArg, format!("a public key has {} characters", KEY_BYTES / 4 * 5)))?;
    Ok(keys::fingerprint(&key).iter().map(|byte| format!("{byte:02x}")).collect())
}

fn refused(error: Z85Error) -> Error {
    Error::new(Status::InvalidArg, error.to_string())
}
