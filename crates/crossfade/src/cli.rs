//! What can be typed.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::out::Format;
use crate::verbs::{
    alerts, bench, completions, conformance, dataset, egress, eval, exchanges, exit, import, init, inventory, keys,
    man, panel, prices, prompts, quickstart, record, reload, report, review, rollout, serve, tco, vectors,
};

/// The config where none is named.
pub(crate) const USUAL_CONFIG: &str = "crossfade.yaml";

/// Options that every verb has stand last in its help, under this.
const EVERYWHERE: &str = "Options of every verb";

/// Moves an application from one model to another: both play, one fades in, the other stays ready.
#[derive(Debug, Parser)]
#[command(name = "crossfade", version, arg_required_else_help = true, disable_help_subcommand = true)]
#[command(
    after_help = "Exit codes: 0 ok or pass · 1 error · 2 usage or config · 3 the evidence says no · 4 not enough evidence"
)]
pub(crate) struct Cli {
    /// The config file.
    #[arg(long, short, global = true, value_name = "FILE", default_value = USUAL_CONFIG, env = "CROSSFADE_CONFIG")]
    #[arg(help_heading = EVERYWHERE)]
    pub config: PathBuf,
    /// How answers are written.
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text", help_heading = EVERYWHERE)]
    pub format: Format,
    /// Address of a running gateway's admin listener, when it is not the one in the config.
    #[arg(long, global = true, value_name = "ADDRESS", env = "CROSSFADE_ADMIN", help_heading = EVERYWHERE)]
    pub admin: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Write a commented crossfade.yaml to start from.
    Init(init::Args),
    /// Find where a code base uses vendors of language models, how, and what of it has an end.
    Inventory(inventory::Args),
    /// Make a config from another gateway's, and say what became of each of its keys.
    Import(import::Args),
    /// Check the config and print it as it is understood.
    Check,
    /// Run the gateway.
    Serve(serve::Args),
    /// Probe a live server: what of the vendor's API does it do, and what does it do wrong in silence?
    Conformance(conformance::Args),
    /// Keep cases to evaluate on: from files, or of recorded traffic.
    #[command(subcommand)]
    Dataset(dataset::Verb),
    /// Ask targets the cases of a dataset, and say with what certainty one is as good as another.
    #[command(subcommand)]
    Eval(eval::Verb),
    /// Measure what a serving stack does under load, and how much of it keeps to an objective.
    #[command(subcommand)]
    Bench(bench::Verb),
    /// Make a running gateway read its config again.
    Reload(reload::Args),
    /// Read the record.
    #[command(subcommand)]
    Exchanges(exchanges::Verb),
    /// See how large the record is, and take away what is old.
    #[command(subcommand)]
    Record(record::Verb),
    /// See what left the house, how much, to whom and why.
    Egress(egress::Args),
    /// Say who may call which routes, and who may steer.
    #[command(subcommand)]
    Keys(keys::Verb),
    /// See what calls cost, and bring price sheets in.
    #[command(subcommand)]
    Prices(prices::Verb),
    /// Cost a migration all in: both sides item by item, a successful task, break-evens, and how sure it is.
    #[command(subcommand)]
    Tco(tco::Verb),
    /// Decide on evidence: stay, switch or hybridize, workload by workload, with everything behind it in a bundle.
    Report(Box<report::Args>),
    /// Be able to leave a vendor: take one's data out of it, with proof that all of it is there.
    #[command(subcommand)]
    Exit(exit::Verb),
    /// Move a knowledge base: copy vectors from one store into another so that nothing is lost, and prove it.
    #[command(subcommand)]
    Vectors(vectors::Verb),
    /// Show people pairs of answers without saying whose is whose, and count whom they prefer.
    #[command(subcommand)]
    Panel(panel::Verb),
    /// Keep prompts in versions, hold them against golden tests, and see which carry over to a candidate.
    Prompts(prompts::Args),
    /// See what was referred to people and decide it, and what policies found.
    #[command(subcommand)]
    Review(review::Verb),
    /// See what people are told, try whether it arrives, and tell it again.
    #[command(subcommand)]
    Alerts(alerts::Verb),
    /// Move traffic from a baseline to a candidate, and back.
    #[command(subcommand)]
    Rollout(rollout::Verb),
    /// Show one good and one bad migration, simulated, in about 20 seconds.
    Quickstart(quickstart::Args),
    /// Print a completion script for a shell.
    Completions(completions::Args),
    /// Print the manual page.
    Man(man::Args),
    /// List the failpoints of this build.
    #[command(hide = true)]
    Failpoints,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// Every verb's page, by its name.
    fn pages(command: &clap::Command, name: &str, found: &mut Vec<(String, String)>) {
        found.push((name.to_owned(), command.clone().render_long_help().to_string()));
        for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
            pages(verb, &format!("{name} {}", verb.get_name()), found);
        }
    }

    #[test]
    fn options_that_every_verb_has_stand_last_in_each_help() {
        let mut command = Cli::command();
        command.build();
        let mut found = Vec::new();
        pages(&command, "crossfade", &mut found);
        assert!(found.len() > 40, "{} pages", found.len());
        for (name, page) in found {
            let (own, everywhere) =
                page.split_once(EVERYWHERE).unwrap_or_else(|| panic!("{name} has no heading:\n{page}"));
            for option in ["--config <FILE>", "--format <FORMAT>", "--admin <ADDRESS>"] {
                assert!(!own.contains(option) && everywhere.contains(option), "{name}: {option}\n{page}");
            }
            let others = everywhere.lines().filter(|line| line.trim_start().starts_with("--")).count();
            assert!(others <= 3, "{name}: options of its own after the heading\n{page}");
        }
    }
    /// Every verb that has an argument of this long name, and the argument.
    fn with<'c>(command: &'c clap::Command, long: &str, found: &mut Vec<(&'c str, &'c clap::Arg)>) {
        let argument = command.get_arguments().find(|argument| argument.get_long() == Some(long));
        found.extend(argument.map(|argument| (command.get_name(), argument)));
        command.get_subcommands().for_each(|verb| with(verb, long, found));
    }

    #[test]
    fn a_file_to_write_is_named_the_same_way_by_every_verb() {
        let command = Cli::command();
        let (mut outputs, mut outs) = (Vec::new(), Vec::new());
        with(&command, "output", &mut outputs);
        with(&command, "out", &mut outs);
        assert!(outs.is_empty(), "{outs:?}");
        assert!(outputs.len() >= 12, "{outputs:?}");
        for (verb, argument) in outputs {
            assert_eq!(argument.get_short(), Some('o'), "{verb}");
            assert_eq!(argument.get_all_aliases(), Some(vec!["out"]), "{verb}");
        }
    }

    #[test]
    fn the_many_options_of_a_load_stand_under_headings_in_the_order_of_deciding() {
        let mut command = Cli::command();
        command.build();
        let run = command.find_subcommand("bench").and_then(|bench| bench.find_subcommand("run")).unwrap();
        let page = run.clone().render_long_help().to_string();
        let headings: Vec<&str> = page
            .lines()
            .filter(|line| line.ends_with(':') && !line.starts_with(' '))
            .map(|line| line.trim_end_matches(':'))
            .collect();
        let expected = [
            "Who is asked",
            "How much is sent",
            "What is sent",
            "What it is judged by",
            "Several targets in turns",
            "This client",
            "What is kept of it",
            EVERYWHERE,
        ];
        assert_eq!(headings[headings.len() - expected.len()..], expected, "{page}");
        let own: Vec<&str> = run
            .get_arguments()
            .filter(|argument| argument.get_help_heading().is_none() && argument.get_id() != "help")
            .map(|argument| argument.get_id().as_str())
            .collect();
        assert!(own.is_empty(), "without a heading: {own:?}");
    }
}
