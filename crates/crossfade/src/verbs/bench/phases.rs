//! What a recovery or cold starts come to, in words.

use std::fmt::Write as _;

use bench::result::BenchResult;

pub(super) fn write(text: &mut String, result: &BenchResult) -> std::fmt::Result {
    if let Some(recovery) = &result.recovery {
        let seconds = |value: Option<f64>| value.map_or("not seen".to_owned(), |s| format!("after {s:.2} s"));
        writeln!(
            text,
            "{}: killed {:.1} s into the run, started again {:.2} s later\n  first good answer: {}\n  steady again: {}\n  failed: {} of {} requests that were due meanwhile",
            recovery.target,
            recovery.killed_at_s,
            recovery.restarted_after_s,
            seconds(recovery.first_good_s),
            seconds(recovery.steady_s),
            recovery.n_failed,
            recovery.n_affected
        )?;
        for (word, n) in &recovery.errors {
            writeln!(text, "    {word} {n}")?;
        }
    }
    if let Some(cold) = &result.cold_start {
        writeln!(text, "{}: {} starts, milliseconds since the process was started", cold.target, cold.starts.len())?;
        for (phase, found) in &cold.phases {
            let of = |ms: Option<f64>| ms.map_or("-".to_owned(), |ms| format!("{ms:.0}"));
            writeln!(text, "  {phase}: p50 {}, largest {}, of {}", of(found.value("p50")), of(found.max), found.n)?;
        }
        for start in cold.starts.iter().filter_map(|start| start.failed.as_ref()) {
            writeln!(text, "  a start came no further: {start}")?;
        }
    }
    Ok(())
}
