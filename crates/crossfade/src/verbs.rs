//! One file per verb.

pub(crate) mod alerts;
pub(crate) mod bench;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod conformance;
pub(crate) mod dataset;
pub(crate) mod egress;
pub(crate) mod eval;
pub(crate) mod exchanges;
pub(crate) mod exit;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod inventory;
pub(crate) mod keys;
mod ledger;
pub(crate) mod man;
pub(crate) mod panel;
pub(crate) mod prices;
pub(crate) mod prompts;
pub(crate) mod quickstart;
pub(crate) mod record;
pub(crate) mod reload;
pub(crate) mod report;
pub(crate) mod review;
pub(crate) mod rollout;
pub(crate) mod serve;
mod source;
pub(crate) mod tco;
mod time;
pub(crate) mod vectors;

pub(crate) use time::now_us;

use crate::cli::{Cli, Verb};
use crate::out::{Exit, Format, Out, Stop};

/// Does what was typed.
///
/// # Errors
/// Whatever made the verb stop.
pub(crate) fn run(cli: Cli, out: &Out) -> Result<Exit, Stop> {
    let Cli { config, admin, verb, .. } = cli;
    let place = Place { config, admin };
    if out.format() == Format::Html
        && !matches!(
            verb,
            Verb::Conformance(_)
                | Verb::Eval(eval::Verb::Report(_))
                | Verb::Tco(tco::Verb::Run(_))
                | Verb::Bench(bench::Verb::Show(_))
                | Verb::Exit(exit::Verb::Plan(_))
                | Verb::Inventory(_)
                | Verb::Report(_)
        )
    {
        return Err(Stop::usage("`--format html` is for reports").hint("use `--format json`"));
    }
    if out.format() == Format::Junit && !matches!(&verb, Verb::Prompts(args) if args.makes_junit()) {
        let is_report = matches!(verb, Verb::Eval(eval::Verb::Report(_)));
        let hint = if is_report { "`--as junit` writes a report as JUnit XML" } else { "use `--format json`" };
        return Err(Stop::usage("`--format junit` is for `prompts test`").hint(hint));
    }
    match verb {
        Verb::Init(args) => init::run(&place, &args, out),
        Verb::Inventory(args) => inventory::run(&place, &args, out),
        Verb::Import(args) => import::run(&args, out),
        Verb::Check => check::run(&place, out),
        Verb::Serve(args) => serve::run(&place, &args, out),
        Verb::Conformance(args) => conformance::run(&place, &args, out),
        Verb::Dataset(verb) => dataset::run(&place, verb, out),
        Verb::Eval(verb) => eval::run(&place, verb, out),
        Verb::Bench(verb) => bench::run(&place, verb, out),
        Verb::Reload(args) => reload::run(&place, &args, out),
        Verb::Prices(verb) => prices::run(&place, verb, out),
        Verb::Tco(verb) => tco::run(&place, verb, out),
        Verb::Report(args) => report::run(&place, &args, out),
        Verb::Panel(verb) => panel::run(&place, verb, out),
        Verb::Prompts(args) => prompts::run(&place, &args, out),
        Verb::Egress(args) => egress::run(&place, &args, out),
        Verb::Exchanges(verb) => exchanges::run(&place, verb, out),
        Verb::Exit(verb) => exit::run(&place, verb, out),
        Verb::Vectors(verb) => vectors::run(&place, &verb, out),
        Verb::Record(verb) => record::run(&place, verb, out),
        Verb::Keys(verb) => keys::run(&place, verb, out),
        Verb::Review(verb) => review::run(&place, verb, out),
        Verb::Alerts(verb) => alerts::run(&place, verb, out),
        Verb::Rollout(verb) => rollout::run(&place, verb, out),
        Verb::Quickstart(args) => quickstart::run(&args, out),
        Verb::Completions(args) => completions::run(&args, out),
        Verb::Man(args) => man::run(&args, out),
        Verb::Failpoints => {
            // A build without the feature has none.
            let names = if cfg!(feature = "failpoints") { store::failpoints::names() } else { &[] };
            out.answer(names, || names.iter().map(|name| format!("{name}\n")).collect());
            Ok(Exit::Ok)
        }
    }
}

/// What is said of distances where no baseline was asked twice.
pub(crate) const NOISE_UNKNOWN: &str = "the baseline's own noise was not measured: set `stages.shadow.noise_duplicate`";

/// Where the config and the running gateway are.
#[derive(Debug)]
pub(crate) struct Place {
    /// The config file.
    pub config: std::path::PathBuf,
    /// Address of the admin listener, when it is not the one in the config.
    pub admin: Option<String>,
}
