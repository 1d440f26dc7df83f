//! What these tests drive: an engine that asks servers at URLs as they are, and the plan of a level.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bench::arrivals::Pattern;
use bench::engine::turns::Turns;
use bench::engine::{Ask, Asked, Engine, ReadStream, Target};
use bench::plan::Plan;
use bench::prompt::{Lengths, Maker, Source};
use bench::result::{BenchResult, Load};
use bench::run::run;
use bytes::Bytes;
use providers::{BaseUrl, Call, Dialect, ProviderConfig, Shared, Timeouts};
use serde_json::Map;
use wire::failure::{Failure, FailureKind};
use wire::record::Endpoint;
use wire::splice::Pieces;
use wire::sse::{Decoder, Event};

/// Asks as it is.
struct Plain;

impl Ask for Plain {
    fn prepare(&self, body: Bytes) -> Result<Box<dyn Asked>, Failure> {
        Ok(Box::new(Ready(body)))
    }
}

struct Ready(Bytes);

impl Asked for Ready {
    fn call(&self, timeouts: Timeouts) -> Call {
        Call {
            endpoint: Endpoint::ChatCompletions,
            body: Pieces::from(self.0.clone()),
            streamed: true,
            request_id: None,
            hops: 0,
            timeouts,
            sent: None,
            pause: Duration::ZERO,
            special: None,
        }
    }

    fn reader(&self) -> Box<dyn ReadStream> {
        Box::new(Reader(Decoder::new()))
    }
}

struct Reader(Decoder);

impl ReadStream for Reader {
    fn push(&mut self, bytes: &Bytes, chunks: &mut Vec<Event>) -> Result<(), Failure> {
        self.0.push(bytes.clone(), chunks).map_err(|error| Failure::new(FailureKind::Malformed, error.to_string()))
    }

    fn end(&mut self, _: &mut Vec<Event>) -> Result<(), Failure> {
        Ok(())
    }
}

/// Asks these servers, each by its name, for eight words in and three tokens out.
pub fn engine(servers: &[(&str, String)]) -> Engine {
    let shared = Shared::new();
    let target = |(name, server): &(&str, String)| {
        let url = BaseUrl::parse(&format!("{server}/v1")).unwrap();
        let config = ProviderConfig::new(*name, Dialect::Openai, url);
        Target::new((name, "m"), &config, (&shared, Arc::new(Plain))).unwrap()
    };
    let source = Source::Synthetic { input: Lengths::Fixed(8), prefix: (0, 1) };
    Engine {
        targets: servers.iter().map(target).collect(),
        maker: Maker {
            source,
            output: Some(Lengths::Fixed(3)),
            extra: Map::new(),
            stream: true,
            ignore_eos: true,
            seed: 1,
        },
        n_workers: 2,
        stop: Arc::new(AtomicBool::new(false)),
    }
}

/// Forty requests, evenly spread.
pub fn plan(load: Load) -> Plan {
    Plan {
        loads: vec![load],
        pattern: Pattern::Constant,
        shapes: Vec::new(),
        turns: Turns::Each,
        warm_up: Duration::ZERO,
        span: Duration::from_secs(60),
        most_requests: Some(40),
        drain: Duration::from_secs(20),
        timeout: Duration::from_secs(20),
        slo: None,
        search: None,
        peak: None,
        seed: 1,
    }
}

pub fn ran(engine: &Engine, plan: &Plan) -> BenchResult {
    let mut result = BenchResult::new("r", "load", 1);
    run(engine, plan, &mut result, &|_| {});
    result
}
