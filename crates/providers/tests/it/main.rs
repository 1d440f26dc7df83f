//! Calls over real sockets.
#![cfg(test)]

mod abort;
mod faults;
mod http2;
mod plain;
mod stale;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use providers::{BaseUrl, Call, Client, Dialect, Provider, ProviderConfig, Reply, Shared, Timeouts};
use wire::failure::Failure;
use wire::record::Endpoint;
use wire::splice::{Edit, Pieces};

const BODY: &str = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hello"}]}"#;
const SECOND: Duration = Duration::from_secs(1);

fn provider(url: &str) -> Arc<Provider> {
    provider_with(url, |_| ())
}

fn provider_with(url: &str, change: impl FnOnce(&mut ProviderConfig)) -> Arc<Provider> {
    let mut config = ProviderConfig::new("test", Dialect::Openai, BaseUrl::parse(url).unwrap());
    change(&mut config);
    Shared::new().provider(Arc::new(config)).unwrap()
}

fn call() -> Call {
    Call {
        endpoint: Endpoint::ChatCompletions,
        body: Pieces::of(Bytes::from_static(BODY.as_bytes()), &[]),
        streamed: false,
        request_id: None,
        hops: 0,
        timeouts: Timeouts::default(),
        sent: None,
        pause: Duration::ZERO,
        special: None,
    }
}

fn streamed() -> Call {
    Call { streamed: true, ..call() }
}

/// The body in three pieces, with the model replaced by `tiny`.
fn spliced() -> Pieces {
    let at = BODY.find("gpt-4o").unwrap();
    Pieces::of(Bytes::from_static(BODY.as_bytes()), &[Edit::new(at..at + 6, "tiny")])
}

async fn read(reply: Result<Reply, Failure>) -> Result<String, Failure> {
    let bytes = reply?.body.collect(1 << 20).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

async fn ask(client: &Client, provider: &Provider, call: Call) -> Result<String, Failure> {
    read(client.call(provider, call).await).await
}
