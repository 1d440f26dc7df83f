//! One request to the vendor, made again for as long as that is of use.

use std::cell::Cell;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::Method;
use http::uri::PathAndQuery;
use providers::{Call, Client, Provider, Reply, Special, Timeouts};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use wire::failure::FailureKind;
use wire::record::Endpoint;
use wire::splice::Pieces;

use crate::archive::at;
use crate::crawl::CrawlError;

/// The longest page or object that is read.
const LONGEST: usize = 256 << 20;
/// Tries of a request that fails for another cause than a limit of rate.
const TRIES: u32 = 6;
/// The wait after the first failure; doubled after each further one.
const BASE: Duration = Duration::from_millis(250);
/// The longest wait between two tries, and the longest that a vendor's `retry-after` is taken at its word.
const CAP: Duration = Duration::from_secs(60);
/// A limit of rate is waited for as long as this, all in all, before the run gives up; it can be gone on with later.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// How long a body may stand still.
const STILL: Duration = Duration::from_secs(60);

/// How fast is asked.
#[derive(Debug, Clone, Copy)]
pub struct Pacing {
    /// The least time between two requests.
    pub spacing: Duration,
    /// Requests under way at once.
    pub at_once: usize,
}

/// The vendor.
pub struct Vendor {
    client: Client,
    provider: std::sync::Arc<Provider>,
    pacing: Pacing,
    next: Cell<Instant>,
    n_requests: Cell<u64>,
    n_waits: Cell<u64>,
}

/// Why the vendor does not give something out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct No {
    /// The status.
    pub(crate) status: u16,
    /// What it said.
    pub(crate) said: String,
}

impl No {
    /// For people.
    pub(crate) fn text(&self) -> String {
        if self.said.is_empty() {
            format!("status {}", self.status)
        } else {
            format!("status {}: {}", self.status, self.said)
        }
    }
}

/// What comes of a request: what was wanted, or the vendor's refusal.
pub(crate) type Answer<T> = Result<Result<T, No>, CrawlError>;

impl Vendor {
    /// One that is asked at this pace.
    #[must_use]
    pub fn new(provider: std::sync::Arc<Provider>, pacing: Pacing) -> Vendor {
        let next = Cell::new(Instant::now());
        Vendor { client: Client::new(), provider, pacing, next, n_requests: Cell::new(0), n_waits: Cell::new(0) }
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        self.provider.config().base_url.to_string()
    }

    /// Requests so far, and how often was waited for a limit of rate.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.n_requests.get(), self.n_waits.get())
    }

    pub(crate) fn at_once(&self) -> usize {
        self.pacing.at_once.max(1)
    }

    /// A document.
    pub(crate) async fn get(&self, path: &str) -> Answer<Bytes> {
        self.tried(path, async |reply: Reply| {
            reply.body.collect(LONGEST).await.map_err(|failure| failure.detail).map(Ok)
        })
        .await
    }

    /// Bytes, into a file that is there whole or not at all: how many, and their SHA-256.
    pub(crate) async fn save(&self, path: &str, file: &Path) -> Answer<(u64, String)> {
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent).map_err(at(parent))?;
        }
        let part = file.with_extension("part");
        self.tried(path, async |reply: Reply| {
            let mut body = reply.body;
            let (mut hash, mut n) = (Sha256::new(), 0_u64);
            let mut to = match std::fs::File::create(&part) {
                Ok(to) => to,
                Err(error) => return Ok(Err(at(&part)(error).into())),
            };
            while let Some(piece) = tokio::time::timeout(STILL, body.next()).await.map_err(|_| cut_short())? {
                let piece = piece.map_err(|failure| failure.detail)?;
                hash.update(&piece);
                n += piece.len() as u64;
                if let Err(error) = to.write_all(&piece) {
                    return Ok(Err(at(&part)(error).into()));
                }
            }
            if let Err(error) = std::fs::rename(&part, file) {
                return Ok(Err(at(file)(error).into()));
            }
            Ok(Ok((n, hex(&hash.finalize()))))
        })
        .await
    }

    /// Asks until there is an answer that stands. `read` says what went wrong on the way (asked again), or what must end the run.
    async fn tried<T>(
        &self,
        path: &str,
        read: impl AsyncFn(Reply) -> Result<Result<T, CrawlError>, String>,
    ) -> Answer<T> {
        let below: PathAndQuery = path
            .parse()
            .map_err(|_| CrawlError::Vendor { path: path.to_owned(), why: "this is no path".to_owned() })?;
        let (mut n_failed, mut waited) = (0, Duration::ZERO);
        loop {
            self.turn().await;
            let why = match self.client.call(&self.provider, call(below.clone())).await {
                Err(failure) => failure.detail,
                Ok(reply) if reply.status.is_success() => match read(reply).await {
                    Ok(done) => return done.map(Ok),
                    Err(why) => why,
                },
                Ok(reply) => {
                    let (status, headers) = (reply.status, reply.headers.clone());
                    let body = reply.body.collect(LONGEST).await.unwrap_or_default();
                    let failure = providers::classify(status, &headers, &body, SystemTime::now());
                    let no = No { status: status.as_u16(), said: said(&body) };
                    match failure.kind {
                        FailureKind::RateLimited if waited < PATIENCE => {
                            let wait = providers::classify::retry_after(&headers, SystemTime::now())
                                .unwrap_or(BASE * 4)
                                .clamp(BASE / 25, CAP);
                            waited += wait;
                            self.n_waits.set(self.n_waits.get() + 1);
                            // A limit of rate is of everything that is asked: all wait.
                            self.next.set(self.next.get().max(Instant::now() + wait));
                            continue;
                        }
                        FailureKind::HttpServerError => no.text(),
                        FailureKind::RateLimited | FailureKind::QuotaExhausted => {
                            return Err(CrawlError::Vendor { path: path.to_owned(), why: no.text() });
                        }
                        _ => return Ok(Err(no)),
                    }
                }
            };
            n_failed += 1;
            if n_failed >= TRIES {
                return Err(CrawlError::Vendor { path: path.to_owned(), why: format!("{why} ({TRIES} tries)") });
            }
            tokio::time::sleep(BASE.saturating_mul(1 << n_failed.min(8)).min(CAP) / 2).await;
        }
    }

    /// Waits until a request may be made.
    async fn turn(&self) {
        loop {
            let (now, next) = (Instant::now(), self.next.get());
            if next <= now {
                self.next.set(now + self.pacing.spacing);
                self.n_requests.set(self.n_requests.get() + 1);
                return;
            }
            tokio::time::sleep_until(next.into()).await;
        }
    }
}

impl std::fmt::Debug for Vendor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vendor").field("url", &self.url()).finish_non_exhaustive()
    }
}

fn cut_short() -> String {
    "the answer stood still and did not end".to_owned()
}

/// The message of an error, as far as there is one.
fn said(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Body {
        error: Message,
    }
    #[derive(Deserialize)]
    struct Message {
        message: String,
    }
    let message = serde_json::from_slice::<Body>(body).map(|body| body.error.message).unwrap_or_default();
    message.chars().take(200).collect()
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn call(below: PathAndQuery) -> Call {
    let patience = Duration::from_secs(60);
    let timeouts = Timeouts {
        connect: Duration::from_secs(10),
        first_token: patience,
        inter_token: patience,
        total: patience,
        answer: Some(patience),
    };
    Call {
        endpoint: Endpoint::ChatCompletions,
        body: Pieces::from(Bytes::new()),
        streamed: false,
        request_id: None,
        hops: 0,
        timeouts,
        sent: None,
        pause: Duration::ZERO,
        special: Some(Box::new(Special { method: Some(Method::GET), below: Some(below), ..Special::default() })),
    }
}
