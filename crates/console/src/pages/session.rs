//! Who sits in front of the browser: sessions by cookie, tokens for forms, and how often a key may be tried.
//!
//! A session keeps the text of the key it was opened with, in memory alone, and every request holds it against the table of keys again: a key that
//! is revoked, has ended or is used from elsewhere ends its session with it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use operations::Secret;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};

/// How long a session lasts at most.
pub(super) const LIFETIME: Duration = Duration::from_secs(12 * 3600);
/// So many at once; the oldest ends for one more.
const MOST_SESSIONS: usize = 1000;
/// So many wrong keys from one address within [`WINDOW`].
const MOST_TRIES: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// So many addresses are kept in mind.
const MOST_ADDRESSES: usize = 10_000;

/// Everything that is kept of browsers.
pub(crate) struct Sessions {
    random: SystemRandom,
    /// What tokens of forms are made with; another one in every process.
    forms: hmac::Key,
    open: Mutex<HashMap<[u8; 32], Open>>,
    tries: Mutex<HashMap<IpAddr, (Instant, u32)>>,
}

struct Open {
    key: Secret,
    since: Instant,
}

/// The system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random bytes")]
pub(crate) struct NoRandom;

impl Sessions {
    pub(crate) fn new() -> Result<Sessions, NoRandom> {
        let random = SystemRandom::new();
        let forms = hmac::Key::generate(hmac::HMAC_SHA256, &random).map_err(|_| NoRandom)?;
        Ok(Sessions { random, forms, open: Mutex::default(), tries: Mutex::default() })
    }

    /// A new value for the cookie.
    pub(super) fn new_id(&self) -> Result<String, NoRandom> {
        let mut bytes = [0; 32];
        self.random.fill(&mut bytes).map_err(|_| NoRandom)?;
        Ok(hex(&bytes))
    }

    /// Opens a session under a new value for the cookie.
    pub(super) fn begin(&self, key: Secret, now: Instant) -> Result<String, NoRandom> {
        let id = self.new_id()?;
        let mut open = lock(&self.open);
        open.retain(|_, session| now.duration_since(session.since) < LIFETIME);
        if open.len() >= MOST_SESSIONS
            && let Some(oldest) = open.iter().min_by_key(|(_, session)| session.since).map(|(id, _)| *id)
        {
            open.remove(&oldest);
        }
        open.insert(digest(&id), Open { key, since: now });
        Ok(id)
    }

    /// The key of the session that this cookie names.
    pub(super) fn key(&self, id: &str, now: Instant) -> Option<Secret> {
        let open = lock(&self.open);
        let session = open.get(&digest(id))?;
        (now.duration_since(session.since) < LIFETIME).then(|| session.key.clone())
    }

    /// Ends the session that this cookie names.
    pub(super) fn end(&self, id: &str) {
        lock(&self.open).remove(&digest(id));
    }

    /// What a form that is shown to the holder of this cookie carries.
    pub(super) fn form_token(&self, id: &str) -> String {
        hex(hmac::sign(&self.forms, id.as_bytes()).as_ref())
    }

    /// Whether a form was shown to the holder of this cookie; in a time that does not tell how far it is right.
    pub(super) fn is_form_token(&self, id: &str, token: &str) -> bool {
        bytes(token).is_some_and(|token| hmac::verify(&self.forms, id.as_bytes(), &token).is_ok())
    }

    /// Whether another key may be tried from this address.
    pub(super) fn may_try(&self, from: IpAddr, now: Instant) -> bool {
        let tries = lock(&self.tries);
        tries.get(&from).is_none_or(|(since, n)| *n < MOST_TRIES || now.duration_since(*since) >= WINDOW)
    }

    /// Counts a wrong key.
    pub(super) fn note_failure(&self, from: IpAddr, now: Instant) {
        let mut tries = lock(&self.tries);
        tries.retain(|_, (since, _)| now.duration_since(*since) < WINDOW);
        if tries.len() < MOST_ADDRESSES || tries.contains_key(&from) {
            tries.entry(from).or_insert((now, 0)).1 += 1;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sessions are found by this, so that how long the search takes says nothing of the cookie.
fn digest(id: &str) -> [u8; 32] {
    Sha256::digest(id.as_bytes()).into()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes();
    let pairs = digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    (digits.len() == 64).then(|| pairs.collect()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn a_session_ends_by_itself_and_by_sign_out() {
        let (sessions, now) = (Sessions::new().unwrap(), Instant::now());
        let id = sessions.begin(secret("key"), now).unwrap();
        assert!(sessions.key(&id, now).is_some() && sessions.key("other", now).is_none());
        assert!(sessions.key(&id, now + LIFETIME).is_none());
        sessions.end(&id);
        assert!(sessions.key(&id, now).is_none());
    }

    #[test]
    fn the_oldest_session_ends_for_one_too_many() {
        let (sessions, now) = (Sessions::new().unwrap(), Instant::now());
        let first = sessions.begin(secret("key"), now).unwrap();
        let later = now + Duration::from_secs(1);
        let rest: Vec<String> = (0..MOST_SESSIONS).map(|_| sessions.begin(secret("key"), later).unwrap()).collect();
        assert!(sessions.key(&first, later).is_none());
        assert!(rest.iter().all(|id| sessions.key(id, later).is_some()));
    }

    #[test]
    fn a_form_is_of_one_cookie_and_one_process() {
        let (here, there) = (Sessions::new().unwrap(), Sessions::new().unwrap());
        let token = here.form_token("cookie");
        assert!(here.is_form_token("cookie", &token));
        assert!(!here.is_form_token("another", &token) && !there.is_form_token("cookie", &token));
        for wrong in ["", "00", "é", &token[1..], &format!("{token}0"), &token.replace(|_| true, "z")] {
            assert!(!here.is_form_token("cookie", wrong), "{wrong}");
        }
    }

    #[test]
    fn ten_wrong_keys_of_one_address_are_enough_for_a_minute() {
        let (sessions, now) = (Sessions::new().unwrap(), Instant::now());
        let [here, there] = [[127, 0, 0, 1], [127, 0, 0, 2]].map(IpAddr::from);
        for _ in 0..MOST_TRIES {
            assert!(sessions.may_try(here, now));
            sessions.note_failure(here, now);
        }
        assert!(!sessions.may_try(here, now) && sessions.may_try(there, now));
        assert!(sessions.may_try(here, now + WINDOW));
    }
}
