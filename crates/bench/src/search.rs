//! The most load that keeps to an objective: fourfold steps until one fails, then halves of what is between, on a ratio scale.
//!
//! A load is sustained when the lower end of Wilson's 95 % interval of its attainment reaches the share asked for: what is not shown is not
//! sustained, so that the answer errs low. Where the upper end of a narrow bracket showed neither, or a load before anything was sustained, and probes are left,
//! it is tried once more, and both tries count together; what shows neither then is near the answer, and half of it is next. A client that lags before anything was sustained is given one more try: less load would not mend what
//! ails it, and take longer. The search is pure; a [`Probe`] is a run on sockets, or a queue in virtual time in tests.

use serde::{Deserialize, Serialize};

use crate::result::short;
use crate::slo::{Attained, Slo, Verdict};

/// Tries one load.
pub trait Probe {
    /// Why it could not.
    type Error;

    /// What so much load came to.
    ///
    /// # Errors
    /// When nothing can be measured any more.
    fn probe(&mut self, load: f64) -> Result<Probed, Self::Error>;

    /// Is told which probe begins, and why at this load.
    fn begins(&mut self, _number: usize, _load: f64, _why: &str) {}

    /// Is told what came of a probe.
    fn ended(&mut self, _number: usize, _tried: &Tried) {}
}

/// What a probe saw.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Probed {
    /// Requests that met the objective.
    pub attained: Attained,
    /// The client could not send what it was to: no evidence.
    pub is_invalid: bool,
    /// Somebody stopped it.
    pub is_stopped: bool,
    /// There was not one whole answer: less load would bring none either.
    pub is_dead: bool,
}

/// Where to look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// The first load that is tried. Twelve probes end within 3 % of an answer from a quarter of it to 250 times as much.
    pub start: f64,
    /// No load above this is tried.
    pub most: f64,
    /// The bracket's ends are this close when the search ends: 0.03 for 3 %.
    pub tolerance: f64,
    /// Loads are whole numbers: answers under way at once.
    pub is_whole: bool,
    /// Probes at most.
    pub most_probes: usize,
    /// The load with which the question is answered: where it is held, nothing above it is tried. `None` where the most is looked for.
    pub enough: Option<f64>,
}

impl Default for Range {
    fn default() -> Range {
        Range { start: 1.0, most: 10_000.0, tolerance: 0.03, is_whole: false, most_probes: 12, enough: None }
    }
}

/// One probe, as it is printed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// How much.
    pub load: f64,
    /// Requests that met the objective, and all; of a load that was tried again because it showed neither, of both tries.
    pub attained: Attained,
    /// Wilson's 95 % interval of the share.
    pub interval: Option<(f64, f64)>,
    /// Whether that is shown, refuted or neither.
    pub verdict: Verdict,
    /// The client lagged: no evidence.
    pub is_invalid: bool,
}

/// Where the search ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bracket {
    /// The highest load that was sustained.
    pub sustained: Option<f64>,
    /// The lowest that was not.
    pub failed: Option<f64>,
    /// The client was the limit above `sustained`.
    pub is_client_bound: bool,
    /// Somebody stopped it.
    pub is_stopped: bool,
    /// Every probe, in order.
    pub tried: Vec<Tried>,
}

impl Bracket {
    /// How far the ends are apart, by the lower one.
    #[must_use]
    pub fn width(&self) -> Option<f64> {
        Some(self.failed? / self.sustained? - 1.0)
    }

    /// Whether the last try of this load showed neither that it is held nor that it is not.
    #[must_use]
    pub fn is_undecided_at(&self, load: f64) -> bool {
        is_undecided_at(&self.tried, load)
    }
}

fn tries_at(tried: &[Tried], load: f64) -> impl Iterator<Item = &Tried> {
    tried.iter().filter(move |tried| (tried.load - load).abs() < f64::EPSILON * load)
}

pub(crate) fn is_undecided_at(tried: &[Tried], load: f64) -> bool {
    tries_at(tried, load).last().is_some_and(|tried| tried.verdict == Verdict::Undecided && !tried.is_invalid)
}

/// Searches.
///
/// # Errors
/// When a probe cannot be made.
pub fn search<P: Probe>(range: Range, slo: &Slo, probe: &mut P) -> Result<Bracket, P::Error> {
    let mut found = Bracket::default();
    let (mut has_ended, mut again) = (false, None);
    while found.tried.len() < range.most_probes && !has_ended {
        let before = again.is_none().then(|| unsettled(&range, &found)).flatten();
        let Some(load) = again.or(before.map(|tried| tried.load)).or_else(|| next(&range, &found)) else { break };
        let number = found.tried.len() + 1;
        probe.begins(number, load, &why(&range, &found, load, (again.is_some(), before.is_some())));
        let Probed { mut attained, is_invalid, is_stopped, is_dead } = probe.probe(load)?;
        has_ended = is_dead && found.sustained.is_none();
        if is_stopped {
            found.is_stopped = true;
            break;
        }
        let has_lagged = is_invalid && found.sustained.is_none();
        has_ended |= has_lagged && again.is_some();
        again = has_lagged.then_some(load);
        if let Some(before) = before.filter(|_| !is_invalid) {
            attained.n_met += before.attained.n_met;
            attained.n_unseen += before.attained.n_unseen;
            attained.n += before.attained.n;
        }
        let verdict = if is_invalid { Verdict::Undecided } else { slo.judge(&attained) };
        let tried = Tried { load, attained, interval: attained.interval(), verdict, is_invalid };
        probe.ended(number, &tried);
        found.tried.push(tried);
        if verdict == Verdict::Pass {
            found.sustained = Some(found.sustained.map_or(load, |before| before.max(load)));
            found.is_client_bound &= found.failed.is_some();
            if before.is_some() {
                // What failed above it is the upper end again.
                let failed = found.tried.iter().filter(|tried| tried.load > load && tried.verdict != Verdict::Pass);
                let lowest = failed.min_by(|a, b| a.load.total_cmp(&b.load));
                (found.failed, found.is_client_bound) =
                    (lowest.map(|tried| tried.load), lowest.is_some_and(|tried| tried.is_invalid));
            }
        } else if has_lagged {
            found.is_client_bound = true;
        } else {
            let is_lowest = found.failed.is_none_or(|before| load < before);
            if is_lowest {
                found.failed = Some(load);
                found.is_client_bound = is_invalid;
            }
        }
    }
    Ok(found)
}

/// The upper end of a bracket that is narrow enough, or of nothing that was sustained yet, where its only try showed neither.
fn unsettled(range: &Range, found: &Bracket) -> Option<Tried> {
    let is_due = |_: &f64| !is_answered(range, found) && (found.sustained.is_none() || next(range, found).is_none());
    let failed = found.failed.filter(is_due)?;
    let mut tries = tries_at(&found.tried, failed);
    let only = tries.next().filter(|tried| tried.verdict == Verdict::Undecided && !tried.is_invalid)?;
    tries.next().is_none().then_some(*only)
}

/// Why this load is next.
fn why(range: &Range, found: &Bracket, load: f64, (has_lagged, is_again): (bool, bool)) -> String {
    let shown = |load: f64| short(load);
    match (found.sustained, found.failed) {
        _ if has_lagged => "once more: this process lagged".to_owned(),
        _ if is_again => "once more: it was neither shown to be held nor not to be".to_owned(),
        (None, None) => "where the search begins".to_owned(),
        (Some(held), None) if range.enough.is_some_and(|enough| load >= enough) => {
            format!("what is asked for, above {}, which was held", shown(held))
        }
        (Some(held), None) if load < held * 3.99 => {
            format!("the most that may be tried, above {}, which was held", shown(held))
        }
        (Some(held), None) => format!("four times {}, which was held", shown(held)),
        (None, Some(failed)) if found.is_undecided_at(failed) => {
            format!("half of {}, which showed neither", shown(failed))
        }
        (None, Some(failed)) => format!("a quarter of {}, which was not held", shown(failed)),
        (Some(held), Some(failed)) => {
            let word = match found.is_undecided_at(failed) {
                _ if found.is_client_bound => "at which this process lagged",
                true => "which showed neither",
                false => "which was not held",
            };
            format!("between {}, which was held, and {}, {word}", shown(held), shown(failed))
        }
    }
}

/// Whether the load that is asked for is held.
fn is_answered(range: &Range, found: &Bracket) -> bool {
    range.enough.zip(found.sustained).is_some_and(|(enough, sustained)| sustained >= enough)
}

/// The next load to try; `None` when the bracket is narrow enough, or what is asked for is held.
fn next(range: &Range, found: &Bracket) -> Option<f64> {
    let (start, most) = (range.start.min(range.most), range.most);
    let load = match (found.sustained, found.failed) {
        (None, None) => start,
        (Some(_), _) if is_answered(range, found) => return None,
        (Some(sustained), None) => {
            let most = range.enough.map_or(most, |enough| enough.min(most));
            (sustained < most).then(|| (sustained * 4.0).min(most))?
        }
        (None, Some(failed)) if found.is_undecided_at(failed) => failed / 2.0,
        (None, Some(failed)) => failed / 4.0,
        (Some(sustained), Some(failed)) => {
            (failed / sustained > 1.0 + range.tolerance).then(|| (sustained * failed).sqrt())?
        }
    };
    if !range.is_whole {
        return Some(load);
    }
    let whole = load.round();
    let is_between = found.sustained.is_none_or(|low| whole > low) && found.failed.is_none_or(|high| whole < high);
    match (found.sustained, found.failed) {
        // Nothing whole is in the middle: is there anything between?
        (Some(low), Some(high)) if !is_between => (high - low > 1.5).then_some(low + 1.0),
        _ => (whole >= 1.0 && is_between).then_some(whole),
    }
}

#[cfg(test)]
mod tests;
