//! A server of continuous batching that says where it is and works until its standard input ends:
//! `batching STEPS MOST READS`, such as `batching 1:60,8:70,32:120 32 10000`.

use std::io::{Read, Write};

use scripted::batching::{Batching, Pace};

type Failed = Box<dyn std::error::Error>;

fn main() -> Result<(), Failed> {
    let mut args = std::env::args().skip(1);
    let (Some(steps), Some(most), Some(reads)) = (args.next(), args.next(), args.next()) else {
        return Err("batching STEPS MOST READS".into());
    };
    let step = |text: &str| -> Result<(f64, f64), Failed> {
        let (n, ms) = text.split_once(':').ok_or("a step is `8:70`")?;
        Ok((n.parse()?, ms.parse()?))
    };
    let steps_ms = steps.split(',').map(step).collect::<Result<Vec<_>, Failed>>()?;
    let server = Batching::start(Pace { steps_ms, most_active: most.parse()?, reads: reads.parse()? });
    writeln!(std::io::stdout(), "{}", server.url())?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
