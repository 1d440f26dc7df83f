//! Earlier responses that a request of the Responses API may go on from, for callers of targets whose provider keeps none.
//!
//! What was said lately is in memory; the rest is made again from the record, where every exchange is. Only requests that name
//! an earlier response come here, so only they can wait for it. What was kept belongs to the principal that said it.

mod answers;
mod rebuild;

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use store::{Database, DatabaseError};
use wire::failure::{Failure, FailureKind};
use wire::ids::ExchangeId;
use wire::openai::{ErrorBody, Refusal};
use wire::record::Endpoint;
use wire::scan::{self, Kind};
use wire::sse::Decoder;
use wire::translate::responses;

use crate::assign;
use crate::authenticate::Principal;
use crate::parse::Parsed;
use crate::record::Exchange;
use crate::snapshot::Keeping;
use crate::worker::Worker;

pub(crate) use answers::{answer, is_ours};

/// How long a request waits for the record.
const PATIENCE: Duration = Duration::from_secs(2);

/// Deleted responses that are remembered; the record has older ones.
const MAX_DELETED: usize = 4096;

/// A conversation up to one response.
#[derive(Clone)]
pub(crate) struct Kept {
    /// The items of the conversation, a JSON array: what was put in, and what came out.
    pub(crate) items: Bytes,
    /// The response as the caller saw it.
    response: Bytes,
    /// The key of the conversation's unit.
    pub(crate) conversation: [u8; 16],
    /// The provider that knows the response by its id, because it is its own.
    pub(crate) provider: Option<String>,
    /// The routes its requests came by: a conversation stays in the house when one of them does.
    pub(crate) routes: Vec<String>,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<private {} bytes>", self.items.len() + self.response.len())
    }
}

/// What was kept, shared by all workers.
pub struct Recall {
    memory: Mutex<Memory>,
    store: Option<PathBuf>,
    opened: Mutex<Option<Arc<Database>>>,
}

impl std::fmt::Debug for Recall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recall").field("n_bytes", &self.memory().n_bytes).finish_non_exhaustive()
    }
}

/// Whose, and under which id.
type Name = (Option<String>, String);

#[derive(Debug, Default)]
struct Memory {
    kept: HashMap<Name, Arc<Kept>>,
    /// In the order in which they came: the oldest is forgotten first.
    order: VecDeque<Name>,
    n_bytes: usize,
    /// What was deleted lately, the last of it at the end: the record may not have it yet.
    deleted: VecDeque<Name>,
}

impl Recall {
    /// Nothing kept yet, and the record in the database at `store`, if there is one.
    #[must_use]
    pub fn new(store: Option<PathBuf>) -> Self {
        Self { memory: Mutex::default(), store, opened: Mutex::default() }
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, principal: Option<&str>, id: &str) -> Option<Arc<Kept>> {
        self.memory().kept.get(&(principal.map(str::to_owned), id.to_owned())).cloned()
    }

    fn put(&self, name: Name, kept: Arc<Kept>, limit: usize) {
        let n_bytes = kept.n_bytes();
        // One conversation must not push out all others.
        if n_bytes > limit / 8 {
            return;
        }
        let mut memory = self.memory();
        if memory.deleted.contains(&name) {
            return;
        }
        memory.n_bytes += n_bytes;
        if let Some(before) = memory.kept.insert(name.clone(), kept) {
            memory.n_bytes -= before.n_bytes();
            memory.order.retain(|other| *other != name);
        }
        memory.order.push_back(name);
        while memory.n_bytes > limit
            && let Some(oldest) = memory.order.pop_front()
        {
            if let Some(gone) = memory.kept.remove(&oldest) {
                memory.n_bytes -= gone.n_bytes();
            }
        }
    }

    /// Neither memory nor the record gives it again.
    fn delete(&self, name: Name) {
        let mut memory = self.memory();
        if let Some(gone) = memory.kept.remove(&name) {
            memory.n_bytes -= gone.n_bytes();
        }
        memory.order.retain(|other| *other != name);
        if memory.deleted.len() == MAX_DELETED {
            memory.deleted.pop_front();
        }
        memory.deleted.push_back(name);
    }

    fn was_deleted(&self, name: &Name) -> bool {
        self.memory().deleted.contains(name)
    }

    /// The record, opened at the first question. Blocks.
    pub(crate) fn database(&self) -> Result<Option<Arc<Database>>, DatabaseError> {
        let Some(path) = &self.store else { return Ok(None) };
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if opened.is_none() {
            *opened = Some(Arc::new(Database::open_read_only(path)?));
        }
        Ok(opened.clone())
    }
}

impl Kept {
    fn n_bytes(&self) -> usize {
        self.items.len() + self.response.len() + 256
    }

    /// The conversation after `request`, which went on from `before`, was answered with `response`.
    fn after(
        request: &[u8],
        before: Option<&[u8]>,
        response: Bytes,
        (conversation, provider): ([u8; 16], Option<String>),
        routes: Vec<String>,
    ) -> Option<Self> {
        let output = member(&response, "output")?;
        let whole = match before {
            Some(before) => responses::prepend(request, before).ok()?,
            None => Bytes::copy_from_slice(request),
        };
        let items = responses::kept(&whole, &response[output])?;
        Some(Self { items, response, conversation, provider, routes })
    }
}

/// The id of a response that Crossfade made, and the exchange it is of.
pub(crate) fn exchange_of(id: &str) -> Option<ExchangeId> {
    let hex = id.strip_prefix("resp_").filter(|hex| hex.len() == 32)?;
    let lower = hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    lower.then(|| u128::from_str_radix(hex, 16).ok().map(ExchangeId::from_u128)).flatten()
}

/// Looks up what the request goes on from. A response that is a provider's own and not known here is left to the provider.
pub(crate) async fn go_on(worker: &Worker, principal: &Principal, request: &mut Parsed) -> Result<(), Refusal> {
    let Some(id) = request.view.previous_response_id.clone() else { return Ok(()) };
    let prepared = worker.prepared();
    let keeping = &prepared.snapshot.keeping;
    if !keeping.keep {
        return if exchange_of(&id).is_some() { Err(not_kept()) } else { Ok(()) };
    }
    request.kept = match look_up(worker, principal, &id, keeping).await? {
        Some(kept) => Some(kept),
        None if exchange_of(&id).is_some() => return Err(not_found(&id, "previous_response_id")),
        None => None,
    };
    Ok(())
}

/// What was kept under `id`, from memory or made again from the record.
async fn look_up(
    worker: &Worker,
    principal: &Principal,
    id: &str,
    keeping: &Keeping,
) -> Result<Option<Arc<Kept>>, Refusal> {
    if let Some(kept) = worker.deps.recall.find(principal.id(), id) {
        return Ok(Some(kept));
    }
    let name = (principal.id().map(str::to_owned), id.to_owned());
    let Some(exchange) = exchange_of(id).filter(|_| !worker.deps.recall.was_deleted(&name)) else { return Ok(None) };
    let (recall, owner) = (Arc::clone(&worker.deps.recall), name.0.clone());
    let rebuild = tokio::task::spawn_blocking(move || {
        let Some(database) = recall.database()? else { return Ok(None) };
        rebuild::rebuild(&database, owner.as_deref(), exchange)
    });
    let failure = match tokio::time::timeout(PATIENCE, rebuild).await {
        Ok(Ok(Ok(None))) => return Ok(None),
        Ok(Ok(Ok(Some(kept)))) => {
            let kept = Arc::new(kept);
            worker.deps.recall.put(name, Arc::clone(&kept), keeping.memory);
            return Ok(Some(kept));
        }
        Ok(Ok(Err(error))) => error.to_string(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {PATIENCE:?}"),
    };
    tracing::error!(%failure, "an earlier response could not be looked up");
    Err(Refusal::of(&Failure::new(FailureKind::RecordUnavailable, failure)))
}

/// Keeps what an exchange said, unless its caller or the config wants it forgotten. `last` is the answer as the caller gets
/// it, or the last events of it; `target` is who answered.
pub(crate) fn keep(exchange: &Exchange, last: &Bytes, target: &str) {
    let keeping = &exchange.prepared.snapshot.keeping;
    let request = &exchange.request;
    if request.endpoint != Endpoint::Responses || !keeping.keep || request.view.store == Some(false) {
        return;
    }
    let Some(response) = response_in(last) else { return };
    let id = member(&response, "id").and_then(|id| scan::unescape(&response, id).ok().map(|id| id.into_owned()));
    let status = member(&response, "status").map(|status| response[status].to_vec());
    let is_over = matches!(status.as_deref(), Some(b"\"completed\"" | b"\"incomplete\""));
    let Some(id) = id.filter(|_| is_over) else { return };
    let principal = exchange.principal.id();
    let conversation = match &request.kept {
        Some(kept) => kept.conversation,
        None => assign::prefix_hash(principal, request.conversation_prefix().unwrap_or_default()),
    };
    let before = request.kept.as_ref().map(|kept| kept.items.as_ref());
    // An id that is not made from the exchange's is the provider's, and the provider knows it.
    let is_theirs = exchange_of(&id) != Some(exchange.id);
    let target = exchange.prepared.destination(target).filter(|_| is_theirs);
    let provider = target.map(|destination| destination.target.provider.name.clone());
    let routes = request.kept.as_ref().map_or_else(Vec::new, |kept| kept.routes.clone());
    let routes = with_route(routes, &exchange.route.name);
    if let Some(kept) = Kept::after(&request.body, before, response, (conversation, provider), routes) {
        exchange.worker.deps.recall.put((principal.map(str::to_owned), id), Arc::new(kept), keeping.memory);
    }
}

/// The same routes and this one.
fn with_route(mut routes: Vec<String>, route: &str) -> Vec<String> {
    if !routes.iter().any(|other| other == route) {
        routes.push(route.to_owned());
    }
    routes
}

/// The response object that `bytes` are, or that the last event in them has.
fn response_in(bytes: &Bytes) -> Option<Bytes> {
    if bytes.first() == Some(&b'{') {
        return Some(bytes.clone());
    }
    let mut events = Vec::new();
    Decoder::with_limit(bytes.len()).push(bytes.clone(), &mut events).ok()?;
    let last = events.iter().rev().find(|event| !event.is_comment() && event.data.first() == Some(&b'{'))?;
    member(&last.data, "response").map(|response| last.data.slice(response))
}

/// Where a member of the one object that `object` is, is.
fn member(object: &[u8], name: &str) -> Option<std::ops::Range<usize>> {
    let mut found = None;
    scan::each_top_level(object, |member| {
        if member.key == name && member.kind != Kind::Null {
            found = Some(member.value);
        }
        Ok(())
    })
    .ok()?;
    found
}

fn not_found(id: &str, param: &'static str) -> Refusal {
    let id: String = id.chars().take(80).collect();
    let mut refusal = Refusal::invalid_request("", Some(param));
    let body = ErrorBody::new(format!("Previous response with id '{id}' not found."), "invalid_request_error");
    refusal.body = body.with_param(param).with_code("previous_response_not_found");
    refusal
}

fn not_kept() -> Refusal {
    let words = "This gateway keeps no responses, so a request cannot go on from one. Send the whole conversation as \
                 `input`, or have whoever runs it write `responses: { keep: true }` in its config.";
    let mut refusal = Refusal::invalid_request(words, Some("previous_response_id"));
    refusal.body = refusal.body.with_code("responses_not_kept");
    refusal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(n_bytes: usize) -> Arc<Kept> {
        let items = Bytes::from(vec![b' '; n_bytes - 256]);
        Arc::new(Kept { items, response: Bytes::new(), conversation: [0; 16], provider: None, routes: Vec::new() })
    }

    #[test]
    fn an_id_is_ours_when_it_is_that_of_an_exchange() {
        let id = ExchangeId::new(1_700_000_000_123, [7; 10]);
        assert_eq!(exchange_of(&format!("resp_{:032x}", id.as_u128())), Some(id));
        for other in [
            "resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b",
            "resp_",
            "0192",
            "resp_+0000000000000000000000000000000",
        ] {
            assert_eq!(exchange_of(other), None, "{other}");
        }
    }

    #[test]
    fn memory_forgets_the_oldest_and_never_takes_what_would_push_out_all_others() {
        let recall = Recall::new(None);
        let name = |id: &str| (Some("p".to_owned()), id.to_owned());
        for id in ["a", "b", "c"] {
            recall.put(name(id), kept(1000), 8000);
        }
        recall.put(name("d"), kept(1000), 8000);
        recall.put(name("large"), kept(1001), 8000);
        assert!(recall.find(Some("p"), "large").is_none());
        assert!(recall.find(None, "a").is_none(), "another principal's");
        (0..8).for_each(|n| recall.put(name(&n.to_string()), kept(1000), 8000));
        assert!(recall.find(Some("p"), "d").is_none() && recall.find(Some("p"), "7").is_some());
        recall.put(name("7"), kept(1000), 8000);
        recall.put(name("8"), kept(1000), 8000);
        assert!(recall.find(Some("p"), "7").is_some(), "what was kept again is not the oldest");
        recall.delete(name("7"));
        recall.put(name("7"), kept(1000), 8000);
        assert!(recall.find(Some("p"), "7").is_none() && recall.was_deleted(&name("7")));
        assert_eq!(recall.memory().n_bytes, 7000);
    }

    #[test]
    fn a_response_is_found_whole_and_in_the_last_event() {
        let whole = Bytes::from_static(br#"{"id":"resp_1","output":[]}"#);
        assert_eq!(response_in(&whole), Some(whole.clone()));
        let events = Bytes::from(format!(
            "event: response.output_item.done\ndata: {{\"type\":\"x\"}}\n\nevent: response.completed\ndata: {{\"type\":\"response.completed\",\"response\":{}}}\n\n",
            std::str::from_utf8(&whole).unwrap()
        ));
        assert_eq!(response_in(&events), Some(whole));
        assert_eq!(response_in(&Bytes::from_static(b"data: [DONE]\n\n")), None);
    }

    #[test]
    fn a_conversation_grows_by_what_was_put_in_and_what_came_out() {
        let response = Bytes::from_static(br#"{"id":"resp_1","output":[{"type":"message","role":"assistant"}]}"#);
        let first = Kept::after(br#"{"input":"hi"}"#, None, response.clone(), ([0; 16], None), Vec::new()).unwrap();
        assert_eq!(
            first.items,
            r#"[{"type":"message","role":"user","content":"hi"},{"type":"message","role":"assistant"}]"#
        );
        let second = Kept::after(
            br#"{"previous_response_id":"resp_1","input":[{"role":"user"}]}"#,
            Some(&first.items),
            response,
            ([0; 16], None),
            Vec::new(),
        );
        let n_items = second.unwrap().items.windows(6).filter(|window| window == b"\"role\"").count();
        assert_eq!(n_items, 4);
    }
}
