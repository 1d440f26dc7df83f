//! Commands that settle what is open, as they are typed: with the targets, the limit and the load that a move is about.

use crate::settings::{LatencyDemand, LatencyOf, Move};

/// Requests that a benchmark should send, so that the interval of its 95th percentile has an upper end and is not wide.
const ENOUGH: f64 = 400.0;

/// What a move's candidate is called; a word to put it in for where none is named.
fn candidate(mv: &Move) -> &str {
    mv.candidate.as_ref().map_or("CANDIDATE", |target| &target.name)
}

/// An evaluation of the two targets, on this dataset or one to be named.
pub(crate) fn eval(mv: &Move, dataset: Option<&str>) -> String {
    let (baseline, candidate) = (&mv.baseline.name, candidate(mv));
    let dataset = dataset.unwrap_or("NAME");
    format!("`crossfade eval run --target {baseline} --target {candidate} --dataset {dataset}`")
}

/// A benchmark of the candidate at this load, against the scorecard's limit. Where nobody knows the load it is said in the config first.
pub(crate) fn bench(mv: &Move, demand: &LatencyDemand, load: Option<f64>) -> String {
    let seconds = load.map_or(60.0, |load| (ENOUGH / load).ceil().clamp(60.0, 3600.0));
    let (first, load) = known(mv, load);
    let (candidate, limit) = (candidate(mv), limit(demand));
    format!("{first}`crossfade bench run --target {candidate} --rate {load} --duration {seconds}s --slo {limit}`")
}

/// A search for the most load that the candidate holds within the scorecard's limit.
pub(crate) fn search(mv: &Move, demand: &LatencyDemand, load: Option<f64>) -> String {
    let (first, load) = known(mv, load);
    let (candidate, limit) = (candidate(mv), limit(demand));
    format!(
        "{first}`crossfade bench run --target {candidate} --search rate --slo {limit} --share 0.95 --peak {load} --until-peak`"
    )
}

/// The scorecard's limit, as a benchmark's objective.
fn limit(demand: &LatencyDemand) -> String {
    format!("{}={}ms", if demand.of == LatencyOf::Total { "e2e" } else { "ttft" }, demand.p95_ms)
}

/// What comes before a benchmark, and its load.
fn known(mv: &Move, load: Option<f64>) -> (String, String) {
    let unknown = || (format!("`report.target_load: {{ {}: N }}` in the config, then ", mv.route), "N".to_owned());
    load.map_or_else(unknown, |load| (String::new(), number(load)))
}

/// Four significant digits: nearer to a load than the thousandth in which it counts as that.
fn number(value: f64) -> String {
    let (mut places, mut scaled) = (0, value);
    while scaled < 1000.0 && places < 12 {
        (places, scaled) = (places + 1, scaled * 10.0);
    }
    let text = format!("{value:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A worksheet of costs, filled in, and a report with it.
pub(crate) fn tco(mv: &Move, run: Option<&str>) -> String {
    let run = run.map_or_else(String::new, |run| format!(" --run {run}"));
    // One of each workload, where its name can be a file's.
    let is_plain =
        |name: &str| name.chars().all(|character| character.is_ascii_alphanumeric() || "-_.".contains(character));
    let file = if is_plain(&mv.workload) { format!("tco-{}.yaml", mv.workload) } else { "tco.yaml".to_owned() };
    format!(
        "`crossfade tco init --route {}{run} --candidate {} -o {file}`, what is unknown in {file} filled in, then `crossfade report --tco {file}`",
        mv.route,
        candidate(mv)
    )
}

/// A result filed for a rollout.
pub(crate) fn file(rollout: &str, name: &str) -> String {
    format!(
        "`crossfade rollout file {rollout} --kind suite --name {name} --outcome PASS_OR_FAIL --digest SHA256 --cases N --reason TEXT`"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Scorecard;

    #[test]
    fn commands_are_whole_and_of_the_move_they_settle() {
        let mv = crate::tests::rows().settings.moves.remove(0);
        let demand = Scorecard::default().latency;
        assert_eq!(eval(&mv, None), "`crossfade eval run --target gpt --target own --dataset NAME`");
        assert_eq!(
            bench(&mv, &demand, Some(6.0)),
            "`crossfade bench run --target own --rate 6 --duration 67s --slo e2e=2500ms`"
        );
        assert_eq!(
            search(&mv, &demand, Some(6.0)),
            "`crossfade bench run --target own --search rate --slo e2e=2500ms --share 0.95 --peak 6 --until-peak`"
        );
        assert_eq!(
            bench(&mv, &demand, None),
            "`report.target_load: { chat: N }` in the config, then `crossfade bench run --target own --rate N --duration 60s --slo e2e=2500ms`"
        );
        assert!(
            tco(&mv, Some("parity"))
                .starts_with("`crossfade tco init --route chat --run parity --candidate own -o tco-support.yaml`")
        );
    }

    #[test]
    fn a_load_is_written_within_a_thousandth_of_itself() {
        for (load, text) in
            [(50.0, "50"), (1.0 / 60.0, "0.01667"), (11.0 / 60.0, "0.1833"), (12_345.6, "12346"), (1000.0, "1000")]
        {
            assert_eq!(number(load), text);
            assert!((number(load).parse::<f64>().unwrap() / load - 1.0).abs() < 1e-3);
        }
    }
}
