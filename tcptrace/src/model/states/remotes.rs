//! What the addresses of many connections have in common.

use std::net::IpAddr;

/// Remote addresses, of which only that is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Remotes {
    /// There are none.
    #[default]
    None,
    /// All begin with this many bits of this address.
    Alike(IpAddr, u32),
    /// Some are of another family.
    Mixed,
}

impl Remotes {
    /// Adds an address, a v4-mapped one in IPv4 form.
    pub fn add(&mut self, address: IpAddr) {
        self.add_all(Self::Alike(address, bits(address)));
    }

    /// Adds all of others.
    pub fn add_all(&mut self, others: Self) {
        *self = match (*self, others) {
            (Self::None, one) | (one, Self::None) => one,
            (Self::Alike(a, alike), Self::Alike(b, other)) => match in_common(a, b) {
                Some(common) => Self::Alike(a, common.min(alike).min(other)),
                None => Self::Mixed,
            },
            (Self::Mixed, _) | (_, Self::Mixed) => Self::Mixed,
        };
    }

    /// The one address, or the network that all are in and its length in bits, which is one that people use; `None`
    /// if they are in no such network.
    #[must_use]
    pub fn network(self) -> Option<(IpAddr, Option<u32>)> {
        let Self::Alike(address, alike) = self else {
            return None;
        };
        if alike == bits(address) {
            return Some((address, None));
        }
        let usual: &[u32] = match address {
            IpAddr::V4(_) => &[24, 16, 8],
            IpAddr::V6(_) => &[64, 48, 32],
        };
        let length = *usual.iter().find(|length| **length <= alike)?;
        let first = match address {
            IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() & (u32::MAX << (32 - length))).into()),
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & (u128::MAX << (128 - length))).into()),
        };
        Some((first, Some(length)))
    }
}

fn bits(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// With how many bits both begin; `None` if they are of different families.
fn in_common(a: IpAddr, b: IpAddr) -> Option<u32> {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => Some((a.to_bits() ^ b.to_bits()).leading_zeros()),
        (IpAddr::V6(a), IpAddr::V6(b)) => Some((a.to_bits() ^ b.to_bits()).leading_zeros()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(addresses: &[&str]) -> Option<(String, Option<u32>)> {
        let mut all = Remotes::default();
        for address in addresses {
            all.add(address.parse().expect("an address"));
        }
        let (network, length) = all.network()?;
        Some((network.to_string(), length))
    }

    #[test]
    fn what_they_have_in_common_is_a_usual_network() {
        let network = |text: &str, length| Some((text.to_owned(), length));
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["10.0.0.7", "10.0.0.7"]), network("10.0.0.7", None));
        assert_eq!(of(&["10.0.0.6", "10.0.0.7"]), network("10.0.0.0", Some(24)));
        assert_eq!(of(&["10.0.0.6", "10.9.0.7"]), network("10.0.0.0", Some(8)));
        assert_eq!(of(&["10.0.0.6", "11.9.0.7"]), None);
        let v6 = ["2001:db8::1", "2001:db8:0:1::2"];
        assert_eq!(of(&v6), network("2001:db8::", Some(48)));
        assert_eq!(of(&["::1", "127.0.0.1", "::1"]), None);
    }

    proptest! {
        #[test]
        fn all_are_in_it(addresses in prop::collection::vec(any::<u32>(), 1..9), at in 0_usize..9) {
            let addresses: Vec<_> = addresses.into_iter().map(|bits| IpAddr::V4(bits.into())).collect();
            let add = |part: &[IpAddr]| {
                let mut all = Remotes::default();
                part.iter().for_each(|address| all.add(*address));
                all
            };
            // In two parts or at once.
            let (one, other) = addresses.split_at(at.min(addresses.len()));
            let mut all = add(one);
            all.add_all(add(other));
            prop_assert_eq!(all.network(), add(&addresses).network());
            if let Some((network, length)) = all.network() {
                let length = length.unwrap_or(32);
                let inside = |address: &IpAddr| in_common(*address, network) >= Some(length);
                prop_assert!(addresses.iter().all(inside), "{}/{}", network, length);
            }
        }
    }
}
