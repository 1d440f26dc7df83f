//! The server of known times that `scripts/bench-load` holds `crossfade bench` against; see `scripted::metronome`.
//!
//! `metronome [--first-ms 50] [--gap-ms 10] [--tokens 128] [--places N --service-ms M --sigma S --seed N] [--stall-after-ms N --stall-ms N]
//! [--remembers]` prints `listening ADDRESS`. `GET /log` gives what it did since it was last asked, a line a request.
//! With places, a service is log-normal around that mean with this sigma of its logarithm.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use scripted::metronome::{Metronome, Places, Tempo};
use stats::random::Random;

fn main() -> Result<(), Box<dyn Error>> {
    let mut numbers: BTreeMap<String, f64> = BTreeMap::new();
    let mut remembers = false;
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        if name == "--remembers" {
            remembers = true;
            continue;
        }
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        numbers.insert(name, value.parse()?);
    }
    let mut number = |name: &str, usual: f64| numbers.remove(name).unwrap_or(usual);
    let ms = |ms: f64| Duration::from_secs_f64(ms / 1e3);
    let mut tempo = Tempo::new(ms(number("--first-ms", 50.0)), ms(number("--gap-ms", 10.0)));
    tempo.n_tokens = bench::clock::whole(number("--tokens", 128.0));
    tempo.remembers = remembers;
    let stall = (ms(number("--stall-after-ms", 0.0)), ms(number("--stall-ms", 0.0)));
    tempo.stall = (!stall.1.is_zero()).then_some(stall);
    let n = bench::clock::place(number("--places", 0.0));
    let (mean, sigma) = (number("--service-ms", 25.0), number("--sigma", 0.6));
    let seed = bench::clock::whole(number("--seed", 1.0));
    let service = move |request: u64| {
        let mut random = Random::new(seed ^ request.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        ms(mean * (sigma * random.normal() - sigma * sigma / 2.0).exp())
    };
    tempo.places = (n > 0).then(|| Places { n, service: Arc::new(service) });
    if let Some(unknown) = numbers.keys().next() {
        return Err(format!("unknown argument {unknown}").into());
    }
    let server = Metronome::start(tempo);
    writeln!(std::io::stdout(), "listening {}", server.addr())?;
    server.serve();
    Ok(())
}
