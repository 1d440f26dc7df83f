//! Which replica of a target gets a call.
//!
//! A caller that comes back finds its prefix in the cache of the replica that served it before, so each key has a **preferred**
//! replica: the one with the highest hash of key and replica (rendezvous hashing, Thaler & Ravishankar 1998; when a replica
//! goes, only its own keys move). A preferred replica that has more than [`BOUND`] times its even part of the calls under way is
//! passed over (the rule of *Consistent Hashing with Bounded Loads*, Mirrokni, Thorup & Zadimoghaddam 2018): a hot key must not
//! drown a machine.
//!
//! A call without a key, or whose preferred replica is full, goes to the less loaded of **two** drawn at random (Mitzenmacher,
//! *The Power of Two Choices in Randomized Load Balancing*, 2001): almost as even as asking all, and a replica that has just
//! come back is not stormed by everybody at once.

/// A replica is full with more than this many times its even part of the calls under way.
pub const BOUND: f64 = 1.25;

/// The replica to call, or `None` when none can be. `load` gives the calls under way at each of `ids`, `None` for one that
/// cannot be called; `random` is any random number.
pub fn choose(ids: &[u64], load: impl Fn(usize) -> Option<usize>, key: Option<u64>, random: u64) -> Option<usize> {
    if ids.len() == 1 {
        return load(0).map(|_| 0);
    }
    let open = || (0..ids.len()).filter_map(|idx| Some((idx, load(idx)?)));
    let (n_open, n_calls) = open().fold((0_usize, 0), |(n, calls), (_, load)| (n + 1, calls + load));
    if n_open <= 1 {
        return open().next().map(|(idx, _)| idx);
    }
    if let Some(key) = key
        && let Some((idx, load)) = open().max_by_key(|(idx, _)| mixed(key, ids[*idx]))
        && load < most(n_calls, n_open)
    {
        return Some(idx);
    }
    let first = usize::try_from(random % n_open as u64).unwrap_or_default();
    let step = 1 + usize::try_from((random >> 32) % (n_open as u64 - 1)).unwrap_or_default();
    let second = (first + step) % n_open;
    [first, second].into_iter().filter_map(|nth| open().nth(nth)).min_by_key(|(_, load)| *load).map(|(idx, _)| idx)
}

/// The calls a replica may have before one more: its even part of all, this one included, times the bound.
fn most(n_calls: usize, n_open: usize) -> usize {
    let even = (n_calls + 1) as f64 / n_open as f64;
    // A count of calls: far below 2^52, and never negative.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
    let most = (even * BOUND).ceil() as usize;
    most
}

/// The finaliser of SplitMix64 over both: every bit of either changes half of the bits.
fn mixed(key: u64, id: u64) -> u64 {
    let mut z = key ^ id.rotate_left(32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const IDS: [u64; 4] = [11, 22, 33, 44];

    /// Random numbers of a test that must not depend on luck.
    fn numbers() -> impl Iterator<Item = u64> {
        (1_u64..).map(|n| mixed(n, 7))
    }

    #[test]
    fn a_key_comes_back_to_its_replica_and_moves_only_when_that_is_gone() {
        let idle = |_: usize| Some(0);
        let mut moved = 0;
        for key in numbers().take(400) {
            let home = choose(&IDS, idle, Some(key), 0).unwrap();
            assert_eq!(choose(&IDS, idle, Some(key), 99), Some(home), "whatever is drawn");
            let without_last = choose(&IDS, |idx| (idx != 3).then_some(0), Some(key), 0).unwrap();
            assert!(without_last == home || home == 3);
            moved += usize::from(without_last != home);
        }
        assert!((60..140).contains(&moved), "about a quarter has its home on each: {moved}");
    }

    #[test]
    fn a_full_home_is_passed_over() {
        let key = numbers().find(|key| choose(&IDS, |_| Some(0), Some(*key), 0) == Some(2)).unwrap();
        // Nine calls, four replicas: with this one 2.5 each, times 1.25 is 4.
        let with_home = |n: usize| move |idx: usize| Some(if idx == 2 { n } else { (9 - n) / 3 });
        assert_eq!(choose(&IDS, with_home(3), Some(key), 5), Some(2));
        assert_ne!(choose(&IDS, with_home(6), Some(key), 5), Some(2));
    }

    #[test]
    fn two_drawn_at_random_share_the_load_evenly() {
        let mut loads = [0_usize; 4];
        for random in numbers().take(4000) {
            let idx = choose(&IDS, |idx| Some(loads[idx]), None, random).unwrap();
            loads[idx] += 1;
        }
        assert!(loads.iter().all(|load| load.abs_diff(1000) <= 5), "{loads:?}");
    }

    #[test]
    fn one_hot_key_is_kept_within_the_bound() {
        let mut loads = [0_usize; 4];
        for random in numbers().take(400) {
            let idx = choose(&IDS, |idx| Some(loads[idx]), Some(42), random).unwrap();
            loads[idx] += 1;
        }
        assert!(loads.iter().all(|load| *load <= 126), "{loads:?}");
    }

    proptest! {
        #[test]
        fn whatever_is_chosen_can_be_called(
            loads in prop::collection::vec(prop::option::of(0_usize..50), 0..8),
            key in prop::option::of(any::<u64>()),
            random in any::<u64>(),
        ) {
            let ids: Vec<u64> = (0..loads.len() as u64).collect();
            match choose(&ids, |idx| loads[idx], key, random) {
                Some(idx) => prop_assert!(loads[idx].is_some()),
                None => prop_assert!(loads.iter().all(Option::is_none)),
            }
        }
    }
}
