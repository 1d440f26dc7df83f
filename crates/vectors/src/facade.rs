//! Pinecone's API in front of the stores: an application keeps its client, and what answers is another store.
//!
//! [`Facade::answer`] takes a request as plain values and gives an answer as JSON; who listens, and who may come in, is the caller's affair. The paths of the
//! control plane are as they are there (`/indexes`); an index's own begin with `/data/NAME`, which is what `describe_index` gives as its host. Two generations
//! are spoken: vectors (`vectors.rs`) and, in a namespace, documents (`documents.rs`). Requests are JSON over HTTP; there is no gRPC.

pub mod backend;
pub mod changes;
pub mod filter;
pub mod pair;
pub mod shadow;

mod answers;
mod control;
mod documents;
mod index;
mod moving;
mod side;
mod vectors;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use self::answers::{Failure, Form};
use self::changes::{Changes, ChangesError, Move, Outcome, Wish};
use self::index::{Index, Target};
use self::moving::{Mover, Moving};
use self::shadow::{Asked, ShadowSettings};
use self::side::Side;
pub use self::side::{Encoder, StoreSettings};

/// How long it waits for who works beside the requests when it ends.
const GRACE: Duration = Duration::from_secs(5);

/// What an index is served from.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexSettings {
    /// The store, before a move and while nothing moves.
    pub source: StoreSettings,
    /// Where it moves to.
    pub moves_to: Option<MoveSettings>,
}

/// Where an index moves to.
#[derive(Debug, Clone, PartialEq)]
pub struct MoveSettings {
    /// The store.
    pub target: StoreSettings,
    /// What is compared before it answers.
    pub shadow: ShadowSettings,
}

impl IndexSettings {
    /// The move of an index of this name, if it moves.
    #[must_use]
    pub fn moves(&self, index: &str) -> Option<Move> {
        let target = self.moves_to.as_ref()?.target.store.to_string();
        Some(Move { index: index.to_owned(), source: self.source.store.to_string(), target })
    }
}

/// What gives the encoder that a file describes.
pub type Encoders<'a> = &'a dyn Fn(&Path) -> Result<Encoder, String>;

/// Why indexes are not served.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The file of the moves.
    #[error("index {0} cannot move")]
    Changes(String, #[source] ChangesError),
    /// An encoder.
    #[error("index {0}: {1}")]
    Encoder(String, String),
    /// A thread.
    #[error("index {0} cannot be served")]
    Thread(String, #[source] std::io::Error),
}

/// A request, read whole.
pub struct Request<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its path, as it stands on the wire.
    pub path: &'a str,
    /// What stands behind the question mark.
    pub query: &'a str,
    /// The version of the API that the client speaks, if it says one.
    pub version: Option<&'a str>,
    /// Its body.
    pub body: &'a [u8],
    /// Whether the caller may reach the index of a name.
    pub may_reach: &'a dyn Fn(&str) -> bool,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// JSON.
    pub body: String,
    /// What the log should say and the caller should not read.
    pub trouble: Option<String>,
}

impl Response {
    /// A refusal of somebody who does not come in, as clients understand it.
    #[must_use]
    pub fn refused(status: u16, message: &str) -> Response {
        let code = if status == 401 { "UNAUTHENTICATED" } else { "INVALID_ARGUMENT" };
        answers::failed(&Failure::new(status, code, message), Form::Control)
    }
}

/// The indexes that are served.
pub struct Facade {
    /// How clients reach it, without a slash at the end.
    url: String,
    indexes: BTreeMap<String, Arc<Index>>,
    stop: Arc<AtomicBool>,
    /// Who works beside the requests.
    threads: Vec<JoinHandle<()>>,
}

impl Drop for Facade {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.indexes.values().filter_map(|index| index.target()).for_each(|target| target.moving.wake());
        let until = Instant::now() + GRACE;
        for thread in self.threads.drain(..) {
            while !thread.is_finished() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(5));
            }
            // A store that does not answer does not keep the process: what it was given is done again at the next start.
            if thread.is_finished() && thread.join().is_err() {
                tracing::error!("a thread of a move panicked");
            }
        }
    }
}

impl Facade {
    /// Serves these; no store is opened before it is asked for. `moves` is the file in which moves stand; it is made when an index moves.
    ///
    /// # Errors
    /// Where an index that moves cannot be served as its move stands.
    pub fn start(
        url: &str,
        indexes: &BTreeMap<String, IndexSettings>,
        moves: &Path,
        encoders: Encoders<'_>,
    ) -> Result<Facade, StartError> {
        let mut facade = Facade {
            url: url.trim_end_matches('/').to_owned(),
            indexes: BTreeMap::new(),
            stop: Arc::default(),
            threads: Vec::new(),
        };
        for (name, settings) in indexes {
            let (index, asked) = index(name, settings, moves, encoders)?;
            if let Some((move_to, asked)) = settings.moves_to.as_ref().zip(asked) {
                facade.work(&index, moves, move_to.shadow.n_reads, asked)?;
            }
            facade.indexes.insert(name.clone(), index);
        }
        Ok(facade)
    }

    /// Starts who works beside the requests of an index that moves.
    fn work(
        &mut self,
        index: &Arc<Index>,
        moves: &Path,
        n_reads: u32,
        asked: Receiver<Asked>,
    ) -> Result<(), StartError> {
        let of = |error| StartError::Changes(index.name.clone(), error);
        let mover = Mover::new(Arc::clone(index), Changes::open(moves).map_err(of)?);
        let (stop, shadow, changes) = (Arc::clone(&self.stop), Arc::clone(index), Changes::open(moves).map_err(of)?);
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let failed = |error| StartError::Thread(index.name.clone(), error);
        self.threads.push(thread("vectors-mover").spawn(move || mover.run(&stop)).map_err(failed)?);
        let stop = Arc::clone(&self.stop);
        let body = move || shadow::run(&shadow, &changes, n_reads, &asked, &stop);
        self.threads.push(thread("vectors-shadow").spawn(body).map_err(failed)?);
        Ok(())
    }

    /// Answers a request. Waits for the store.
    #[must_use]
    pub fn answer(&self, request: &Request<'_>) -> Response {
        let steps: Option<Vec<String>> = request.path.split('/').skip(1).map(|step| decoded(step, false)).collect();
        let steps = steps.unwrap_or_default();
        let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
        let (form, done) = match steps.as_slice() {
            ["indexes", rest @ ..] => (Form::Control, self.control(request, rest)),
            ["data", name, "namespaces", namespace, "documents", verb] => {
                let done =
                    self.reach(request, name).and_then(|index| documents::answer(index, request, namespace, verb));
                (Form::Control, done)
            }
            ["data", name, rest @ ..] => {
                (Form::Data, self.reach(request, name).and_then(|index| vectors::answer(index, request, rest)))
            }
            _ => (Form::Control, Err(Failure::no_such_path(request))),
        };
        match done {
            Ok(body) => Response { status: 200, body, trouble: None },
            Err(failure) => answers::failed(&failure, form),
        }
    }

    /// The index of a name, for somebody who may reach it. To others it is not there.
    fn reach(&self, request: &Request<'_>, name: &str) -> Result<&Index, Failure> {
        let index = self.indexes.get(name).filter(|_| (request.may_reach)(name));
        index.map(Arc::as_ref).ok_or_else(|| Failure::not_found(format!("Resource {name} not found")))
    }
}

/// An index, and where its shadow's queries come out where it moves.
fn index(
    name: &str,
    settings: &IndexSettings,
    moves: &Path,
    encoders: Encoders<'_>,
) -> Result<(Arc<Index>, Option<Receiver<Asked>>), StartError> {
    let side = |settings: &StoreSettings| {
        let encoder = settings.encoder.as_deref().map(encoders).transpose();
        let encoder = encoder.map_err(|why| StartError::Encoder(name.to_owned(), why))?;
        Ok::<_, StartError>(Side::new(name, settings, encoder))
    };
    let source = side(&settings.source)?;
    let Some((of, move_to)) = settings.moves(name).zip(settings.moves_to.as_ref()) else {
        return Ok((Arc::new(Index::new(name, source, None)), None));
    };
    let failed = |error| StartError::Changes(name.to_owned(), error);
    let keeper = Changes::open(moves).map_err(failed)?;
    let standing = keeper.standing(&of).map_err(failed)?;
    let (offered, asked) = sync_channel(shadow::ROOM);
    let moving = Moving::new(of, standing, keeper, offered).map_err(failed)?;
    let target = Target::new(side(&move_to.target)?, standing.mode, moving);
    Ok((Arc::new(Index::new(name, source, Some(target))), Some(asked)))
}

/// Turns a move while nobody serves the index. Whoever calls this holds the lease of the file.
///
/// # Errors
/// Where the file fails, or an encoder cannot be used.
pub fn turn(settings: &IndexSettings, moves: &Path, encoders: Encoders<'_>, wish: Wish) -> Result<Outcome, StartError> {
    let name = wish.of.index.clone();
    let failed = |error| StartError::Changes(name.clone(), error);
    let (index, _asked) = index(&name, settings, moves, encoders)?;
    let Some(target) = index.target() else { return Ok(Outcome::Refused("it does not move".to_owned())) };
    Mover::new(Arc::clone(&index), Changes::open(moves).map_err(failed)?).turn(target, wish).map_err(failed)
}

/// What was percent-encoded; none of what is no UTF-8 then. In a query a plus is a blank.
fn decoded(text: &str, is_query: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            b'+' if is_query => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// The pairs of a query, in order.
fn pairs(query: &str) -> Result<Vec<(String, String)>, Failure> {
    let read = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decoded(key, true)?, decoded(value, true)?))
    };
    let pairs: Option<Vec<_>> = query.split('&').filter(|pair| !pair.is_empty()).map(read).collect();
    pairs.ok_or_else(|| Failure::invalid("the query of the address is not UTF-8"))
}
