//! Which requests are copied, and what kind of request each is. The draw is a hash of the request under a salt of its rollout: it
//! depends on nothing that an answer could, and its chance is kept with the pair.

use std::sync::Arc;

use http::HeaderMap;
use rollout::assign::SHADOW;
use rollout::coverage::{size_bucket, stratum};
use wire::ids::ExchangeId;
use wire::scan;

use super::settings::ShadowSettings;
use crate::parse::Parsed;

/// The purpose of the hash that decides whose baseline is asked again.
const NOISE: &str = "noise";

/// A longer task label is cut.
const LONGEST_TASK: usize = 48;

/// The header that says what a request is for.
const TASK_HEADER: &str = "x-crossfade-task";

/// What kind of request it is, as the shadow's coverage is counted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stratum {
    /// All of it as one word.
    pub(crate) name: String,
    pub(crate) size: &'static str,
    pub(crate) task: Option<String>,
    pub(crate) streamed: bool,
}

impl Stratum {
    /// As it was written down.
    pub(super) fn again(size: &str, task: Option<String>, streamed: bool) -> Arc<Self> {
        Self::named(
            rollout::coverage::SIZE_NAMES.into_iter().find(|name| *name == size).unwrap_or("0k"),
            task,
            streamed,
        )
    }

    pub(crate) fn of(size: usize, task: Option<String>, streamed: bool) -> Arc<Self> {
        Self::named(size_bucket(size), task, streamed)
    }

    fn named(size: &'static str, task: Option<String>, streamed: bool) -> Arc<Self> {
        Arc::new(Self { name: stratum(size, task.as_deref(), streamed), size, task, streamed })
    }
}

/// That a request is copied for one rollout.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Drawn {
    /// The chance it had.
    pub(crate) probability: f64,
    /// Whether the baseline is asked again.
    pub(crate) duplicate: bool,
}

/// Draws by request, so that a sample below 1 is spread over all units.
pub(crate) fn draw(
    salt: &str,
    id: ExchangeId,
    (sample, task): (f64, Option<&str>),
    settings: Option<&ShadowSettings>,
) -> Option<Drawn> {
    let of_task = task.and_then(|task| settings?.task_samples.get(task));
    let probability = of_task.copied().unwrap_or(sample);
    if !is_drawn(salt, SHADOW, id, probability) {
        return None;
    }
    let duplicate = settings.is_some_and(|settings| is_drawn(salt, NOISE, id, settings.noise_duplicate));
    Some(Drawn { probability, duplicate })
}

/// Whether a request is drawn for one purpose.
pub(super) fn is_drawn(salt: &str, purpose: &str, id: ExchangeId, fraction: f64) -> bool {
    fraction > 0.0
        && rollout::assign::arm(rollout::assign::position(salt, purpose, &id.to_bytes()), fraction, 0.0)
            == rollout::Arm::Candidate
}

/// What the caller says a request is for: a header, else `metadata.task`. Letters, digits, dots, dashes and underscores, at most
/// forty-eight; others become underscores.
pub(crate) fn task(headers: &HeaderMap, request: &Parsed) -> Option<String> {
    if let Some(task) = headers.get(TASK_HEADER).and_then(|value| value.to_str().ok()) {
        return label(task);
    }
    let body = &request.body;
    let (_, field) = request.view.named(body, "metadata").last()?;
    let mut found = None;
    // What cannot be read has no label.
    scan::each_member(body, field.value.clone(), |member| {
        if member.key == "task" && member.kind == scan::Kind::String {
            found = scan::unescape(body, member.value).ok().and_then(|task| label(&task));
        }
        Ok(())
    })
    .ok()?;
    found
}

fn label(task: &str) -> Option<String> {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || ".-_".contains(letter) { letter } else { '_' };
    let label: String = task.trim().chars().take(LONGEST_TASK).map(plain).collect();
    (!label.is_empty()).then_some(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn_of(n: u64, sample: (f64, Option<&str>), settings: &ShadowSettings) -> Vec<Drawn> {
        let ids = (0..n).map(|n| {
            let mut random = [0; 10];
            random[..8].copy_from_slice(&n.to_le_bytes());
            ExchangeId::new(1_700_000_000_000 + n, random)
        });
        ids.filter_map(|id| draw("rollout-1", id, sample, Some(settings))).collect()
    }

    #[test]
    fn as_many_are_drawn_as_the_sample_says_and_each_knows_its_chance() {
        let settings = ShadowSettings { noise_duplicate: 0.1, ..ShadowSettings::default() };
        let drawn = drawn_of(20_000, (0.25, None), &settings);
        assert!((4_750..5_250).contains(&drawn.len()), "{}", drawn.len());
        assert!(drawn.iter().all(|drawn| drawn.probability == 0.25));
        let twice = drawn.iter().filter(|drawn| drawn.duplicate).count();
        assert!((400..600).contains(&twice), "independent of the draw: {twice}");
        assert_eq!(drawn_of(1000, (0.0, None), &settings), []);
        assert_eq!(drawn_of(1000, (1.0, None), &settings).len(), 1000);
    }

    #[test]
    fn a_task_may_have_a_sample_of_its_own() {
        let task_samples = [("legal".to_owned(), 1.0)].into();
        let settings = ShadowSettings { task_samples, ..ShadowSettings::default() };
        let legal = drawn_of(1000, (0.1, Some("legal")), &settings);
        assert_eq!((legal.len(), legal[0].probability), (1000, 1.0));
        assert!(drawn_of(1000, (0.1, Some("chat")), &settings).len() < 200);
    }

    #[test]
    fn a_label_quotes_nothing_that_could_be_a_path() {
        assert_eq!(label(" sum/mary\n"), Some("sum_mary".to_owned()));
        assert_eq!(label("  "), None);
        assert_eq!(label(&"x".repeat(100)).unwrap().len(), LONGEST_TASK);
    }
}
