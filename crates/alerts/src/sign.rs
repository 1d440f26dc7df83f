//! The signature of a webhook, as Standard Webhooks has it (specification 1.0.0, "Signature scheme"): HMAC-SHA256 over the id, the
//! time and the body, joined by full stops, in base64 behind `v1,`.

use sha2::{Digest, Sha256};
use wire::base64;
use wire::private::Private;

/// SHA-256 works on blocks of this many bytes.
const BLOCK: usize = 64;
/// A shorter secret can be guessed.
const SHORTEST: usize = 16;
/// What a secret in base64 begins with.
const PREFIX: &str = "whsec_";

/// What a webhook's messages are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Private<Vec<u8>>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a text is no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// It begins as one in base64 and is not base64.
    #[error("what follows `whsec_` is not base64")]
    NotBase64,
    /// It can be guessed.
    #[error("a secret has at least 16 bytes; this one has {0}")]
    TooShort(usize),
}

impl Secret {
    /// Reads a secret: `whsec_` and base64, as receivers' libraries expect it, or any other text as it is.
    ///
    /// # Errors
    /// When it is short, or no base64 where it should be.
    pub fn parse(text: &str) -> Result<Secret, SecretError> {
        let bytes = match text.strip_prefix(PREFIX) {
            Some(encoded) => base64::decode(encoded).ok_or(SecretError::NotBase64)?,
            None => text.as_bytes().to_vec(),
        };
        if bytes.len() < SHORTEST {
            return Err(SecretError::TooShort(bytes.len()));
        }
        Ok(Secret(Private::new(bytes)))
    }

    /// What the header `webhook-signature` says of this message.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp_s: u64, body: &[u8]) -> String {
        let head = format!("{id}.{timestamp_s}.");
        format!("v1,{}", base64::encode(&hmac_sha256(self.0.expose(), &[head.as_bytes(), body])))
    }
}

/// HMAC (RFC 2104) with SHA-256: `H((K ^ opad) || H((K ^ ipad) || text))`, `ipad` being 0x36 and `opad` 0x5c repeated, and a key
/// that is longer than a block hashed first.
fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut block = [0_u8; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner =
        parts.iter().fold(Sha256::new_with_prefix(block.map(|byte| byte ^ 0x36)), |hash, part| hash.chain_update(part));
    Sha256::new_with_prefix(block.map(|byte| byte ^ 0x5c)).chain_update(inner.finalize()).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &[u8], text: &[u8], expected: &str) {
        let hex: String = hmac_sha256(key, &[text]).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected);
    }

    #[test]
    fn the_vectors_of_rfc_4231_come_out() {
        check(&[0x0b; 20], b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
        check(
            b"Jefe",
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        );
        check(
            &[0xaa; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        );
    }

    #[test]
    fn a_message_is_signed_as_receivers_libraries_check_it() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_is_long_and_prints_its_length_only() {
        assert_eq!(Secret::parse("whsec_***"), Err(SecretError::NotBase64));
        assert_eq!(Secret::parse("short"), Err(SecretError::TooShort(5)));
        assert_eq!(Secret::parse("whsec_c2hvcnQ="), Err(SecretError::TooShort(5)));
        let secret = Secret::parse("canary-0123456789").unwrap();
        assert!(!format!("{secret:?}").contains("canary"));
    }
}
