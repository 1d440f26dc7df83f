//! Networks a key may be used from: an address, or an address and a length of prefix.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// `10.0.0.0/8`, `2001:db8::/32`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// The text is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither an address nor a network such as `10.0.0.0/8`")]
pub struct NotANetwork(pub String);

impl Network {
    /// Whether it has this address. An IPv4 address inside an IPv6 one counts as the IPv4 address it is.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        self.agrees(address.to_canonical())
    }

    /// Whether every address of the other network is one of this.
    #[must_use]
    pub fn contains(&self, other: &Network) -> bool {
        self.prefix <= other.prefix && self.agrees(other.address)
    }

    fn agrees(&self, address: IpAddr) -> bool {
        let (ours, ours_width) = bits(self.address);
        let (theirs, theirs_width) = bits(address);
        ours_width == theirs_width && top(ours ^ theirs, ours_width, self.prefix) == 0
    }
}

/// The address as a number, and how many bits of it count.
fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

/// The first `prefix` of `width` bits.
fn top(bits: u128, width: u8, prefix: u8) -> u128 {
    bits.checked_shr(u32::from(width - prefix)).unwrap_or(0)
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Network, NotANetwork> {
        let wrong = || NotANetwork(text.to_owned());
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let width = bits(address).1;
        let prefix = match prefix {
            None => width,
            Some(prefix) => prefix.parse().ok().filter(|prefix| *prefix <= width).ok_or_else(wrong)?,
        };
        Ok(match address.to_canonical() {
            IpAddr::V4(inner) if address.is_ipv6() && prefix >= 96 => {
                Network { address: inner.into(), prefix: prefix - 96 }
            }
            _ => Network { address, prefix },
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(network: &str, inside: &[&str], outside: &[&str]) {
        let network: Network = network.parse().unwrap();
        for address in inside {
            assert!(network.has(address.parse().unwrap()), "{network} {address}");
        }
        for address in outside {
            assert!(!network.has(address.parse().unwrap()), "{network} {address}");
        }
    }

    #[test]
    fn a_network_has_the_addresses_of_its_prefix_and_no_other() {
        check("10.0.0.0/8", &["10.0.0.1", "10.255.255.255", "::ffff:10.1.2.3"], &["11.0.0.0", "9.255.255.255", "::"]);
        check("127.0.0.1", &["127.0.0.1", "::ffff:127.0.0.1"], &["127.0.0.2", "::1"]);
        check("0.0.0.0/0", &["1.2.3.4"], &["::1"]);
        check("::/0", &["::1", "2001:db8::1"], &["1.2.3.4", "::ffff:1.2.3.4"]);
        check("::ffff:10.0.0.0/104", &["10.1.2.3"], &["11.0.0.0"]);
        check("2001:db8::/33", &["2001:db8::1"], &["2001:db8:8000::1"]);
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "10", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "example.org/8"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_network_contains_smaller_ones_of_its_own() {
        let network = |text: &str| text.parse::<Network>().unwrap();
        assert!(network("10.0.0.0/8").contains(&network("10.1.0.0/16")));
        assert!(network("10.0.0.0/8").contains(&network("10.0.0.0/8")));
        assert!(!network("10.1.0.0/16").contains(&network("10.0.0.0/8")));
        assert!(network("10.0.0.0/8").contains(&network("::ffff:10.0.0.0/120")));
        assert!(!network("0.0.0.0/0").contains(&network("::ffff:0.0.0.0/95")));
        assert!(!network("0.0.0.0/0").contains(&network("::/0")));
    }
}
