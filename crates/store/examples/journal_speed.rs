//! Prints what a record costs: CPU microseconds and records per second, with 64 tasks that submit and wait.
//!
//! `cargo run --release -p store --example journal_speed [body bytes] [seconds] [durable|strict|best_effort] [pause ms]`
//!
//! The pause is between two exchanges of a task: without one the disk is what is measured.

use std::io::Write as _;
use std::rc::Rc;
use std::time::{Duration, Instant};

use store::{Config, Database, Journal, Mode, Shipper, ShipperConfig, SubmitError};
use tokio::task::LocalSet;
use wire::ids::ExchangeId;
use wire::private::Private;
use wire::record::{AnswerRecord, AttemptRecord, AttemptRole, Endpoint, ExchangeOutcome, Record, RequestRecord};

const N_WAITERS: u64 = 64;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let n_bytes: usize = arguments.next().map_or(Ok(600), |text| text.parse())?;
    let seconds: u64 = arguments.next().map_or(Ok(3), |text| text.parse())?;
    let mode = match arguments.next().as_deref() {
        Some("strict") => Mode::Strict,
        Some("best_effort") => Mode::BestEffort,
        _ => Mode::Durable,
    };
    let pause = Duration::from_millis(arguments.next().map_or(Ok(2), |text| text.parse())?);
    let dir = std::env::temp_dir().join(format!("crossfade-journal-speed-{}", std::process::id()));
    let (journal, _) = Journal::open(dir.join("journal"), Config { mode, ..Config::default() })?;
    let body = body(n_bytes);
    let (before, began) = (Cpu::now(), Instant::now());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let n_exchanges = runtime.block_on(LocalSet::new().run_until(load(
        journal.clone(),
        body,
        Duration::from_secs(seconds),
        pause,
    )))?;
    let (spent, elapsed) = (Cpu::now().since(before), began.elapsed());
    let counts = journal.counts();
    let n = counts.records.max(1) as f64;
    let mut out = std::io::stdout().lock();
    writeln!(out, "mode {mode:?}, body {n_bytes} B, {N_WAITERS} waiters, {n_exchanges} exchanges of two records")?;
    writeln!(out, "records/s             {:>10.0}", n / elapsed.as_secs_f64())?;
    writeln!(out, "records per write     {:>10.1}", n / counts.batches.max(1) as f64)?;
    writeln!(out, "syncs                 {:>10}", counts.syncs)?;
    writeln!(out, "CPU us per record     {:>10.2}   all threads", (spent.request + spent.writer + spent.sync) / n)?;
    writeln!(out, "  request thread      {:>10.2}   encoding, submitting and 64 tasks being woken", spent.request / n)?;
    writeln!(out, "  writer thread       {:>10.2}", spent.writer / n)?;
    writeln!(out, "  sync thread         {:>10.2}", spent.sync / n)?;
    let database = Database::open(dir.join("crossfade.db"))?;
    let began = Instant::now();
    let shipper = Shipper::start(&journal, &database, ShipperConfig::default())?;
    let shipped = shipper.flush(Duration::from_secs(120));
    let ship = shipper.counts();
    let kib = ship.body_bytes.max(1) as f64 / 1024.0;
    writeln!(
        out,
        "shipping              {:>10.2}   CPU us per KiB of bodies, compression included",
        ship.cpu_us as f64 / kib
    )?;
    writeln!(out, "  CPU us per record   {:>10.2}", ship.cpu_us as f64 / ship.records.max(1) as f64)?;
    writeln!(
        out,
        "  records/s           {:>10.0}   complete: {shipped}",
        ship.records as f64 / began.elapsed().as_secs_f64()
    )?;
    writeln!(out, "  stored/body bytes   {:>10.2}", ship.stored_bytes as f64 / ship.body_bytes.max(1) as f64)?;
    shipper.stop();
    drop((journal, database));
    std::fs::remove_dir_all(dir)?;
    Ok(())
}

async fn load(journal: Journal, body: Private<bytes::Bytes>, time: Duration, pause: Duration) -> Result<u64, Failure> {
    let until = Instant::now() + time;
    let journal = Rc::new(journal);
    let tasks: Vec<_> = (0..N_WAITERS)
        .map(|task| {
            let (journal, body) = (journal.clone(), body.clone());
            tokio::task::spawn_local(async move {
                let mut n: u64 = 0;
                while Instant::now() < until {
                    let id = ExchangeId::from_u128(u128::from(n) << 64 | u128::from(task));
                    record(&journal, &Record::Request(request(id, body.clone()))).await?;
                    record(&journal, &Record::Answer(answer(id, body.clone()))).await?;
                    if !pause.is_zero() {
                        tokio::time::sleep(pause).await;
                    }
                    n += 1;
                }
                Ok::<u64, String>(n)
            })
        })
        .collect();
    let mut n_exchanges = 0;
    for task in tasks {
        n_exchanges += task.await??;
    }
    Ok(n_exchanges)
}

async fn record(journal: &Journal, record: &Record) -> Result<(), String> {
    loop {
        match journal.submit(record) {
            Ok(ticket) => return ticket.await.map_err(|error| error.to_string()),
            // The disk is behind; a gateway would answer 503.
            Err(SubmitError::QueueFull) => tokio::time::sleep(Duration::from_millis(1)).await,
            Err(error) => return Err(error.to_string()),
        }
    }
}

fn request(id: ExchangeId, body: Private<bytes::Bytes>) -> RequestRecord {
    RequestRecord {
        id,
        received_at_us: 1_700_000_000_000_000,
        endpoint: Endpoint::ChatCompletions,
        route: "gpt-4o".to_owned(),
        principal: None,
        streamed: true,
        rollout: None,
        body,
        client_retry: 0,
        asked: None,
    }
}

fn answer(id: ExchangeId, body: Private<bytes::Bytes>) -> AnswerRecord {
    let attempt = AttemptRecord {
        idx: 0,
        target: "gpt".to_owned(),
        provider: "openai".to_owned(),
        model: "gpt-4o".to_owned(),
        arm: None,
        role: AttemptRole::Live,
        started_us: 1_700_000_000_000_000,
        status: Some(200),
        failure: None,
        time_to_first_token_us: Some(120_000),
        duration_us: 900_000,
        usage: None,
        finish_reason: Some("stop".to_owned()),
        format_valid: None,
        simulated: false,
        truncated: false,
        answer_bytes: 600,
        cost: None,
        validity: Default::default(),
        request_bytes: 0,
    };
    AnswerRecord {
        id,
        finished_at_us: 1_700_000_001_000_000,
        status: 200,
        outcome: ExchangeOutcome::Complete,
        failure: None,
        served_by: Some("gpt".to_owned()),
        time_to_first_token_us: Some(120_000),
        duration_us: 900_000,
        usage: None,
        decisions: Vec::new(),
        adaptations: Vec::new(),
        attempts: vec![attempt],
        body,
        cost: None,
        declined: Vec::new(),
    }
}

/// Words that repeat about as often as in a prompt.
fn body(n_bytes: usize) -> Private<bytes::Bytes> {
    const WORDS: [&str; 24] = [
        "the", "customer", "asked", "whether", "an", "order", "placed", "on", "Tuesday", "could", "still", "be",
        "changed", "and", "we", "answered", "that", "it", "depends", "how", "far", "shipping", "has", "come",
    ];
    let mut text = String::from(r#"{"model":"gpt-4o","messages":[{"role":"user","content":""#);
    let mut random: u64 = 7;
    while text.len() < n_bytes {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let word = WORDS[(random >> 33) as usize % WORDS.len()];
        text.push_str(word);
        text.push_str(if random >> 60 == 0 { " 4711-" } else { " " });
    }
    text.truncate(n_bytes);
    Private::new(bytes::Bytes::from(text))
}

/// CPU microseconds by thread, from the kernel's account.
#[derive(Clone, Copy, Default)]
struct Cpu {
    request: f64,
    writer: f64,
    sync: f64,
}

impl Cpu {
    fn now() -> Cpu {
        let mut cpu = Cpu::default();
        for task in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
            let read = |name: &str| std::fs::read_to_string(task.path().join(name)).unwrap_or_default();
            let us = read("schedstat").split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(0.0) / 1000.0;
            match read("comm").trim() {
                "journal-writer" => cpu.writer += us,
                "journal-sync" => cpu.sync += us,
                _ => cpu.request += us,
            }
        }
        cpu
    }

    fn since(self, before: Cpu) -> Cpu {
        Cpu {
            request: self.request - before.request,
            writer: self.writer - before.writer,
            sync: self.sync - before.sync,
        }
    }
}
