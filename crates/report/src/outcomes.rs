//! Business outcomes from files of the user: one row per ticket, call or case, with the arm that served it and what came of it.

use std::collections::BTreeMap;

use serde::Serialize;
use stats::equivalence::Moments;
use stats::interval::wilson;
use stats::special::{normal_quantile, student_quantile};

use crate::csv;
use crate::figure::{Figure, Unit};
use crate::rows::{Rows, Upload};

/// Rows that are named of those that are left out.
const MOST_NAMED: usize = 5;
/// Every interval's.
const ALPHA: f64 = 0.05;

/// What a file says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcomes {
    /// The file.
    pub source: String,
    /// The workload or route it is of, where somebody said so.
    pub of: Option<String>,
    /// Metric by metric, over all and by cohort.
    pub lines: Vec<Line>,
    /// Rows that are left out, the first of them by name.
    pub bad: Vec<String>,
    /// How many.
    pub n_bad: u64,
}

/// A metric of a cohort, or of all.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// The metric.
    pub metric: String,
    /// The cohort; all where it is not said.
    pub cohort: Option<String>,
    /// Rows of the baseline and of the candidate.
    pub n: (u64, u64),
    /// The baseline's mean.
    pub baseline: Figure,
    /// The candidate's.
    pub candidate: Figure,
    /// The candidate less the baseline.
    pub difference: Figure,
    /// `better`, `worse`, `no difference shown`, or `differs` where nobody knows which way is better.
    pub says: &'static str,
}

/// Values of a row, by metric.
type Values<'m> = Vec<(&'m str, f64)>;

/// Values of a metric at the baseline and at the candidate.
type Both = [Vec<f64>; 2];

struct Read {
    values: BTreeMap<(String, Option<String>), Both>,
    bad: Vec<String>,
    n_bad: u64,
}

/// Why a file cannot be joined; `None` when it can.
#[must_use]
pub fn refused(upload: &Upload) -> Option<String> {
    let read = match read(upload) {
        Ok(read) => read,
        Err(why) => return Some(why),
    };
    for (side, name) in ["baseline", "candidate"].into_iter().enumerate() {
        if read.values.values().all(|both| both[side].is_empty()) {
            let bad =
                read.bad.first().map(|bad| format!("; the first row that is left out: {bad}")).unwrap_or_default();
            return Some(format!("it has no row of the arm `{name}`, so there is nothing to compare{bad}"));
        }
    }
    None
}

/// What the file at this place says. One that cannot be read was refused before: here it says so.
pub(crate) fn outcomes(idx: usize, upload: &Upload, of: Option<&String>) -> Outcomes {
    let file = Rows::outcome_file(idx);
    let read = read(upload).unwrap_or_else(|why| Read { values: BTreeMap::new(), bad: vec![why], n_bad: 1 });
    let lines = read.values.iter().enumerate().map(|(line_idx, ((metric, cohort), both))| {
        line(&format!("o{}.{}", idx + 1, line_idx + 1), (metric, cohort.as_ref()), both, &file)
    });
    Outcomes {
        source: upload.source.clone(),
        of: of.cloned(),
        lines: lines.collect(),
        bad: read.bad,
        n_bad: read.n_bad,
    }
}

fn read(upload: &Upload) -> Result<Read, String> {
    let mut rows = csv::rows(&upload.text)?.into_iter();
    let (_, headings) = rows.next().ok_or("it is empty")?;
    let headings: Vec<String> = headings.iter().map(|heading| heading.trim().to_lowercase()).collect();
    let place = |name: &str| headings.iter().position(|heading| heading == name);
    let arm = place("arm").ok_or("it has no column `arm` (with `baseline` and `candidate`)")?;
    let cohort = place("cohort");
    let metrics: Vec<(usize, &String)> = headings
        .iter()
        .enumerate()
        .filter(|(idx, name)| {
            *idx != arm && Some(*idx) != cohort && !matches!(name.as_str(), "id" | "ticket" | "date" | "")
        })
        .collect();
    if metrics.is_empty() {
        return Err("it has no column of a metric beside `arm` and `cohort`".to_owned());
    }
    let mut read = Read { values: BTreeMap::new(), bad: Vec::new(), n_bad: 0 };
    for (line, cells) in rows {
        match row(&cells, (headings.len(), arm), &metrics) {
            Ok((side, values)) => {
                let of = cohort.map(|idx| cells[idx].trim().to_owned()).filter(|name| !name.is_empty());
                for (metric, value) in values {
                    let mut put = |cohort: Option<String>| {
                        let both = read.values.entry((metric.to_owned(), cohort)).or_default();
                        both[side].push(value);
                    };
                    put(None);
                    if let Some(of) = &of {
                        put(Some(of.clone()));
                    }
                }
            }
            Err(why) => {
                read.n_bad += 1;
                if read.bad.len() < MOST_NAMED {
                    read.bad.push(format!("line {line}: {why}"));
                }
            }
        }
    }
    Ok(read)
}

/// The side of a row, and its values by metric; an empty cell is no value.
fn row<'m>(
    cells: &[String],
    (n_columns, arm): (usize, usize),
    metrics: &[(usize, &'m String)],
) -> Result<(usize, Values<'m>), String> {
    if cells.len() != n_columns {
        return Err(format!("{} columns, where the headings are {n_columns}", cells.len()));
    }
    let side = match cells[arm].trim().to_lowercase().as_str() {
        "baseline" => 0,
        "candidate" => 1,
        other => return Err(format!("arm `{other}` is neither `baseline` nor `candidate`")),
    };
    let mut values = Vec::new();
    for (idx, name) in metrics {
        let value = match cells[*idx].trim().to_lowercase().as_str() {
            "" => continue,
            "true" | "yes" => 1.0,
            "false" | "no" => 0.0,
            text => {
                let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
                number.ok_or_else(|| format!("`{text}` under `{name}` is no number"))?
            }
        };
        values.push((name.as_str(), value));
    }
    Ok((side, values))
}

fn line(id: &str, (metric, cohort): (&str, Option<&String>), both: &Both, file: &str) -> Line {
    let is_rate = both.iter().flatten().all(|value| *value == 0.0 || *value == 1.0);
    let moments = [0, 1].map(|side| Moments::of(&both[side]));
    let mean = |side: usize| (!both[side].is_empty()).then_some(moments[side].mean);
    let difference = mean(1).zip(mean(0)).map(|(candidate, baseline)| candidate - baseline);
    let (ends, kind) = if is_rate {
        (newcombe(both), "95 %, Newcombe from Wilson's intervals")
    } else {
        (welch(&moments), "95 %, Welch")
    };
    let (of, by) = if is_rate { (Unit::Share, Unit::Points) } else { (Unit::Value, Unit::Value) };
    let figure = |name: &str, value, unit| {
        Figure::new(format!("{id}.{name}"), format!("{metric}: {name}"), value, unit).of(file)
    };
    let shown = figure("difference", difference, by).between(ends.map(|ends| ends.0), ends.map(|ends| ends.1), kind);
    // What is undone is worse the more there is of it: `unresolved`, `dissatisfied`.
    let is_undone = ["unresol", "unsolv", "dissatis", "unsatis", "unsuccess", "undeflect"];
    let lower_is_better = ["time", "duration", "cost", "escalat", "reopen", "error", "complaint", "transfer", "churn"]
        .iter()
        .chain(&is_undone)
        .any(|part| metric.contains(part));
    let higher_is_better = ["deflect", "resol", "solved", "satisf", "csat", "nps", "success", "conversion"]
        .iter()
        .any(|part| metric.contains(part));
    let says = match ends {
        Some((low, high)) if low > 0.0 || high < 0.0 => match (lower_is_better, higher_is_better) {
            // Of a name that speaks of both, the time decides: `resolution_time`.
            (true, _) => {
                if high < 0.0 {
                    "better"
                } else {
                    "worse"
                }
            }
            (false, true) => {
                if low > 0.0 {
                    "better"
                } else {
                    "worse"
                }
            }
            (false, false) => "differs",
        },
        Some(_) => "no difference shown",
        None => "too few rows",
    };
    Line {
        metric: metric.to_owned(),
        cohort: cohort.cloned(),
        n: (both[0].len() as u64, both[1].len() as u64),
        baseline: figure("baseline", mean(0), of),
        candidate: figure("candidate", mean(1), of),
        difference: shown,
        says,
    }
}

/// Newcombe's hybrid score interval of a difference of two rates (Statistics in Medicine 17, 1998, method 10).
fn newcombe(both: &Both) -> Option<(f64, f64)> {
    let z = -normal_quantile(0.5 * ALPHA);
    let [one, other] = [0, 1].map(|side| {
        let n = both[side].len() as u64;
        let hits = both[side].iter().filter(|value| **value == 1.0).count() as u64;
        wilson(hits, n, z).map(|(low, high)| (hits as f64 / n as f64, low, high))
    });
    let ((baseline, b_low, b_high), (candidate, c_low, c_high)) = one.zip(other)?;
    let difference = candidate - baseline;
    let low = difference - ((candidate - c_low).powi(2) + (b_high - baseline).powi(2)).sqrt();
    let high = difference + ((c_high - candidate).powi(2) + (baseline - b_low).powi(2)).sqrt();
    Some((low, high))
}

/// Welch's interval of a difference of two means, with the degrees of freedom of Welch and Satterthwaite.
fn welch(moments: &[Moments; 2]) -> Option<(f64, f64)> {
    let parts = moments.map(|moments| moments.variance / moments.n as f64);
    let variance = parts[0] + parts[1];
    if !variance.is_finite() {
        return None;
    }
    let difference = moments[1].mean - moments[0].mean;
    if variance == 0.0 {
        // Nothing varies, which so few values say nothing about.
        return None;
    }
    let spread = |idx: usize| parts[idx] * parts[idx] / (moments[idx].n as f64 - 1.0);
    let df = variance * variance / (spread(0) + spread(1));
    let half = student_quantile(1.0 - 0.5 * ALPHA, df) * variance.sqrt();
    Some((difference - half, difference + half))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Outcomes {
        outcomes(0, &Upload { source: "o.csv".to_owned(), text: text.to_owned() }, None)
    }

    #[test]
    fn rates_and_means_are_compared_and_bad_rows_are_named() {
        let mut text = "arm,cohort,deflected,handle_time_s\n".to_owned();
        for idx in 0..200 {
            text += &format!("baseline,de,{},{}\n", u8::from(idx % 2 == 0), 300 + idx % 7);
            text += &format!("candidate,en,{},{}\n", u8::from(idx % 4 != 0), 280 + idx % 7);
        }
        text += "neither,en,1,3\ncandidate,en,often,3\ncandidate,en,1\n";
        let found = of(&text);
        assert_eq!(found.n_bad, 3);
        assert_eq!(found.bad[0], "line 402: arm `neither` is neither `baseline` nor `candidate`");
        assert_eq!(found.bad[1], "line 403: `often` under `deflected` is no number");
        let all =
            |metric: &str| found.lines.iter().find(|line| line.metric == metric && line.cohort.is_none()).unwrap();
        let deflected = all("deflected");
        assert_eq!((deflected.n, deflected.says), ((200, 200), "better"));
        assert_eq!(deflected.difference.value, Some(0.25));
        let time = all("handle_time_s");
        assert_eq!((time.difference.value, time.says), (Some(-20.0), "better"));
        assert!(time.difference.low.unwrap() < -20.0 && time.difference.high.unwrap() > -21.0);
        let cohort = found.lines.iter().find(|line| line.cohort.as_deref() == Some("de")).unwrap();
        assert_eq!((cohort.n.1, cohort.says), (0, "too few rows"));
    }

    #[test]
    fn what_is_undone_is_worse_the_more_there_is_of_it() {
        let mut text = "arm,unresolved,dissatisfied\n".to_owned();
        (0..200).for_each(|idx| text += &format!("baseline,{0},{0}\ncandidate,1,1\n", u8::from(idx % 2 == 0)));
        assert!(of(&text).lines.iter().all(|line| line.says == "worse"), "{:?}", of(&text).lines);
    }

    /// Newcombe's own example: 56 of 70 and 48 of 80, method 10: 0.0524 to 0.3339.
    #[test]
    fn the_interval_of_two_rates_is_the_published_one() {
        let rate = |hits: usize, n: usize| (0..n).map(|idx| f64::from(u8::from(idx < hits))).collect::<Vec<_>>();
        let (low, high) = newcombe(&[rate(48, 80), rate(56, 70)]).unwrap();
        assert!((low - 0.0524).abs() < 1e-4 && (high - 0.3339).abs() < 1e-4, "{low} {high}");
    }

    #[test]
    fn a_file_without_arms_or_metrics_is_refused() {
        let upload = |text: &str| Upload { source: String::new(), text: text.to_owned() };
        assert!(refused(&upload("a,b\n1,2\n")).unwrap().contains("no column `arm`"));
        assert!(refused(&upload("arm,cohort\n")).unwrap().contains("no column of a metric"));
        assert!(refused(&upload("arm,csat\nbaseline,1\n")).unwrap().contains("no row of the arm `candidate`"));
        assert!(refused(&upload("arm,csat\nbaseline,1\ncand,2\n")).unwrap().contains("line 3: arm `cand` is neither"));
        assert_eq!(refused(&upload("arm,csat\nbaseline,1\ncandidate,2\n")), None);
    }
}
