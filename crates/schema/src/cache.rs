//! Compiled schemas, by the bytes they came as. An application sends the same few again and again.

use std::collections::HashMap;
use std::rc::Rc;

use crate::compile::{Compiled, Unvalidated, Verdict};

/// Schemas kept, those that could not be compiled included.
const MAX_KEPT: usize = 64;
/// Bytes of all schemas kept; compiled they take about twenty times as much.
const MAX_KEPT_BYTES: usize = 512 << 10;

/// Holds texts against schemas and keeps what it compiled. For one thread.
#[derive(Debug, Default)]
pub struct Validator {
    kept: HashMap<Box<[u8]>, Kept>,
    n_bytes: usize,
    clock: u64,
    n_compiled: u64,
}

#[derive(Debug)]
struct Kept {
    compiled: Result<Rc<Compiled>, Unvalidated>,
    used: u64,
}

impl Validator {
    /// Nothing compiled yet.
    #[must_use]
    pub fn new() -> Validator {
        Validator::default()
    }

    /// Holds `text` against `schema`. `None` when the text is not JSON.
    pub fn check(&mut self, schema: &[u8], text: &[u8]) -> Option<Verdict> {
        match self.compiled(schema) {
            Ok(compiled) => compiled.check(text),
            Err(_) if !wire::openai::well_formed(text) => None,
            Err(why) => Some(Verdict::Unknown(why)),
        }
    }

    /// How many schemas were compiled, again or for the first time.
    #[must_use]
    pub fn n_compiled(&self) -> u64 {
        self.n_compiled
    }

    fn compiled(&mut self, schema: &[u8]) -> Result<Rc<Compiled>, Unvalidated> {
        self.clock += 1;
        if let Some(kept) = self.kept.get_mut(schema) {
            kept.used = self.clock;
            return kept.compiled.clone();
        }
        self.n_compiled += 1;
        let compiled = Compiled::new(schema).map(Rc::new);
        // One that is too long is not kept: it costs nothing to refuse again.
        if compiled.as_ref().err() != Some(&Unvalidated::SchemaTooLong) {
            self.make_room(schema.len());
            self.n_bytes += schema.len();
            self.kept.insert(schema.into(), Kept { compiled: compiled.clone(), used: self.clock });
        }
        compiled
    }

    /// Forgets those that were not used for longest.
    fn make_room(&mut self, n_bytes: usize) {
        while self.kept.len() >= MAX_KEPT || (self.n_bytes + n_bytes > MAX_KEPT_BYTES && !self.kept.is_empty()) {
            let oldest = self.kept.iter().min_by_key(|(_, kept)| kept.used).map(|(schema, _)| schema.clone());
            let Some(oldest) = oldest else { return };
            self.kept.remove(&oldest);
            self.n_bytes -= oldest.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_compiled_once_and_the_one_least_used_is_forgotten() {
        let mut validator = Validator::new();
        let schema = |n: usize| format!(r#"{{"type":"integer","minimum":{n}}}"#);
        for _ in 0..3 {
            assert_eq!(validator.check(schema(5).as_bytes(), b"7"), Some(Verdict::Valid));
            assert!(matches!(validator.check(b"{\"type\":3}", b"7"), Some(Verdict::Unknown(Unvalidated::Schema))));
        }
        assert_eq!(validator.n_compiled(), 2);
        for n in 100..100 + MAX_KEPT - 1 {
            validator.check(schema(5).as_bytes(), b"7");
            validator.check(schema(n).as_bytes(), b"7");
        }
        assert_eq!(validator.kept.len(), MAX_KEPT);
        let before = validator.n_compiled();
        validator.check(schema(5).as_bytes(), b"7");
        assert_eq!(validator.n_compiled(), before, "still there");
        validator.check(b"{\"type\":3}", b"7");
        assert_eq!(validator.n_compiled(), before + 1, "forgotten");
    }

    #[test]
    fn what_is_kept_is_bounded_in_bytes() {
        let mut validator = Validator::new();
        for n in 0..20 {
            let schema = format!(r#"{{"description":"{}","minimum":{n}}}"#, "x".repeat(60_000));
            validator.check(schema.as_bytes(), b"3");
            assert!(validator.n_bytes <= MAX_KEPT_BYTES);
            assert_eq!(validator.n_bytes, validator.kept.keys().map(|schema| schema.len()).sum::<usize>());
        }
        assert_eq!(validator.kept.len(), MAX_KEPT_BYTES / 60_000);
    }
}
