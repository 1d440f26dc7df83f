//! Functions of libraries that only have a vendor's name: what they do is what they are called.

use super::walk::{At, Walker};
use super::{Hit, Object, State};
use crate::scan::facts::Step;
use crate::scan::finding::Confidence;
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
}

/// Whether a method that follows calls the service.
fn is_begun(rules: &Rules, of: &str, rest: &[Step]) -> bool {
    rest.iter().any(|step| match step {
        Step::Member(name, _) => rules.of_type(of, name).is_some() || rules.by_word(name).is_some(),
        Step::Call(_) => false,
    })
}
