//! Keys and their text: the vectors of the RFCs, pinned keys of one cookie, round trips, and no panic whatever comes.

use libeam_core::security::keys::{self, derive, fingerprint, hkdf, public_key};
use libeam_core::security::z85::{self, Z85Error};
use proptest::prelude::*;

fn bytes(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2), "{hex}");
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn key(hex: &str) -> [u8; keys::KEY_BYTES] {
    bytes(hex).try_into().unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// RFC 5869, appendix A.1 to A.3; the first 32 bytes of each output.
#[test]
fn hkdf_gives_what_its_rfc_gives() {
    let counting = |from: u8, to: u8| (from..=to).collect::<Vec<u8>>();
    let okm = hkdf(&[0x0b; 22], &counting(0x00, 0x0c), &counting(0xf0, 0xf9));
    assert_eq!(hex(&okm), "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
    let okm = hkdf(&counting(0x00, 0x4f), &counting(0x60, 0xaf), &counting(0xb0, 0xff));
    assert_eq!(hex(&okm), "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c");
    let okm = hkdf(&[0x0b; 22], &[], &[]);
    assert_eq!(hex(&okm), "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
}

/// RFC 7748: Bob of section 6.1, and the first iteration of section 5.2, whose scalar is not clamped.
#[test]
fn public_keys_are_those_of_their_rfc() {
    for (secret, public) in [
        (
            "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
            "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
        ),
        (
            "0900000000000000000000000000000000000000000000000000000000000000",
            "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079",
        ),
    ] {
        assert_eq!(public_key(key(secret)), key(public));
    }
}

/// The server's pair of keys in libzmq's manual pages: a pair in the eyes of CurveZMQ is one here.
#[test]
fn pairs_are_those_of_libzmq() {
    let secret: [u8; 32] = z85::decode("JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6").unwrap().try_into().unwrap();
    assert_eq!(z85::encode(&public_key(secret)).unwrap(), "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7");
}

/// Computed once with another implementation: nodes of two versions must agree for ever.
#[test]
fn the_keys_of_a_cookie_stay() {
    let keys = derive(b"correct horse battery staple", b"libeam-v2");
    assert_eq!(hex(&keys.gossip), "c1117786df7e38f7fd6c7e10203f691d0b6d2cc8335f723a073bf4db4484e810");
    assert_eq!(hex(&keys.curve_secret), "19b20c9845ca3dc73db0ba286c4064d048e2786683b32f5b881d84ed544e6fdf");
    assert_eq!(hex(&keys.curve_public), "f5730f929463fc00237e00acfbf9b5a7bf81c098fce78113f07cf2cf6728371c");
    assert_eq!(
        hex(&fingerprint(&keys.curve_public)),
        "7cd01c37446bec80a604f8e307520df5d3c052cdd9ab86e0d324d362cc462569"
    );
}

#[test]
fn debugging_shows_no_secret() {
    let keys = derive(b"correct horse battery staple", b"libeam-v2");
    let shown = format!("{keys:?}");
    assert!(shown.contains("curve_public"));
    for secret in [keys.gossip, keys.curve_secret] {
        assert!(!shown.contains(&format!("{secret:?}")));
    }
}

/// RFC 32.
#[test]
fn z85_says_hello_world() {
    let data = [0x86, 0x4f, 0xd2, 0x6f, 0xb5, 0x59, 0xf7, 0x5b];
    assert_eq!(z85::encode(&data).unwrap(), "HelloWorld");
    assert_eq!(z85::decode("HelloWorld").unwrap(), data);
}

#[test]
fn z85_knows_its_limits() {
    assert_eq!(z85::encode(&[]).unwrap(), "");
    assert_eq!(z85::decode("").unwrap(), []);
    assert_eq!(z85::encode(&[0xff; 4]).unwrap(), "%nSc0");
    assert_eq!(z85::decode("%nSc0").unwrap(), [0xff; 4]);
    assert_eq!(z85::encode(&[1, 2, 3]), Err(Z85Error::DataLength));
    assert_eq!(z85::decode("0000"), Err(Z85Error::TextLength));
    assert_eq!(z85::decode("%nSc1"), Err(Z85Error::Overflow(0)));
    assert_eq!(z85::decode("00000#####"), Err(Z85Error::Overflow(5)));
    assert_eq!(z85::decode("0000000 00"), Err(Z85Error::Character(7)));
    assert_eq!(z85::decode("000é"), Err(Z85Error::Character(3)));
}

proptest! {
    // A multiplication takes milliseconds without optimizations.
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn keys_depend_on_every_byte(cookie in prop::collection::vec(any::<u8>(), 1..80),
                                 salt in prop::collection::vec(any::<u8>(), 1..40),
                                 at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let keys = derive(&cookie, &salt);
        prop_assert!(keys == derive(&cookie, &salt));
        prop_assert_ne!(keys.gossip, keys.curve_secret);
        let mut other_cookie = cookie.clone();
        other_cookie[at.index(cookie.len())] ^= flip;
        let mut other_salt = salt.clone();
        other_salt[at.index(salt.len())] ^= flip;
        for other in [derive(&other_cookie, &salt), derive(&cookie, &other_salt)] {
            prop_assert_ne!(keys.gossip, other.gossip);
            prop_assert_ne!(keys.curve_secret, other.curve_secret);
            prop_assert_ne!(keys.curve_public, other.curve_public);
        }
    }
}

proptest! {
    #[test]
    fn z85_comes_back(mut data in prop::collection::vec(any::<u8>(), 0..200)) {
        data.truncate(data.len() / 4 * 4);
        let text = z85::encode(&data).unwrap();
        prop_assert_eq!(text.len(), data.len() / 4 * 5);
        prop_assert_eq!(z85::decode(&text).unwrap(), data);
    }

    #[test]
    fn z85_has_one_text_for_each_data(text in "[0-9a-zA-Z.:+=^!/*?&<>()\\[\\]{}@%$#-]{0,60}") {
        if let Ok(data) = z85::decode(&text) {
            prop_assert_eq!(z85::encode(&data).unwrap(), text);
        }
    }

    #[test]
    fn any_text_is_decoded_without_harm(text in any::<String>()) {
        if let Ok(data) = z85::decode(&text) {
            prop_assert_eq!(z85::encode(&data).unwrap(), text);
        }
    }
}
