//! `crossfade reload`: a running gateway reads its config again. It keeps the one it has when the new one has errors.

use serde_json::json;

use super::{Place, source::Source};
use crate::out::{Exit, Out, Stop};

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Who asks; the log names it.
    #[arg(long, value_name = "NAME", env = "USER", default_value = "operator")]
    actor: String,
}

/// Asks the gateway and says what changed.
pub(crate) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    let source = Source::open(place)?;
    let Some(reloaded) = source.change("/api/reload", &json!({ "actor": args.actor }))? else {
        return Err(source.nobody());
    };
    if let Some(theirs) = source.other_config() {
        out.say(format_args!(
            "the gateway reads {theirs}, as it was told at its start, and not {}",
            place.config.display()
        ));
    }
    let changed = reloaded["changed"].as_bool().unwrap_or_default();
    let hash: String = reloaded["config_hash"].as_str().unwrap_or_default().chars().take(16).collect();
    let waiting = reloaded["waits_for_start"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_str);
    let waiting = waiting.collect::<Vec<_>>().join(", ");
    out.answer(&reloaded, || {
        let mut text = format!("config {hash} {}\n", if changed { "is now in force" } else { "was already in force" });
        if !waiting.is_empty() {
            text += &format!("but the new {waiting}: at the next start\n");
        }
        text
    });
    Ok(Exit::Ok)
}
