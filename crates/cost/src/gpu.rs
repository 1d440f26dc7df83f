//! What a self-hosted target costs: the price of a GPU-hour, shared out among the calls that used it.
//!
//! With `p` dollars per GPU-hour, `g` GPUs per replica and `u` the share of paid hours in which the replica works (1 when not
//! measured), a second of work costs `s = p * g / (3600 * u)` dollars. A call is charged the seconds of work it caused:
//!
//! - by throughput: `s * (input / r_in + output / r_out)`, where `r_in` and `r_out` are the replica's tokens per second doing
//!   nothing but reading prompts, and nothing but writing answers, at the batch size it runs at in production. Figures of one
//!   mixed run will not do: both happen in the same second there. Prompt tokens found in the prefix cache are charged at
//!   `r_cached`, when that is known, else like others.
//! - by time: `s * seconds / c`, where `seconds` is how long the call took and `c` the mean number of calls the replica works
//!   on at once. By Little's law the calls of an hour are in service for `c` hours together, so all charges of an hour add up
//!   to what the hour costs. (Little, "A proof for the queuing formula L = λW", 1961; holds for any stable system.)
//!
//! What a GPU-hour costs when the machine is owned is another question; `p` is an input here. Value checked by hand: 2 GPUs at
//! $3 and 8000 tokens/s in, 1200 out, 1155 tokens in and 211 out: `6 / 3600 * (0.144375 + 0.1758333…) = $0.000533681` (the
//! mean conversation of the Azure 2023 trace).

use crate::decimal::Decimal;
use crate::meter::Meter;
use crate::rates::Fraction;

/// The price of the hours of a self-hosted replica, and how it is shared out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuHours {
    /// Dollars for an hour of one GPU.
    pub per_hour: Decimal,
    /// GPUs of one replica.
    pub gpus: u32,
    /// The share of paid hours in which the replica works, above 0 and at most 1.
    pub utilization: Decimal,
    /// How it is shared out.
    pub basis: Basis,
}

/// What a call is charged for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Basis {
    /// Its tokens.
    Throughput {
        /// Prompt tokens per second of a whole replica.
        input: Decimal,
        /// The same for tokens found in the prefix cache.
        cached: Option<Decimal>,
        /// Answer tokens per second of a whole replica.
        output: Decimal,
    },
    /// Its duration.
    Time {
        /// Calls a replica works on at once, on average.
        concurrent_requests: Decimal,
    },
}

impl GpuHours {
    /// Nano-dollars for one of each meter; `None` when a figure is 0 that may not be, or the digits are too many.
    #[must_use]
    pub fn rates(&self) -> Option<Vec<(Meter, Fraction)>> {
        let hour = Fraction::of(self.per_hour).times(Fraction::new(u128::from(self.gpus), 1)?)?;
        let hour = hour.times(Fraction::of(self.utilization).inverse()?)?;
        match &self.basis {
            Basis::Throughput { input, cached, output } => {
                let second = hour.times(Fraction::new(1_000_000_000, 3_600)?)?;
                let rate =
                    |meter, per_second: &Decimal| Some((meter, second.times(Fraction::of(*per_second).inverse()?)?));
                let mut rates = vec![rate(Meter::Input, input)?, rate(Meter::Output, output)?];
                if let Some(cached) = cached {
                    rates.push(rate(Meter::Cached, cached)?);
                }
                Some(rates)
            }
            Basis::Time { concurrent_requests } => {
                let share = hour.times(Fraction::of(*concurrent_requests).inverse()?)?;
                Some(vec![(Meter::BusyUs, Fraction::per_one(share, Meter::BusyUs)?)])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::Usage;
    use crate::rates::{Rates, TierKind, Unknown};

    fn of(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    fn charge(utilization: &str, basis: Basis, usage: Usage) -> Result<u64, Unknown> {
        let hours = GpuHours { per_hour: of("3"), gpus: 2, utilization: of(utilization), basis };
        Rates::new(TierKind::default(), &hours.rates().unwrap(), &[]).unwrap().charge(&usage)
    }

    #[test]
    fn tokens_are_charged_by_throughput() {
        let basis = || Basis::Throughput { input: of("8000"), cached: None, output: of("1200") };
        let usage = Usage::new().with(Meter::Input, 1_155).with(Meter::Output, 211).with(Meter::Cached, 1_000);
        assert_eq!(charge("1", basis(), usage), Ok(533_681));
        assert_eq!(charge("0.5", basis(), usage), Ok(1_067_361));
        let cached = Basis::Throughput { input: of("8000"), cached: Some(of("80000")), output: of("1200") };
        // 155 / 8000 + 1000 / 80000 + 211 / 1200 = 0.2077083… s
        assert_eq!(charge("1", cached, usage), Ok(346_181));
    }

    #[test]
    fn an_hour_of_calls_costs_an_hour() {
        // 16 at once, each two seconds: 28 800 calls an hour, whose charges add up to $6.
        let basis = Basis::Time { concurrent_requests: of("16") };
        let one = charge("1", basis, Usage::new().with(Meter::BusyUs, 2_000_000)).unwrap();
        assert_eq!(one, 208_333);
        assert!((one * 28_800).abs_diff(6_000_000_000) < 28_800);
    }

    #[test]
    fn a_throughput_of_nothing_has_no_rates() {
        let basis = Basis::Time { concurrent_requests: Decimal::ZERO };
        assert_eq!(GpuHours { per_hour: of("3"), gpus: 1, utilization: Decimal::ONE, basis }.rates(), None);
    }
}
