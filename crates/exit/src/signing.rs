//! Ed25519 (RFC 8032): who signed an export can be told by anybody who has the public half. Keys are PEM: the private one as PKCS #8 (RFC 8410, RFC 5958),
//! the public one as SubjectPublicKeyInfo, which OpenSSL reads: `openssl pkeyutl -verify -pubin -inkey signing.pub -rawin -in manifest.json -sigfile …`.

use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use wire::base64;
use wire::private::Private;

/// What stands before the 32 bytes of a public key (RFC 8410, §10.1).
const PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Text that is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It cannot be read as one.
    #[error("this is no Ed25519 key in PEM")]
    NoKey,
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    NoRandom,
}

/// The private half.
pub struct SigningKey(Ed25519KeyPair);

/// The public half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl SigningKey {
    /// A new one, as PEM.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn generate() -> Result<Private<String>, KeyError> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| KeyError::NoRandom)?;
        Ok(Private::new(pem("PRIVATE KEY", document.as_ref())))
    }

    /// Reads one.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_pem(text: &str) -> Result<SigningKey, KeyError> {
        let bytes = from_pem("PRIVATE KEY", text).ok_or(KeyError::NoKey)?;
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(&bytes).map(SigningKey).map_err(|_| KeyError::NoKey)
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        PublicKey(bytes)
    }

    /// The signature of a text: 64 bytes.
    #[must_use]
    pub fn sign(&self, text: &[u8]) -> Vec<u8> {
        self.0.sign(text).as_ref().to_vec()
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SigningKey").field(&self.public()).finish()
    }
}

impl PublicKey {
    /// As PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem("PUBLIC KEY", &[&PREFIX[..], &self.0].concat())
    }

    /// Reads one.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_pem(text: &str) -> Result<PublicKey, KeyError> {
        let bytes = from_pem("PUBLIC KEY", text).ok_or(KeyError::NoKey)?;
        let key = bytes.strip_prefix(&PREFIX[..]).ok_or(KeyError::NoKey)?;
        key.try_into().map(PublicKey).map_err(|_| KeyError::NoKey)
    }

    /// Whether this is its signature of this text.
    #[must_use]
    pub fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(text, signature).is_ok()
    }

    /// In hexadecimal, for people to compare.
    #[must_use]
    pub fn text(&self) -> String {
        crate::fetch::hex(&self.0)
    }
}

/// Textual encoding (RFC 7468).
fn pem(label: &str, bytes: &[u8]) -> String {
    let text = base64::encode(bytes);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn from_pem(label: &str, text: &str) -> Option<Vec<u8>> {
    let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    base64::decode(&body.split_ascii_whitespace().collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_from_its_text_and_signs_what_only_it_can() {
        let text = SigningKey::generate().unwrap();
        let key = SigningKey::from_pem(text.expose()).unwrap();
        let public = PublicKey::from_pem(&key.public().to_pem()).unwrap();
        let signature = key.sign(b"all of it");
        assert!(public.verify(b"all of it", &signature));
        assert!(!public.verify(b"all of them", &signature));
        let other = SigningKey::from_pem(SigningKey::generate().unwrap().expose()).unwrap();
        assert!(!other.public().verify(b"all of it", &signature));
        assert_eq!(
            PublicKey::from_pem("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"),
            Err(KeyError::NoKey)
        );
    }

    #[test]
    fn text_of_any_length_comes_back() {
        for n in 0..70_u8 {
            let bytes: Vec<u8> = (0..n).map(|byte| byte.wrapping_mul(37)).collect();
            assert_eq!(from_pem("X", &pem("X", &bytes)), Some(bytes));
        }
    }

    /// The test vector 2 of RFC 8032, §7.1.
    #[test]
    fn a_signature_of_the_rfc_holds() {
        let read = |text: &str| -> Vec<u8> {
            text.as_bytes()
                .chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
                .collect()
        };
        let key =
            PublicKey(read("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c").try_into().unwrap());
        let signature = read(concat!(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da",
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ));
        assert!(key.verify(&[0x72], &signature));
        assert!(!key.verify(&[0x73], &signature));
    }
}
