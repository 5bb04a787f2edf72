//! Z85 (ZeroMQ RFC 32): four bytes as five characters that survive command lines and source code.
//!
//! A group of five characters is a number in base 85, most significant digit first. 85⁵ is greater than 2³², so some
//! groups stand for nothing; [`decode`] refuses them, which makes it the exact inverse of [`encode`].
//! Errors say where the fault is and never quote the text: it may be a secret key.

use std::fmt;

const ALPHABET: &[u8; 85] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
const NONE: u8 = u8::MAX;
const DIGITS: [u8; 256] = digits();

const fn digits() -> [u8; 256] {
    let mut digits = [NONE; 256];
    let mut at = 0;
    while at < ALPHABET.len() {
        digits[ALPHABET[at] as usize] = at as u8;
        at += 1;
    }
    digits
}

/// Why something is not Z85, or cannot become it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Z85Error {
    /// Data to encode is not made of groups of four bytes.
    DataLength,
    /// Text to decode is not made of groups of five characters.
    TextLength,
    /// The byte at this place is no character of the alphabet.
    Character(usize),
    /// The group that begins at this place is a number of more than 32 bits.
    Overflow(usize),
}

impl fmt::Display for Z85Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DataLength => f.write_str("Z85 encode: data length must be a multiple of 4"),
            Self::TextLength => f.write_str("Z85 decode: string length must be a multiple of 5"),
            Self::Character(at) => write!(f, "Z85 decode: byte {at} is not in the alphabet"),
            Self::Overflow(at) => write!(f, "Z85 decode: the group at byte {at} stands for no four bytes"),
        }
    }
}

impl std::error::Error for Z85Error {}

/// Writes bytes as Z85.
///
/// # Errors
/// [`Z85Error::DataLength`].
pub fn encode(data: &[u8]) -> Result<String, Z85Error> {
    let (groups, []) = data.as_chunks::<4>() else { return Err(Z85Error::DataLength) };
    let mut text = String::with_capacity(groups.len() * 5);
    for group in groups {
        let number = u32::from_be_bytes(*group);
        for power in [85 * 85 * 85 * 85, 85 * 85 * 85, 85 * 85, 85, 1] {
            text.push(char::from(ALPHABET[(number / power % 85) as usize]));
        }
    }
    Ok(text)
}

/// Reads Z85.
///
/// # Errors
/// [`Z85Error::TextLength`], [`Z85Error::Character`] or [`Z85Error::Overflow`].
pub fn decode(text: &str) -> Result<Vec<u8>, Z85Error> {
    let (groups, []) = text.as_bytes().as_chunks::<5>() else { return Err(Z85Error::TextLength) };
    let mut data = Vec::with_capacity(groups.len() * 4);
    for (at, group) in groups.iter().enumerate() {
        let mut number = 0_u64;
        for (within, &byte) in group.iter().enumerate() {
            let digit = DIGITS[usize::from(byte)];
            if digit == NONE {
                return Err(Z85Error::Character(at * 5 + within));
            }
            number = number * 85 + u64::from(digit);
        }
        let number = u32::try_from(number).map_err(|_| Z85Error::Overflow(at * 5))?;
        data.extend_from_slice(&number.to_be_bytes());
    }
    Ok(data)
}
