//! What makes vectors of texts: a target of the config, a server at a URL, or a model in a directory; and how it is asked.

#[cfg(not(feature = "encoder"))]
mod absent;
#[cfg(feature = "encoder")]
mod here;
mod server;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use providers::Ledger;
use serde::{Deserialize, Serialize};
use vectors::embed::Embed;
use vectors::reembed::{Limits, Manner, Probe};
use vectors::space::Recipe;

use crate::config::nanodollars;
use crate::out::{Out, Stop};
use crate::verbs::Place;
use crate::verbs::ledger::Collected;

#[cfg(not(feature = "encoder"))]
use absent::Model;
#[cfg(feature = "encoder")]
use here::Model;

/// Calls under way at once where nobody says: a model in this process takes all cores for one.
const IN_FLIGHT: usize = 4;

/// Who makes vectors and how, as it is typed.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Flags {
    /// A target of the config that answers /v1/embeddings.
    #[arg(long, value_name = "TARGET", conflicts_with_all = ["url", "encoder_dir", "like"])]
    encoder: Option<String>,
    /// Any server that answers /v1/embeddings as OpenAI does, such as http://gpu-1:8000/v1; --model names what it is asked for.
    #[arg(long, value_name = "URL", requires = "model", conflicts_with_all = ["encoder_dir", "like"])]
    url: Option<String>,
    /// The model to ask for at --url.
    #[arg(long, value_name = "NAME", requires = "url")]
    model: Option<String>,
    /// Environment variable with the key for --url.
    #[arg(long, value_name = "VARIABLE", requires = "url")]
    key_from: Option<String>,
    /// A model of the BERT family in a directory, run in this process; needs a binary built with `--features encoder`.
    #[arg(long, value_name = "DIR", conflicts_with = "like")]
    encoder_dir: Option<PathBuf>,
    /// An encoder.json that an earlier run left: the same encoder, asked the same way.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["prefix", "query_prefix", "dimensions", "cut_dimensions", "normalize", "max_chars", "revision"])]
    like: Option<PathBuf>,
    /// What is written before each text of the collection, such as 'passage: '.
    #[arg(long, value_name = "TEXT", default_value = "")]
    prefix: String,
    /// What is written before each query, such as 'query: '; kept for whoever embeds queries.
    #[arg(long, value_name = "TEXT", default_value = "")]
    query_prefix: String,
    /// How long vectors the server is asked for, where its model can make shorter ones.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    dimensions: Option<u32>,
    /// Keep the first N numbers of each vector and bring them to norm 1; only for models trained for that (Matryoshka).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    cut_dimensions: Option<u32>,
    /// Bring each vector to norm 1.
    #[arg(long)]
    normalize: bool,
    /// The most characters of a text; what is longer is cut, and counted. Without it a server refuses or cuts as it does.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_chars: Option<u32>,
    /// Put aside what would be cut, by --max-chars or by the model of --encoder-dir.
    #[arg(long)]
    refuse_long: bool,
    /// Which revision of the model it is; part of the space's name.
    #[arg(long, value_name = "NAME")]
    revision: Option<String>,
    /// What a million tokens cost in dollars, where the config has no price.
    #[arg(long, value_name = "DOLLARS", value_parser = dollars)]
    price: Option<u64>,
}

/// How fast it is asked and how much may be used, as it is typed.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Pacing {
    /// The most texts in a call.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=256))]
    batch: u16,
    /// Calls under way at once: 4, but 1 for --encoder-dir.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    in_flight: Option<u16>,
    /// The most calls a minute.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    requests_per_minute: Option<u32>,
    /// The most tokens a minute.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    tokens_per_minute: Option<u64>,
    /// Stop before more tokens are used in all, over every run with the same --cache.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_tokens_total: Option<u64>,
    /// Stop before more dollars are spent in all, over every run with the same --cache.
    #[arg(long, value_name = "DOLLARS", value_parser = dollars)]
    max_spend: Option<u64>,
}

fn dollars(text: &str) -> Result<u64, String> {
    nanodollars(text).ok_or_else(|| "expected an amount of dollars such as 0.02".to_owned())
}

impl Pacing {
    /// As the room takes it.
    pub(super) fn manner(&self, encoder: &Encoder, max_refused: u64) -> Manner {
        let usual = if matches!(encoder.record.by, By::Directory(_)) { 1 } else { IN_FLIGHT };
        Manner {
            batch: usize::from(self.batch),
            in_flight: self.in_flight.map_or(usual, usize::from),
            max_refused,
            limits: self.limits(),
        }
    }

    pub(super) fn limits(&self) -> Limits {
        Limits {
            requests_per_minute: self.requests_per_minute,
            tokens_per_minute: self.tokens_per_minute,
            max_tokens: self.max_tokens_total,
            max_nanos: self.max_spend,
        }
    }

    /// Texts in a call.
    pub(super) fn batch(&self) -> usize {
        usize::from(self.batch)
    }

    /// A limit that nothing is counted against would be none.
    pub(super) fn checked(&self, probe: &Probe) -> Result<(), Stop> {
        if self.max_spend.is_some() && probe.nanos.is_none() {
            return Err(Stop::usage("--max-spend: what a call costs is not known")
                .hint("`--price DOLLARS` says what a million tokens cost, or a price of the target in the config"));
        }
        if (self.max_tokens_total.is_some() || self.tokens_per_minute.is_some()) && probe.n_tokens.is_none() {
            return Err(Stop::usage("the server does not say how many tokens it read: no limit of tokens can be kept"));
        }
        Ok(())
    }
}

/// Who makes vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum By {
    /// A target of the config.
    Target(String),
    /// A server.
    Url {
        url: String,
        model: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key_from: Option<String>,
    },
    /// A model in a directory.
    Directory(PathBuf),
}

/// What has to be known to make more vectors of the same space, queries among them: the file encoder.json.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    pub(super) by: By,
    pub(super) recipe: Recipe,
    #[serde(default)]
    pub(super) query_prefix: String,
    /// The space that it made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) space: Option<String>,
    /// Billionths of a dollar a million tokens, where somebody said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) price_nanos: Option<u64>,
}

impl Record {
    /// Reads one.
    pub(super) fn read(path: &Path) -> Result<Record, Stop> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Stop::usage(format_args!("could not read {}: {error}", path.display())))?;
        serde_json::from_str(&text).map_err(|error| {
            Stop::usage(format_args!("{} is no record of an encoder: {error}", path.display()))
                .hint("`crossfade vectors reembed` leaves encoder.json in its run's directory; `crossfade vectors space -o FILE` writes one")
        })
    }

    /// Writes it.
    pub(super) fn write(&self, path: &Path) -> Result<(), Stop> {
        let text = serde_json::to_string_pretty(self).map_err(Stop::failed)? + "\n";
        std::fs::write(path, text)
            .map_err(|error| Stop::failed(error).hint(format!("could not write {}", path.display())))
    }
}

/// What makes vectors, ready to be asked.
pub(super) struct Encoder {
    pub(super) embed: Arc<dyn Embed>,
    /// How vectors of the collection are made.
    pub(super) recipe: Recipe,
    pub(super) record: Record,
    /// Its answers are made up.
    pub(super) simulated: bool,
    ledger: Arc<Collected>,
}

/// The encoder that was typed.
pub(super) fn of(place: &Place, flags: &Flags) -> Result<Encoder, Stop> {
    let record = match &flags.like {
        Some(path) => Record { price_nanos: flags.price.or(Record::read(path)?.price_nanos), ..Record::read(path)? },
        None => typed(flags)?,
    };
    built(place, record, flags.refuse_long)
}

/// The encoder of a record.
pub(super) fn built(place: &Place, record: Record, refuses_long: bool) -> Result<Encoder, Stop> {
    let ledger = Arc::new(Collected::default());
    let (embed, simulated, record) = made(place, record, refuses_long, &(Arc::clone(&ledger) as _))?;
    Ok(Encoder { embed, recipe: record.recipe.clone(), record, simulated, ledger })
}

/// The encoder of a file, for a collection that is served; its connections go on the ledger.
pub(crate) fn serving(place: &Place, file: &Path, ledger: &Arc<dyn Ledger>) -> Result<vectors::facade::Encoder, Stop> {
    let (embed, _, record) = made(place, Record::read(file)?, false, ledger)?;
    Ok(vectors::facade::Encoder { embed, recipe: record.recipe })
}

/// What makes vectors as a record says, whether its answers are made up, and the record with who makes them.
fn made(
    place: &Place,
    mut record: Record,
    refuses_long: bool,
    ledger: &Arc<dyn Ledger>,
) -> Result<(Arc<dyn Embed>, bool, Record), Stop> {
    let (embed, simulated): (Arc<dyn Embed>, bool) = match &record.by {
        By::Directory(directory) => {
            if record.recipe.dimensions.is_some() {
                return Err(Stop::usage(
                    "--dimensions is asked of a server; a model in a directory has the vectors that it has",
                )
                .hint("`--cut-dimensions N` keeps the first N numbers"));
            }
            let model = Model::load(directory, refuses_long)?;
            record.recipe = Recipe { provider: "here".to_owned(), ..model.describes(record.recipe) };
            (Arc::new(model), false)
        }
        By::Target(name) => {
            let server = server::target(place, name, record.recipe.dimensions, record.price_nanos, ledger)?;
            record.recipe = server.describes(record.recipe);
            let simulated = server.is_simulated();
            (Arc::new(server), simulated)
        }
        By::Url { url, model, key_from } => {
            let server =
                server::url((url, model, key_from.as_deref()), record.recipe.dimensions, record.price_nanos, ledger)?;
            record.recipe = server.describes(record.recipe);
            (Arc::new(server), false)
        }
    };
    Ok((embed, simulated, record))
}

fn typed(flags: &Flags) -> Result<Record, Stop> {
    let by = match (&flags.encoder, &flags.url, &flags.model, &flags.encoder_dir) {
        (Some(target), ..) => By::Target(target.clone()),
        (_, Some(url), Some(model), _) => {
            By::Url { url: url.clone(), model: model.clone(), key_from: flags.key_from.clone() }
        }
        (_, _, _, Some(directory)) => By::Directory(directory.clone()),
        _ => {
            return Err(Stop::usage("nothing says what makes the vectors").hint(
                "`--encoder TARGET` names a target of the config, `--url URL --model NAME` a server, `--encoder-dir DIR` a model, `--like FILE` an earlier run's encoder.json",
            ));
        }
    };
    let recipe = Recipe {
        revision: flags.revision.clone(),
        prefix: flags.prefix.clone(),
        dimensions: flags.dimensions.map(|n| n as usize),
        cut_dimensions: flags.cut_dimensions.map(|n| n as usize),
        normalize: flags.normalize,
        max_chars: flags.max_chars.map(|n| n as usize),
        ..Recipe::default()
    };
    Ok(Record { by, recipe, query_prefix: flags.query_prefix.clone(), space: None, price_nanos: flags.price })
}

impl Flags {
    /// Whether what is too long is put aside.
    pub(super) fn refuses_long(&self) -> bool {
        self.refuse_long
    }
}

impl Encoder {
    /// The vectors that tell its space.
    pub(super) fn probe(&self) -> Result<Probe, Stop> {
        vectors::reembed::probe(&*self.embed, &self.recipe).map_err(|refused| {
            let name = format!("{} of {}", self.recipe.model, self.recipe.provider);
            Stop::failed(anyhow::anyhow!("{name} does not make vectors of sixteen short texts: {}", refused.why))
                .hint("nothing was written; the collection is asked for only when this goes well")
        })
    }

    /// How vectors of queries are made: of the same space, with the queries' prefix.
    pub(super) fn of_queries(&self) -> Recipe {
        Recipe { prefix: self.record.query_prefix.clone(), ..self.recipe.clone() }
    }

    /// Writes down which connections there were.
    pub(super) fn note(&self, place: &Place, out: &Out) {
        self.ledger.note(place, out);
    }
}
