//! Whole numbers of any size: what exact fractions are made of. Only what they need.

use std::cmp::Ordering;

/// A whole number, not negative: limbs of 32 bits, the lowest first, without leading zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Natural(Vec<u32>);

fn low(value: u64) -> u32 {
    u32::try_from(value & 0xffff_ffff).unwrap_or(0)
}

impl Natural {
    pub(super) fn of(mut value: u64) -> Natural {
        let mut limbs = Vec::new();
        while value > 0 {
            limbs.push(low(value));
            value >>= 32;
        }
        Natural(limbs)
    }

    pub(super) fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn trimmed(mut limbs: Vec<u32>) -> Natural {
        while limbs.last() == Some(&0) {
            limbs.pop();
        }
        Natural(limbs)
    }

    pub(super) fn plus(&self, other: &Natural) -> Natural {
        let n = self.0.len().max(other.0.len());
        let mut limbs = Vec::with_capacity(n + 1);
        let mut carry = 0_u64;
        for idx in 0..n {
            let sum = self.limb(idx) + other.limb(idx) + carry;
            limbs.push(low(sum));
            carry = sum >> 32;
        }
        limbs.push(low(carry));
        Natural::trimmed(limbs)
    }

    fn limb(&self, idx: usize) -> u64 {
        self.0.get(idx).copied().map_or(0, u64::from)
    }

    /// The difference; `other` is not larger.
    pub(super) fn minus(&self, other: &Natural) -> Natural {
        let mut limbs = Vec::with_capacity(self.0.len());
        let mut borrow = 0_u64;
        for idx in 0..self.0.len() {
            let taken = other.limb(idx) + borrow;
            let have = self.limb(idx);
            borrow = u64::from(have < taken);
            limbs.push(low((have + (borrow << 32)) - taken));
        }
        Natural::trimmed(limbs)
    }

    pub(super) fn times(&self, other: &Natural) -> Natural {
        let mut limbs = vec![0_u32; self.0.len() + other.0.len()];
        for (at, one) in self.0.iter().enumerate() {
            let mut carry = 0_u64;
            for (to, two) in other.0.iter().enumerate() {
                let sum = u64::from(*one) * u64::from(*two) + u64::from(limbs[at + to]) + carry;
                limbs[at + to] = low(sum);
                carry = sum >> 32;
            }
            limbs[at + other.0.len()] = low(carry);
        }
        Natural::trimmed(limbs)
    }

    pub(super) fn bits(&self) -> usize {
        let last = self.0.last().map_or(0, |limb| 32 - limb.leading_zeros() as usize);
        self.0.len().saturating_sub(1) * 32 + last
    }

    pub(super) fn shifted_up(&self, bits: usize) -> Natural {
        let (whole, part) = (bits / 32, bits % 32);
        let mut limbs = vec![0; whole];
        let mut carry = 0_u64;
        for limb in &self.0 {
            let moved = (u64::from(*limb) << part) | carry;
            limbs.push(low(moved));
            carry = moved >> 32;
        }
        limbs.push(low(carry));
        Natural::trimmed(limbs)
    }

    fn shifted_down(&self, bits: usize) -> Natural {
        let (whole, part) = (bits / 32, bits % 32);
        let n = self.0.len().saturating_sub(whole);
        let limb = |idx: usize| low((self.limb(idx + whole) | (self.limb(idx + whole + 1) << 32)) >> part);
        Natural::trimmed((0..n).map(limb).collect())
    }

    /// Quotient and remainder; `divisor` is not 0. Algorithm D of Knuth, "The Art of Computer Programming" volume 2, 4.3.1.
    pub(super) fn divided(&self, divisor: &Natural) -> (Natural, Natural) {
        if self.cmp(divisor) == Ordering::Less {
            return (Natural(Vec::new()), self.clone());
        }
        if let [only] = divisor.0.as_slice() {
            let (quotient, rest) = self.divided_small(*only);
            return (quotient, Natural::of(rest.into()));
        }
        let shift = divisor.0.last().map_or(0, |limb| limb.leading_zeros() as usize);
        let (mut rest, divisor) = (self.shifted_up(shift).0, divisor.shifted_up(shift).0);
        rest.push(0);
        let n = divisor.len();
        let (first, second) = (u64::from(divisor[n - 1]), u64::from(divisor[n - 2]));
        let mut quotient = vec![0_u32; rest.len() - n];
        for at in (0..rest.len() - n).rev() {
            let top = (u64::from(rest[at + n]) << 32) | u64::from(rest[at + n - 1]);
            let (mut guess, mut left) = (top / first, top % first);
            while guess >> 32 > 0 || guess * second > ((left << 32) | u64::from(rest[at + n - 2])) {
                guess -= 1;
                left += first;
                if left >> 32 > 0 {
                    break;
                }
            }
            if take(&mut rest[at..=at + n], &divisor, guess) {
                guess -= 1;
                give_back(&mut rest[at..=at + n], &divisor);
            }
            quotient[at] = low(guess);
        }
        (Natural::trimmed(quotient), Natural::trimmed(rest).shifted_down(shift))
    }

    fn divided_small(&self, divisor: u32) -> (Natural, u32) {
        let divisor = u64::from(divisor);
        let mut limbs = vec![0; self.0.len()];
        let mut rest = 0_u64;
        for idx in (0..self.0.len()).rev() {
            let value = (rest << 32) | u64::from(self.0[idx]);
            limbs[idx] = low(value / divisor);
            rest = value % divisor;
        }
        (Natural::trimmed(limbs), low(rest))
    }

    pub(super) fn greatest_common_divisor(&self, other: &Natural) -> Natural {
        let (mut a, mut b) = (self.clone(), other.clone());
        while !b.is_zero() {
            let (_, rest) = a.divided(&b);
            a = std::mem::replace(&mut b, rest);
        }
        a
    }

    pub(super) fn power_of_ten(places: u32) -> Natural {
        let ten = Natural::of(10);
        (0..places).fold(Natural::of(1), |power, _| power.times(&ten))
    }

    /// The nearest double at or below; exact below 2^53.
    pub(super) fn to_f64(&self) -> f64 {
        self.0.iter().rev().fold(0.0, |sum, limb| sum * 4_294_967_296.0 + f64::from(*limb))
    }

    /// Its decimal digits.
    pub(super) fn digits(&self) -> String {
        let mut parts = Vec::new();
        let mut left = self.clone();
        while !left.is_zero() {
            let (quotient, rest) = left.divided_small(1_000_000_000);
            left = quotient;
            parts.push(rest);
        }
        let Some(first) = parts.pop() else { return "0".to_owned() };
        parts.iter().rev().fold(first.to_string(), |digits, part| format!("{digits}{part:09}"))
    }
}

/// `rest -= divisor * guess`; true when that went below 0.
fn take(rest: &mut [u32], divisor: &[u32], guess: u64) -> bool {
    let (mut carry, mut borrow) = (0_u64, 0_u64);
    for (idx, limb) in rest.iter_mut().enumerate() {
        let product = divisor.get(idx).map_or(0, |part| u64::from(*part) * guess) + carry;
        carry = product >> 32;
        let taken = u64::from(low(product)) + borrow;
        let have = u64::from(*limb);
        borrow = u64::from(have < taken);
        *limb = low((have + (borrow << 32)) - taken);
    }
    borrow > 0
}

fn give_back(rest: &mut [u32], divisor: &[u32]) {
    let mut carry = 0_u64;
    for (idx, limb) in rest.iter_mut().enumerate() {
        let sum = u64::from(*limb) + divisor.get(idx).map_or(0, |part| u64::from(*part)) + carry;
        *limb = low(sum);
        carry = sum >> 32;
    }
}

impl PartialOrd for Natural {
    fn partial_cmp(&self, other: &Natural) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Natural {
    fn cmp(&self, other: &Natural) -> Ordering {
        let longer = self.0.len().cmp(&other.0.len());
        longer.then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(limbs: Vec<u32>) -> Natural {
        Natural::trimmed(limbs)
    }

    proptest! {
        #[test]
        fn quotient_times_divisor_plus_remainder_is_the_dividend(
            a in prop::collection::vec(prop_oneof![Just(0), Just(u32::MAX), any::<u32>()], 0..12),
            b in prop::collection::vec(prop_oneof![Just(0), Just(u32::MAX), any::<u32>()], 0..7),
        ) {
            let (a, b) = (of(a), of(b));
            prop_assume!(!b.is_zero());
            let (quotient, rest) = a.divided(&b);
            prop_assert!(rest < b);
            prop_assert_eq!(quotient.times(&b).plus(&rest), a);
        }

        #[test]
        fn what_was_added_can_be_taken_away(a in prop::collection::vec(any::<u32>(), 0..9), b in prop::collection::vec(any::<u32>(), 0..9)) {
            let (a, b) = (of(a), of(b));
            prop_assert_eq!(a.plus(&b).minus(&b), a);
        }

        #[test]
        fn digits_are_those_of_the_number(value in any::<u64>()) {
            prop_assert_eq!(Natural::of(value).digits(), value.to_string());
        }
    }

    #[test]
    fn a_large_power_has_its_digits() {
        assert_eq!(Natural::power_of_ten(40).digits(), format!("1{}", "0".repeat(40)));
        assert_eq!(Natural::of(12).greatest_common_divisor(&Natural::of(18)), Natural::of(6));
    }
}
