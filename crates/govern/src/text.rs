//! The text of a key: `cf-<id>-<secret>`. The id names the key and may be written down; the secret is 200 random bits.

use std::fmt;

use sha2::{Digest as _, Sha256};
use wire::private::Private;

/// Crockford's base 32 in lower case: no `i`, `l`, `o`, `u`. Five bits per character, so no character is likelier.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const PREFIX: &str = "cf-";
/// 60 bits: two keys out of a million have the same with a chance of 4e-7, and then the second is not saved.
const ID_LENGTH: usize = 12;
const SECRET_LENGTH: usize = 40;

/// A key's public id: 12 characters of base 32.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

impl KeyId {
    /// A new one.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn random() -> Result<KeyId, getrandom::Error> {
        random_text::<ID_LENGTH>().map(KeyId)
    }

    /// The id as the store has it.
    pub(crate) fn stored(id: String) -> KeyId {
        KeyId(id)
    }

    /// The characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A whole key, as its holder has it.
#[derive(Debug, Clone)]
pub struct KeyText(Private<String>);

impl KeyText {
    /// A new secret for the key `id`.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn random(id: &KeyId) -> Result<KeyText, getrandom::Error> {
        let secret = random_text::<SECRET_LENGTH>()?;
        Ok(KeyText(Private::new(format!("{PREFIX}{id}-{secret}"))))
    }

    /// A key that its holder has already, from wherever it is from. `None` when it is too short to be a secret, or could
    /// not be sent in a header.
    #[must_use]
    pub fn existing(text: Private<String>) -> Option<KeyText> {
        let plain = text.expose();
        let sendable = plain.bytes().all(|byte| byte.is_ascii_graphic());
        (sendable && (20..=512).contains(&plain.len())).then_some(KeyText(text))
    }

    /// The text itself, to be shown once.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// What of it may be kept.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.expose().as_bytes())
    }
}

/// SHA-256 of a whole key. A plain hash is enough for 200 random bits: there is nothing to guess faster.
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of the text a caller sent, every byte of it.
    #[must_use]
    pub fn of(text: &[u8]) -> Digest {
        Digest(Sha256::digest(text).into())
    }

    /// As the store has it.
    pub(crate) const fn stored(bytes: [u8; 32]) -> Digest {
        Digest(bytes)
    }

    /// The bytes for the store.
    pub(crate) const fn bytes(&self) -> [u8; 32] {
        self.0
    }

    /// Where to look for it: its first eight bytes.
    pub(crate) fn bucket(&self) -> u64 {
        u64::from_le_bytes(self.0[..8].try_into().unwrap_or_default())
    }

    /// Whether both are the same, in a time that does not tell where they differ.
    pub(crate) fn is(&self, other: &Digest) -> bool {
        let difference = self.0.iter().zip(&other.0).fold(0, |difference, (a, b)| difference | (a ^ b));
        std::hint::black_box(difference) == 0
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<digest>")
    }
}

fn random_text<const N: usize>() -> Result<String, getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_a_public_id_and_two_hundred_secret_bits() {
        let id = KeyId::random().unwrap();
        let text = KeyText::random(&id).unwrap();
        let parts: Vec<&str> = text.expose().split('-').collect();
        assert_eq!((parts[0], parts[1], parts.len()), ("cf", id.as_str(), 3));
        assert_eq!((parts[1].len(), parts[2].len() * 5), (12, 200));
        assert_ne!(text.expose(), KeyText::random(&id).unwrap().expose());
        assert_eq!(format!("{text:?} {:?}", text.digest()), "KeyText(<private 56 bytes>) <digest>");
    }

    #[test]
    fn the_digest_is_the_published_sha_256_of_every_byte() {
        let hex: String = Digest::of(b"abc").bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(Digest::of(b"abc").is(&Digest::of(b"abc")));
        assert!(!Digest::of(b"abc").is(&Digest::of(b"abcd")));
    }

    #[test]
    fn an_existing_key_is_long_enough_and_fits_in_a_header() {
        let existing = |text: &str| KeyText::existing(Private::new(text.to_owned())).is_some();
        assert!(existing("sk-canary-0123456789abcdef"));
        for text in ["", "short", "sk-canary 0123456789abcdef", "sk-canary-0123456789\u{e9}\u{e9}\u{e9}"] {
            assert!(!existing(text), "{text}");
        }
    }
}
