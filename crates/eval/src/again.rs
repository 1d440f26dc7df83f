//! How likely an answer is right when it is asked for again: of the cases that were wrong every time until then. Seldom as likely as the first: what is
//! wrong once is of the hard ones.

use crate::results::{Results, Yardstick};

/// Of so many cases so many were right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// Right this time.
    pub right: u64,
    /// Asked this time, and wrong every time before.
    pub of: u64,
}

/// The first attempt, the second of those that were wrong at first, and so on, of a run that asked each case several times. Cases of which an answer has no
/// number are left out. `None` where answers are not right or wrong by this yardstick.
#[must_use]
pub fn again(results: &Results, yardstick: &Yardstick, target_idx: usize) -> Option<Vec<Counted>> {
    let range = yardstick.gains();
    if (range.high - range.low - 1.0).abs() > f64::EPSILON {
        return None;
    }
    let mut cases = Vec::new();
    for case_idx in 0..results.cases.len() {
        let Ok(worths) = results.worths(yardstick, case_idx, target_idx) else { continue };
        let outcome = |worth: &f64| {
            let gained = yardstick.gain(0.0, *worth) - range.low;
            [(0.0, false), (1.0, true)].into_iter().find(|(at, _)| (gained - at).abs() < 1e-9).map(|(_, right)| right)
        };
        cases.push(worths.iter().map(outcome).collect::<Option<Vec<bool>>>()?);
    }
    Some(chain(&cases))
}

fn chain(cases: &[Vec<bool>]) -> Vec<Counted> {
    let mut counted = Vec::<Counted>::new();
    for case in cases {
        for (idx, right) in case.iter().enumerate() {
            if counted.len() <= idx {
                counted.push(Counted::default());
            }
            counted[idx].of += 1;
            counted[idx].right += u64::from(*right);
            if *right {
                break;
            }
        }
    }
    counted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_of_the_cases_that_were_wrong_until_then() {
        let (yes, no) = (true, false);
        let cases = [vec![yes, no, yes], vec![no, yes, no], vec![no, no, no], vec![no, no, yes], vec![yes, yes, yes]];
        let counted: Vec<(u64, u64)> = chain(&cases).iter().map(|one| (one.right, one.of)).collect();
        assert_eq!(counted, [(2, 5), (1, 3), (1, 2)]);
        assert!(chain(&[]).is_empty());
    }
}
