use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use http::Uri;
use http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue, USER_AGENT};
use hyper_rustls::ConfigBuilderExt;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use wire::record::{Endpoint, Lane};

use crate::budget::RetryBudget;
use crate::config::{Dialect, Http2, Identity, ProviderConfig};
use crate::connect::Lookup;
use crate::ledger::{Ledger, Watch};
use crate::simulated::Simulated;

/// What all threads of one lane share about providers: the count of calls in flight, the budget of retries, TLS roots. The live traffic is one
/// lane, the shadow another: shadow calls never use up a limit of live ones. The simulated servers are common to all
/// lanes, because they stand for servers outside.
#[derive(Debug, Default)]
pub struct Shared {
    states: Mutex<HashMap<Identity, Arc<State>>>,
    simulated: Arc<Mutex<HashMap<Identity, Arc<Simulated>>>>,
    lookup: Option<Lookup>,
    watch: Option<Watch>,
}

impl Shared {
    /// The first lane.
    pub fn new() -> Self {
        Self::default()
    }

    /// The first lane, with names looked up here instead of by the system.
    pub fn looking_up(lookup: Lookup) -> Self {
        Self { lookup: Some(lookup), ..Self::default() }
    }

    /// The same, with a ledger of the connections of all its lanes.
    #[must_use]
    pub fn watched(mut self, ledger: Arc<dyn Ledger>, lane: Lane) -> Self {
        self.watch = Some(Watch { ledger, lane });
        self
    }

    /// The shadow's lane: own limits, the same simulated servers, the same ledger.
    pub fn lane(&self) -> Self {
        let watch = self.watch.clone().map(|watch| Watch { lane: Lane::Shadow, ..watch });
        let (simulated, lookup) = (Arc::clone(&self.simulated), self.lookup.clone());
        Self { states: Mutex::default(), simulated, lookup, watch }
    }

    /// The provider of this config. Everything that outlives a reload is taken over when the identity is the same.
    pub fn provider(&self, config: Arc<ProviderConfig>) -> Result<Arc<Provider>, ProviderError> {
        let identity = config.identity();
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let state = match states.get(&identity) {
            Some(state) => Arc::clone(state),
            None => {
                let simulated = self.simulated_for(&config, identity);
                let outside = (self.lookup.clone(), self.watch.clone());
                let state = Arc::new(State::new(&config, identity, simulated, outside)?);
                states.insert(identity, Arc::clone(&state));
                state
            }
        };
        Ok(Arc::new(Provider { config, state }))
    }

    /// Forgets every provider that is not among these identities and that nobody has any more: a thread may still work with
    /// an earlier config, and another lane with the same simulated server.
    pub fn retain(&self, keep: &[Identity]) {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.retain(|identity, state| keep.contains(identity) || Arc::strong_count(state) > 1);
        drop(states);
        let mut simulated = self.simulated.lock().unwrap_or_else(PoisonError::into_inner);
        simulated.retain(|identity, server| keep.contains(identity) || Arc::strong_count(server) > 1);
    }

    /// The simulated server of the provider of this name, for reading and turning its knobs.
    pub fn simulated(&self, name: &str) -> Option<Arc<Simulated>> {
        let simulated = self.simulated.lock().unwrap_or_else(PoisonError::into_inner);
        simulated.values().find(|simulated| simulated.name() == name).cloned()
    }

    fn simulated_for(&self, config: &ProviderConfig, identity: Identity) -> Option<Arc<Simulated>> {
        let Dialect::Simulated(settings) = &config.dialect else { return None };
        let mut simulated = self.simulated.lock().unwrap_or_else(PoisonError::into_inner);
        // One server per name: with changed settings, the new one takes the place of the old.
        simulated.retain(|other, server| *other == identity || server.name() != config.name);
        let server =
            simulated.entry(identity).or_insert_with(|| Arc::new(Simulated::new(&config.name, (**settings).clone())));
        Some(Arc::clone(server))
    }
}

/// A provider ready to be called: its config and what outlives a reload. Cheap to share between threads.
pub struct Provider {
    config: Arc<ProviderConfig>,
    pub(crate) state: Arc<State>,
}

impl Provider {
    /// Its config.
    pub fn config(&self) -> &ProviderConfig {
        &self.config
    }

    /// Its identity.
    pub fn identity(&self) -> Identity {
        self.state.identity
    }

    /// How many calls are in flight on this lane.
    pub fn in_flight(&self) -> usize {
        self.state.in_flight.load(Ordering::Relaxed)
    }

    /// How many connections were made to it on this lane so far.
    pub fn n_connections(&self) -> u64 {
        self.state.n_connections.load(Ordering::Relaxed)
    }

    /// Counts what it gets, and whether a retry may be among it.
    pub fn budget(&self) -> &RetryBudget {
        &self.state.budget
    }

    /// The simulated server behind it, if it is one.
    pub fn simulated(&self) -> Option<&Arc<Simulated>> {
        self.state.simulated.as_ref()
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Why a provider cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The file with its certificates cannot be read.
    #[error("cannot read the certificates of `ca_file` {path}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The TLS settings do not go together.
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
    /// The key cannot be sent in a header.
    #[error("the API key of provider `{0}` has characters that cannot be sent in a header")]
    ApiKey(String),
}

/// What outlives a reload.
pub(crate) struct State {
    pub(crate) identity: Identity,
    pub(crate) in_flight: Arc<AtomicUsize>,
    pub(crate) n_connections: Arc<AtomicU64>,
    budget: RetryBudget,
    pub(crate) simulated: Option<Arc<Simulated>>,
    pub(crate) lookup: Option<Lookup>,
    pub(crate) watch: Option<Watch>,
    /// The headers every call starts with.
    pub(crate) headers: HeaderMap,
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
    /// The URL of each endpoint, in the order of the list.
    uris: Vec<Uri>,
}

impl State {
    fn new(
        config: &ProviderConfig,
        identity: Identity,
        simulated: Option<Arc<Simulated>>,
        (lookup, watch): (Option<Lookup>, Option<Watch>),
    ) -> Result<Self, ProviderError> {
        Ok(Self {
            identity,
            in_flight: Arc::new(AtomicUsize::new(0)),
            n_connections: Arc::default(),
            budget: RetryBudget::new(Instant::now()),
            simulated,
            lookup,
            watch,
            headers: headers(config)?,
            tls: if config.base_url.is_https() { Some(Arc::new(tls(config)?)) } else { None },
            uris: Endpoint::ALL.iter().map(|endpoint| config.uri(*endpoint)).collect(),
        })
    }

    pub(crate) fn uri(&self, endpoint: Endpoint) -> &Uri {
        &self.uris[endpoint as usize]
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// The allow-list of outbound headers that do not change between calls. Nothing of the caller's is among them.
fn headers(config: &ProviderConfig) -> Result<HeaderMap, ProviderError> {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("crossfade/", env!("CARGO_PKG_VERSION"))));
    let key = config.api_key.as_ref();
    config.dialect.sign(&mut headers, key).map_err(|_| ProviderError::ApiKey(config.name.clone()))?;
    // HTTP/1.1 for certain: the header is made once here instead of once per call. HTTP/2 has `:authority` for it.
    let http1_for_certain =
        config.http2 == Http2::Never || (!config.base_url.is_https() && config.http2 == Http2::Auto);
    if http1_for_certain && let Ok(host) = HeaderValue::try_from(config.base_url.authority()) {
        headers.insert(HOST, host);
    }
    Ok(headers)
}

fn tls(config: &ProviderConfig) -> Result<rustls::ClientConfig, ProviderError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(ProviderError::Tls)?;
    let mut tls = match &config.ca_file {
        Some(path) => {
            let mut roots = rustls::RootCertStore::empty();
            let unreadable = |source| ProviderError::CaFile { path: path.clone(), source };
            let certificates =
                CertificateDer::pem_file_iter(path).map_err(|error| unreadable(io::Error::other(error)))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| unreadable(io::Error::other(error)))?;
                roots.add(certificate).map_err(ProviderError::Tls)?;
            }
            if roots.is_empty() {
                return Err(unreadable(io::Error::other("no certificate in it")));
            }
            builder.with_root_certificates(roots).with_no_client_auth()
        }
        // A machine without any system certificate falls back to the built-in Mozilla list.
        None => match builder.clone().with_native_roots() {
            Ok(builder) => builder.with_no_client_auth(),
            Err(error) => {
                tracing::warn!(%error, "no system certificates, using the built-in list");
                builder.with_webpki_roots().with_no_client_auth()
            }
        },
    };
    tls.alpn_protocols = match config.http2 {
        Http2::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        Http2::Never => vec![b"http/1.1".to_vec()],
        Http2::PriorKnowledge => vec![b"h2".to_vec()],
    };
    Ok(tls)
}
