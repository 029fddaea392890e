//! From the units of v1 to those of v2, as runc 1.5 does.

use crate::{Error, Result};

/// The least and the greatest shares of v1.
const SHARES: std::ops::RangeInclusive<u64> = 2..=262_144;

/// `cpu.weight` for v1 shares: the curve through (2, 1), (1024, 100) and (262144, 10000).
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "shares are clamped to 2..=262144 first and the result is 1..=10000"
)]
pub(crate) fn weight_from_shares(shares: u64) -> u64 {
    if shares <= *SHARES.start() {
        return 1;
    }
    if shares >= *SHARES.end() {
        return 10_000;
    }
    let log = (shares as f64).log2();
    let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
    10_f64.powf(exponent).ceil() as u64
}

/// Shares that v1 takes as they are: the kernel would clamp others without a word.
pub(crate) fn check_shares(shares: u64) -> Result<()> {
    if SHARES.contains(&shares) {
        return Ok(());
    }
    let reason = if shares < *SHARES.start() {
        "the minimum allowed cpu-shares is 2"
    } else {
        "the maximum allowed cpu-shares is 262144"
    };
    Err(Error::InvalidValue { setting: "cpu shares", value: shares.to_string(), reason })
}

/// The limit of swap alone, from that of memory and swap together. 0 in the result is a limit
/// of 0; `None` leaves it as it is.
pub(crate) fn swap_alone(swap: Option<i64>, memory: Option<i64>) -> Result<Option<i64>> {
    let invalid = |reason| {
        let value = swap.unwrap_or_default().to_string();
        Err(Error::InvalidValue { setting: "memory swap", value, reason })
    };
    match (swap, memory) {
        // Unlimited memory means unlimited swap, as on v1, unless that is given too.
        (None, Some(-1)) => Ok(Some(-1)),
        (None | Some(-1), _) => Ok(swap),
        (Some(_), None | Some(-1)) => {
            invalid("on cgroup v2 a limit of swap needs one of memory; set both")
        }
        (Some(total), Some(memory)) if total < memory => {
            invalid("the limit of memory and swap together must not be below that of memory")
        }
        (Some(total), Some(memory)) => Ok(Some(total - memory)),
    }
}

/// `io.weight` (1 to 10000) for a `blkio.weight` (10 to 1000).
pub(crate) fn io_weight(weight: u16) -> u64 {
    1 + u64::from(weight - 10) * 9999 / 990
}

/// A `blkio.weight`; 0 is none.
pub(crate) fn check_weight(weight: Option<u16>) -> Result<Option<u16>> {
    match weight {
        None | Some(0) => Ok(None),
        Some(10..=1000) => Ok(weight),
        Some(other) => Err(Error::InvalidValue {
            setting: "block I/O weight",
            value: other.to_string(),
            reason: "must be 10 to 1000",
        }),
    }
}

/// A limit in bytes: 0 is none, -1 is no limit, and nothing is below that.
pub(crate) fn bytes(setting: &'static str, limit: Option<i64>) -> Result<Option<i64>> {
    match limit {
        None | Some(0) => Ok(None),
        Some(..=-2) => Err(Error::InvalidValue {
            setting,
            value: limit.unwrap_or_default().to_string(),
            reason: "must be a number of bytes, or -1 for no limit",
        }),
        limit => Ok(limit),
    }
}

/// A value; 0 counts as none.
pub(crate) fn nonzero<T: Default + PartialEq>(value: Option<T>) -> Option<T> {
    value.filter(|value| *value != T::default())
}

/// A limit as v2 writes it.
pub(crate) fn or_max(limit: i64) -> String {
    if limit < 0 { "max".into() } else { limit.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_become_weights_as_in_runc() {
        let expected = [
            (0, 1),
            (2, 1),
            (1024, 100),
            (2000, 170),
            (262_144, 10_000),
            (70_369_281_052_672, 10_000),
        ];
        for (shares, weight) in expected {
            assert_eq!(weight_from_shares(shares), weight, "{shares}");
        }
        assert!(check_shares(1).unwrap_err().to_string().contains("minimum allowed"));
        assert!(check_shares(262_145).unwrap_err().to_string().contains("maximum allowed"));
    }

    #[test]
    fn swap_is_what_exceeds_memory() {
        assert_eq!(swap_alone(None, None).unwrap(), None);
        assert_eq!(swap_alone(None, Some(100)).unwrap(), None);
        assert_eq!(swap_alone(None, Some(-1)).unwrap(), Some(-1));
        assert_eq!(swap_alone(Some(-1), Some(100)).unwrap(), Some(-1));
        assert_eq!(swap_alone(Some(-1), None).unwrap(), Some(-1));
        assert_eq!(swap_alone(Some(150), Some(100)).unwrap(), Some(50));
        assert_eq!(swap_alone(Some(100), Some(100)).unwrap(), Some(0));
        for (swap, memory) in [(99, Some(100)), (100, None), (100, Some(-1))] {
            assert!(swap_alone(Some(swap), memory).is_err(), "{swap} {memory:?}");
        }
    }

    #[test]
    fn block_weights_scale() {
        assert_eq!([10, 100, 500, 1000].map(io_weight), [1, 910, 4950, 10_000]);
        assert_eq!(check_weight(Some(0)).unwrap(), None);
        assert!(check_weight(Some(9)).is_err());
        assert!(check_weight(Some(1001)).is_err());
    }

    #[test]
    fn limits_are_bytes_or_none() {
        assert_eq!(bytes("x", Some(0)).unwrap(), None);
        assert_eq!(bytes("x", Some(-1)).unwrap(), Some(-1));
        assert!(bytes("x", Some(-2)).is_err());
        assert_eq!(or_max(-1), "max");
        assert_eq!(or_max(7), "7");
    }
}
