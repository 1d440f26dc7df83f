//! What can be said of a load on the command line, or in the file of a matrix.

use std::path::PathBuf;
use std::time::Duration;

use bench::arrivals::Pattern;
use bench::prompt::Lengths;
use bench::slo::Slo;
use serde_json::{Map, Value};

/// Headings of a long help, in the order of what somebody decides who sends load.
const HOW_MUCH: &str = "How much is sent";
const WHAT: &str = "What is sent";
const JUDGED: &str = "What it is judged by";
pub(super) const SEVERAL: &str = "Several targets in turns";
const CLIENT: &str = "This client";
pub(super) const KEPT: &str = "What is kept of it";

/// What can be said of it.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Flags {
    /// Requests a second of an open loop; several are levels one after the other: `1,2,4,8`.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = positive, group = "load", help_heading = HOW_MUCH)]
    pub(super) rate: Vec<f64>,
    /// Answers under way at once in a closed loop; several are levels: `1,8,32`.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=65_535), group = "load", help_heading = HOW_MUCH)]
    pub(super) concurrency: Vec<u32>,
    /// Replay the moments and lengths of a trace: CSV of `TIMESTAMP,ContextTokens,GeneratedTokens`.
    #[arg(long, value_name = "FILE", group = "load", help_heading = HOW_MUCH)]
    pub(super) trace: Option<PathBuf>,
    /// Replay the moments and lengths of requests on record; their texts are made up.
    #[arg(long, value_name = "ROUTE", group = "load", help_heading = HOW_MUCH)]
    pub(super) route: Option<String>,
    /// Search the most that keeps to the objective: `rate` or `concurrency`.
    #[arg(long, value_name = "OVER", value_parser = ["rate", "concurrency"], group = "load", help_heading = HOW_MUCH)]
    pub(super) search: Option<String>,
    /// Days of the record that are replayed, today included.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=366), requires = "route", help_heading = HOW_MUCH)]
    pub(super) days: u32,
    /// So many times as fast as it was recorded.
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = positive, help_heading = HOW_MUCH)]
    pub(super) speed: f64,
    /// The first load of a search, within a factor of a few hundred of the answer; without it `--peak` where a rate is searched and that is known, else 1.
    #[arg(long, value_name = "N", value_parser = positive, requires = "search", help_heading = HOW_MUCH)]
    pub(super) start: Option<f64>,
    /// End the search where the peak with 20 % to spare is held, instead of going on to the most that is.
    #[arg(long, requires = "search", help_heading = HOW_MUCH)]
    pub(super) until_peak: bool,
    /// No more than this is tried.
    #[arg(long, value_name = "N", default_value = "10000", value_parser = positive, requires = "search", help_heading = HOW_MUCH)]
    pub(super) most: f64,
    /// How arrivals are spread: `poisson`, `constant`, or `gamma:CV` for bursts with this coefficient of variation.
    #[arg(long, value_name = "PATTERN", default_value = "poisson", value_parser = pattern, help_heading = HOW_MUCH)]
    pub(super) arrivals: Pattern,
    /// How long a level is; hours make a soak.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration, help_heading = HOW_MUCH)]
    pub(super) duration: Duration,
    /// Requests of a level at most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = HOW_MUCH)]
    pub(super) requests: Option<u64>,
    /// Load before each level that does not count.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration_or_none, help_heading = HOW_MUCH)]
    pub(super) warm_up: Duration,
    /// How long an answer may take.
    #[arg(long, value_name = "DURATION", default_value = "120s", value_parser = duration, help_heading = HOW_MUCH)]
    pub(super) timeout: Duration,
    /// How long answers that are under way at the end of a level are waited for.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration_or_none, help_heading = HOW_MUCH)]
    pub(super) drain: Duration,
    /// Tokens of a prompt: `256`, `100..500`, `normal:300:50` or `lognormal:300:0.6`.
    #[arg(long, value_name = "LENGTHS", default_value = "256", value_parser = lengths, help_heading = WHAT)]
    pub(super) input_tokens: Lengths,
    /// Tokens of an answer, the same way.
    #[arg(long, value_name = "LENGTHS", value_parser = lengths, help_heading = WHAT)]
    pub(super) output_tokens: Option<Lengths>,
    /// Tokens that prompts begin with in common, and how many such beginnings there are: `200` or `200:8`. Without it no two are alike.
    #[arg(long, value_name = "TOKENS[:N]", default_value = "0", value_parser = prefix, help_heading = WHAT)]
    pub(super) prefix: (u64, u64),
    /// Requests of a file in place of made-up ones: JSON lines with `messages`, a `request` that has them, or a `prompt`.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["trace", "route"], help_heading = WHAT)]
    pub(super) file: Option<PathBuf>,
    /// The requests of a dataset of the store, in turn.
    #[arg(long, value_name = "NAME[@VERSION]", conflicts_with_all = ["trace", "route", "file"], help_heading = WHAT)]
    pub(super) dataset: Option<String>,
    /// Count tokens by this tokenizer.json too, and alone where the server counts none (a binary with the feature `tokenizer`).
    #[arg(long, value_name = "FILE", help_heading = WHAT)]
    pub(super) tokenizer: Option<PathBuf>,
    /// Ask the server to go on to the wanted length (`ignore_eos`); an answer more than 10 % off is then of wrong length.
    #[arg(long, help_heading = WHAT)]
    pub(super) ignore_eos: bool,
    /// Members that every request gets: `{"temperature":0}`.
    #[arg(long, value_name = "JSON", value_parser = object, help_heading = WHAT)]
    pub(super) extra: Option<Map<String, Value>>,
    /// Ask for whole answers in place of streams.
    #[arg(long, help_heading = WHAT)]
    pub(super) no_stream: bool,
    /// What is allowed: `ttft=500ms,e2e=2.5s,tpot=50ms,gap=1s`, any of them.
    #[arg(long, value_name = "LIMITS", value_parser = limits, help_heading = JUDGED)]
    pub(super) slo: Option<Slo>,
    /// The load that is expected at the peak: the search passes with 20 % above it.
    #[arg(long, value_name = "N", value_parser = positive, requires = "search", help_heading = JUDGED)]
    pub(super) peak: Option<f64>,
    /// Judge as this route of the config: by its rollouts' `objectives`, or by what reports demand, where no `--slo` is said; and by its recorded peak.
    #[arg(long, value_name = "ROUTE", conflicts_with = "route", help_heading = JUDGED)]
    pub(super) for_route: Option<String>,
    /// The same for the routes of a workload together.
    #[arg(long, value_name = "NAME", conflicts_with = "for_route", help_heading = JUDGED)]
    pub(super) workload: Option<String>,
    /// The share of requests that must keep to it.
    #[arg(long, value_name = "SHARE", default_value = "0.95", value_parser = share, help_heading = JUDGED)]
    pub(super) share: f64,
    /// Several targets: `blocks` of time in random order, or `each` arrival to all.
    #[arg(long, value_name = "HOW", default_value = "blocks", value_parser = ["blocks", "each"], help_heading = SEVERAL)]
    pub(super) interleave: String,
    /// How long a block is.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration, help_heading = SEVERAL)]
    pub(super) block: Duration,
    /// Threads that send and read.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256), help_heading = CLIENT)]
    pub(super) workers: Option<u16>,
    /// Decides arrivals, lengths, texts and turns; another one for every run where it is not said, so that no server has the prompts in its cache.
    #[arg(long, value_name = "N", help_heading = CLIENT)]
    pub(super) seed: Option<u64>,
}

pub(super) fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "expected a number above 0".to_owned())
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    duration_or_none(text).ok().filter(|time| !time.is_zero()).ok_or_else(|| "expected a time such as 30s".to_owned())
}

pub(super) fn duration_or_none(text: &str) -> Result<Duration, String> {
    crate::config::parse_duration(text).ok_or_else(|| "expected a time such as 30s, or 0s".to_owned())
}

fn pattern(text: &str) -> Result<Pattern, String> {
    match (text, text.strip_prefix("gamma:").and_then(|cv| positive(cv).ok())) {
        ("poisson", _) => Ok(Pattern::Poisson),
        ("constant", _) => Ok(Pattern::Constant),
        (_, Some(cv)) => Ok(Pattern::Gamma { cv }),
        _ => Err("expected `poisson`, `constant`, or `gamma:CV` with a number above 0, such as `gamma:3`".to_owned()),
    }
}

pub(super) fn lengths(text: &str) -> Result<Lengths, String> {
    let words = "expected `256`, `100..500`, `normal:MEAN:DEVIATION` or `lognormal:MEDIAN:SIGMA`, at least 1";
    Lengths::parse(text).ok_or_else(|| words.to_owned())
}

fn prefix(text: &str) -> Result<(u64, u64), String> {
    let (tokens, n) = text.split_once(':').unwrap_or((text, "1"));
    let both = tokens.parse().ok().zip(n.parse().ok().filter(|n| *n > 0));
    both.ok_or_else(|| "expected tokens, and how many beginnings: `200` or `200:8`".to_owned())
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("expected a JSON object: {error}"))
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| *share > 0.0 && *share < 1.0);
    share.ok_or_else(|| "expected a share between 0 and 1; for 95 % write 0.95".to_owned())
}

pub(super) fn limits(text: &str) -> Result<Slo, String> {
    let mut slo = Slo { ttft_ms: None, e2e_ms: None, tpot_ms: None, gap_max_ms: None, share: 0.95 };
    for part in text.split(',') {
        let (name, limit) = part.split_once('=').ok_or("expected limits such as `ttft=500ms,e2e=2.5s`")?;
        let limit = Some(duration(limit)?.as_secs_f64() * 1e3);
        match name.trim() {
            "ttft" => slo.ttft_ms = limit,
            "e2e" => slo.e2e_ms = limit,
            "tpot" => slo.tpot_ms = limit,
            "gap" => slo.gap_max_ms = limit,
            other => return Err(format!("`{other}` is no limit; there are ttft, e2e, tpot and gap")),
        }
    }
    Ok(slo)
}
