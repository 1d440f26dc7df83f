//! The move of an index: found in the config, and turned by who serves it or, where nobody does, here.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use store::{Lease, LeaseError};
use vectors::facade::changes::{Changes, ChangesError, Move, Outcome, Standing, Wish};
use vectors::facade::pair::Mode;
use vectors::facade::{IndexSettings, MoveSettings, turn};

use super::encoder::serving;
use crate::load;
use crate::out::{Exit, Out, Stop};
use crate::verbs::Place;
use crate::verbs::ledger::Collected;

/// How long it waits for who serves the index.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(5);

/// Who turns a move, and why.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct By {
    /// Who does it; the journal names it.
    #[arg(long, value_name = "NAME", env = "USER", default_value = "operator")]
    pub(super) actor: String,
    /// Why; kept in the journal.
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
}

/// A move, and where it stands.
pub(super) struct Moving {
    pub(super) of: Move,
    pub(super) moves_to: MoveSettings,
    pub(super) settings: IndexSettings,
    pub(super) changes: Changes,
    file: PathBuf,
}

/// What a turn came to.
pub(super) struct Turned {
    pub(super) event: i64,
    pub(super) took: Duration,
}

/// The move of an index of the config.
pub(super) fn find(place: &Place, index: &str) -> Result<Moving, Stop> {
    let config = load::config(&place.config)?;
    let served = config.vectors.as_ref();
    let Some(settings) = served.and_then(|served| served.indexes.get(index)) else {
        let names: Vec<&str> = served.iter().flat_map(|served| served.indexes.keys()).map(String::as_str).collect();
        let hint = if names.is_empty() {
            "`vectors.indexes` has none".to_owned()
        } else {
            format!("there are {}", names.join(", "))
        };
        return Err(Stop::usage(format!("the config serves no index `{index}`")).hint(hint));
    };
    let (Some(of), Some(moves_to), Some(served)) = (settings.moves(index), settings.moves_to.clone(), served) else {
        let hint =
            format!("write `moves_to: {{ store: … }}` below `vectors.indexes.{index}`, and start the gateway again");
        return Err(Stop::usage(format!("index `{index}` moves nowhere")).hint(hint));
    };
    let changes = Changes::open(&served.moves).map_err(|error| unreadable(error, &served.moves))?;
    Ok(Moving { of, moves_to, settings: settings.clone(), changes, file: served.moves.clone() })
}

fn unreadable(error: ChangesError, file: &Path) -> Stop {
    Stop::failed(error).hint(format!("it is {}", file.display()))
}

impl Moving {
    /// What the file says.
    pub(super) fn read<T>(&self, what: Result<T, ChangesError>) -> Result<T, Stop> {
        what.map_err(|error| unreadable(error, &self.file))
    }

    /// How far the move is.
    pub(super) fn standing(&self) -> Result<Standing, Stop> {
        self.read(self.changes.standing(&self.of))
    }

    /// Turns it.
    pub(super) fn turn(
        &self,
        place: &Place,
        out: &Out,
        to: Mode,
        by: &By,
        (evidence, is_forced): (Option<Value>, bool),
    ) -> Result<Turned, Stop> {
        let began = Instant::now();
        let (actor, reason) = (by.actor.clone(), by.reason.clone());
        let wish = Wish { of: self.of.clone(), to, actor, reason, evidence, is_forced };
        self.standing()?.mode.may_turn(to).map_err(Stop::usage)?;
        let outcome = match Lease::acquire(&self.file) {
            Ok(_lease) => self.turned_here(place, out, wish)?,
            Err(LeaseError::Held { .. }) => self.turned_there(&wish)?,
            Err(error) => return Err(Stop::failed(error)),
        };
        match outcome {
            Outcome::Turned(event) => Ok(Turned { event, took: began.elapsed() }),
            Outcome::Refused(why) => {
                let stop = Stop::failed(anyhow::anyhow!("index `{}` is not turned to `{to}`: {why}", self.of.index));
                Err(stop.exit(Exit::No).hint(format!("`crossfade vectors mode {}` says more", self.of.index)))
            }
        }
    }

    /// Nobody serves it: this process turns it.
    fn turned_here(&self, place: &Place, out: &Out, wish: Wish) -> Result<Outcome, Stop> {
        let ledger = Arc::new(Collected::default());
        let encoders = |file: &Path| serving(place, file, &(Arc::clone(&ledger) as _)).map_err(|stop| stop.full_text());
        let turned = turn(&self.settings, &self.file, &encoders, wish).map_err(Stop::failed);
        ledger.note(place, out);
        turned
    }

    /// Asks who serves it, and waits for what it says.
    pub(super) fn turned_there(&self, wish: &Wish) -> Result<Outcome, Stop> {
        let (n, began) = (self.read(self.changes.wish(wish))?, Instant::now());
        loop {
            if let Some(outcome) = self.read(self.changes.outcome(n))? {
                return Ok(outcome);
            }
            if began.elapsed() > PATIENCE && self.read(self.changes.take_back(n))? {
                let stop =
                    Stop::failed(anyhow::anyhow!("the gateway that serves `{}` does not turn it", self.of.index));
                return Err(
                    stop.hint("it was perhaps started before the config named where the index moves: start it again")
                );
            }
            std::thread::sleep(LOOK);
        }
    }
}
