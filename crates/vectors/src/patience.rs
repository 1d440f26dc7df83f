//! The same again, while a store is only busy or away.

use std::thread::sleep;

use ring::rand::{SecureRandom, SystemRandom};

use crate::retry::{self, Next, Trouble};

/// Does something as often as it takes, if what it fails with passes by itself.
///
/// # Errors
/// What does not pass, or not soon enough.
pub(crate) fn again<T>(mut does: impl FnMut() -> Result<T, Trouble>) -> Result<T, Trouble> {
    let mut n_tries = 0;
    loop {
        let trouble = match does() {
            Ok(done) => return Ok(done),
            Err(trouble) => trouble,
        };
        n_tries += 1;
        match retry::next(trouble.class, n_tries, 1, random()) {
            Next::Again(wait) => sleep(trouble.wait(wait)),
            _ => return Err(trouble),
        }
    }
}

/// How long at most something is tried again, all waits at their longest.
#[cfg(test)]
pub(crate) fn longest_wait() -> std::time::Duration {
    let mut sum = std::time::Duration::ZERO;
    for n_tries in 1.. {
        match retry::next(retry::Class::Transient, n_tries, 1, 1.0) {
            Next::Again(wait) => sum += wait,
            _ => break,
        }
    }
    sum
}

/// From 0 to 1.
pub(crate) fn random() -> f64 {
    let mut bytes = [0_u8; 4];
    // Without randomness from the system the wait is the whole of its span.
    if SystemRandom::new().fill(&mut bytes).is_err() {
        return 1.0;
    }
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}
