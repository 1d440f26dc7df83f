//! Rust: functions of libraries that only have a vendor's name do what they are called, and what leads to a call is none.

use super::walk::{At, Walker};
use super::{Hit, Object, State};
use crate::scan::facts::Step;
use crate::scan::finding::Confidence;
use crate::scan::language::Language;
use crate::scan::rules::Rules;

impl Walker<'_> {
    /// What a function of such a library does, or begins: `chat("model").send_message(…)`.
    pub(super) fn by_word<'f>(
        &self,
        sdks: &[usize],
        path: &str,
        at: &At<'_, 'f>,
        hits: &mut Option<&mut Vec<Hit<'f>>>,
    ) -> Option<State> {
        let rules = self.rules();
        let mut loose = sdks.iter().filter_map(|sdk| Some((*sdk, rules.sdks[*sdk].loose?)));
        let (sdk, of) = loose.next().filter(|_| !at.call.arguments.is_empty())?;
        let method = rules.function_by_word(path)?;
        let object = Object::new(of, sdk, rules.sdks[sdk].vendor);
        if is_begun(rules, of, at.rest) {
            return Some(State::Object(Object { confidence: Confidence::Likely, ..object }));
        }
        Some(self.does(method, &object, Confidence::Likely, at, hits))
    }

    /// Rust's `client.chat().create(…)`: what is called without anything only leads to what is called then.
    pub(super) fn is_group(&self, object: &Object, at: &At<'_, '_>) -> bool {
        let rules = self.rules();
        if self.language() != Language::Rust || !at.call.arguments.is_empty() || object.path.is_empty() {
            return false;
        }
        match at.rest.first() {
            Some(Step::Member(next, _)) => {
                let path = format!("{}.{next}", object.path);
                let is_loose = rules.loose.contains(&object.of) && rules.of_type(object.of, &object.path).is_none();
                rules.of_type(object.of, &path).is_some() || is_loose && rules.by_word(&path).is_some()
            }
            None => rules.sdks[object.sdk].is_named && rules.is_prefix(object.of, &object.path),
            Some(Step::Call(_)) => false,
        }
    }
}

/// Whether a method that follows calls the service.
fn is_begun(rules: &Rules, of: &str, rest: &[Step]) -> bool {
    rest.iter().any(|step| match step {
        Step::Member(name, _) => rules.of_type(of, name).is_some() || rules.by_word(name).is_some(),
        Step::Call(_) => false,
    })
}
