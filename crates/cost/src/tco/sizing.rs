//! How many servers hold a load.

/// Most servers that are looked for.
const MOST: u32 = 100_000;

/// The fewest servers at which at most `late` of the arrivals wait longer than `wait_s` seconds, when `rate` arrive in a second at random and
/// each takes `service_s` seconds on average: M/M/c, Erlang's C formula (Erlang 1917; Cooper, "Introduction to Queueing Theory", 3.5).
/// With offered load `a = rate * service_s`, `B` is found by `B(c) = a B(c-1) / (c + a B(c-1))`, `C = B / (1 - (a/c)(1 - B))`, and
/// `P(wait > t) = C exp(-(c - a) t / service_s)`. `None` outside the range the formula holds for, and above 100 000 servers.
///
/// Value checked by hand: 1 request/s of 5 s, at most 5 % waiting longer than 1 s: 9 servers.
#[must_use]
pub fn slots(rate: f64, service_s: f64, wait_s: f64, late: f64) -> Option<u32> {
    let load = rate * service_s;
    if !(load.is_finite() && load >= 0.0 && service_s > 0.0 && wait_s >= 0.0 && late > 0.0) {
        return None;
    }
    let mut blocked = 1.0;
    for n in 1..=MOST {
        let servers = f64::from(n);
        blocked = load * blocked / (servers + load * blocked);
        if servers <= load {
            continue;
        }
        let waits = blocked / (1.0 - load / servers * (1.0 - blocked));
        if waits * (-(servers - load) * wait_s / service_s).exp() <= late {
            return Some(n);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// W2: 40 against 25 tokens/s, one stream per slot, answers of 200 tokens, at most 5 % waiting longer than a second.
    #[test]
    fn a_service_objective_needs_these_slots() {
        let both = |rate: f64| [40.0, 25.0].map(|speed| slots(rate, 200.0 / speed, 1.0, 0.05));
        assert_eq!(both(1.0), [Some(9), Some(13)]);
        assert_eq!(both(5.0), [Some(32), Some(49)]);
        assert_eq!(both(20.0), [Some(109), Some(173)]);
    }

    #[test]
    fn no_load_needs_one_and_no_number_needs_none() {
        assert_eq!(slots(0.0, 5.0, 1.0, 0.05), Some(1));
        for (rate, service, wait, late) in
            [(f64::NAN, 5.0, 1.0, 0.05), (1.0, 0.0, 1.0, 0.05), (1.0, 5.0, 1.0, 0.0), (1e9, 5.0, 1.0, 0.05)]
        {
            assert_eq!(slots(rate, service, wait, late), None);
        }
    }
}
