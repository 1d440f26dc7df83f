//! Requests of another day: when they came and how long they and their answers were, from a trace file or from the record. No text is in here, so
//! none can be sent.

use std::time::Duration;

use super::lineage::{Lineage, lineages};
use crate::clock::{seconds, whole};

/// One request of a trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// When it came, since the first.
    pub at: Duration,
    /// Tokens of its prompt.
    pub input: u64,
    /// Tokens of its answer.
    pub output: u64,
    /// Tokens at the prompt's beginning that came from a cache.
    pub shared: u64,
    /// Where its words are from, so that as many come from one again.
    pub lineage: Lineage,
}

/// What is wrong with a trace file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    /// A line is no request.
    #[error("line {line}: `{text}` is no request")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What it says.
        text: String,
    },
    /// There is none.
    #[error("there are no requests in it")]
    Empty,
}

/// Reads CSV of `TIMESTAMP,ContextTokens,GeneratedTokens` (the form of the Azure LLM inference traces): a moment or seconds, tokens of the prompt and of
/// the answer. The first line may be a heading. Lines in any order; what comes back is ordered and begins at 0.
///
/// # Errors
/// When a line is no request, or there is none.
pub fn read(text: &str) -> Result<Vec<Shape>, TraceError> {
    let mut found: Vec<(f64, u64, u64)> = Vec::new();
    for (idx, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match request(line) {
            Some(request) => found.push(request),
            None if idx == 0 => {}
            None => return Err(TraceError::Line { line: idx + 1, text: line.chars().take(80).collect() }),
        }
    }
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    let first = found.first().ok_or(TraceError::Empty)?.0;
    let shape = |(idx, &(at, input, output)): (usize, &(f64, u64, u64))| Shape {
        at: seconds(at - first),
        input,
        output,
        shared: 0,
        lineage: Lineage::alone(idx, input.max(1)),
    };
    Ok(found.iter().enumerate().map(shape).collect())
}

fn request(line: &str) -> Option<(f64, u64, u64)> {
    let mut fields = line.split(',').map(str::trim);
    let at = moment(fields.next()?)?;
    let mut tokens = || fields.next()?.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0).map(whole);
    Some((at, tokens()?, tokens()?))
}

/// `2023-11-16 18:17:03.9799600`, also with a `T` and a `Z`, or seconds.
fn moment(text: &str) -> Option<f64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Some(seconds).filter(|seconds| seconds.is_finite());
    }
    let (day, time) = text.trim_end_matches('Z').split_once([' ', 'T'])?;
    let mut parts = day.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let mut parts = time.split(':').map(|part| part.parse::<f64>().ok().filter(|part| *part >= 0.0));
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let is_date = (1..=12).contains(&month) && (1..=31).contains(&day);
    is_date.then(|| days(year, month, day) as f64 * 86_400.0 + hour * 3_600.0 + minute * 60.0 + second)
}

/// Days from 1970-01-01 to this one of the Gregorian calendar (the era algorithm of Hinnant 2013). Checked by hand: 2000-03-01 is 11017.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// A request on record: when it came in Unix microseconds, its tokens and those of its answer, those of it from a cache, and whose it is.
pub type Recorded = (u64, u64, u64, u64, u64);

/// The same of requests on record, in the order they came.
///
/// # Errors
/// When there are none.
pub fn of_record(recorded: &[Recorded]) -> Result<Vec<Shape>, TraceError> {
    let mut recorded = recorded.to_vec();
    recorded.sort_by_key(|request| request.0);
    let first = recorded.first().ok_or(TraceError::Empty)?.0;
    let requests: Vec<_> = recorded.iter().map(|request| (request.1.max(1), request.3, request.4)).collect();
    let shape = |(&(at_us, input, output, cached, _), lineage): (&Recorded, Lineage)| Shape {
        at: Duration::from_micros(at_us - first),
        input,
        output,
        shared: cached.min(input),
        lineage,
    };
    Ok(recorded.iter().zip(lineages(&requests)).map(shape).collect())
}

/// The same, so many times as fast.
#[must_use]
pub fn at_speed(shapes: Vec<Shape>, speed: f64) -> Vec<Shape> {
    let faster = |shape: Shape| Shape { at: seconds(shape.at.as_secs_f64() / speed), ..shape };
    shapes.into_iter().map(faster).collect()
}

/// Variance of the counts in whole windows of this length, by their mean: 1 for Poisson arrivals, more for bursts. `None` without a whole window.
#[must_use]
pub fn dispersion(moments: &[Duration], window: Duration) -> Option<f64> {
    let of = |at: &Duration| crate::clock::place(at.as_secs_f64() / window.as_secs_f64());
    let mut counts = vec![0.0_f64; moments.iter().map(of).max()?];
    for idx in moments.iter().map(of) {
        if let Some(count) = counts.get_mut(idx) {
            *count += 1.0;
        }
    }
    let n = counts.len() as f64;
    let mean = counts.iter().sum::<f64>() / n;
    (mean > 0.0).then(|| counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / n / mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_read_ordered_and_begins_at_its_first_request() {
        let text =
            "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:05.5,200,20\n2023-11-16T18:17:03.5Z,100,10\n\n";
        let shapes = read(text).unwrap();
        let seen: Vec<_> = shapes.iter().map(|shape| (shape.at.as_millis(), shape.input, shape.output)).collect();
        assert_eq!(seen, [(0, 100, 10), (2000, 200, 20)]);
        assert_eq!(read("0.5,1,2\n1.5, 3, 4").unwrap()[1].at, Duration::from_secs(1));
        assert_eq!(at_speed(shapes, 4.0)[1].at, Duration::from_millis(500));
    }

    #[test]
    fn what_is_no_request_is_said_with_its_line() {
        assert_eq!(read("a,b,c\n"), Err(TraceError::Empty));
        assert_eq!(read("1,2,3\nx,2,3"), Err(TraceError::Line { line: 2, text: "x,2,3".to_owned() }));
        assert_eq!(read("1,2,3\n2,-1,3").unwrap_err().to_string(), "line 2: `2,-1,3` is no request");
        assert_eq!((days(2000, 3, 1), days(1970, 1, 1), days(1969, 12, 31)), (11_017, 0, -1));
    }

    #[test]
    fn bursts_are_seen_in_the_dispersion_of_counts() {
        use crate::arrivals::{Arrivals, Pattern};
        let of = |pattern| {
            let moments: Vec<_> = Arrivals::new(pattern, 100.0, 5).take(50_000).collect();
            dispersion(&moments, Duration::from_secs(1)).unwrap()
        };
        assert!((of(Pattern::Poisson) - 1.0).abs() < 0.15);
        assert!(of(Pattern::Gamma { cv: 3.0 }) > 5.0);
        assert!(of(Pattern::Constant) < 0.1);
    }
}
