//! Lists of numbers as the kernel writes sets of processors and memory nodes: `0-3,7`.

/// More processors than any kernel has (`NR_CPUS`), and more memory nodes.
const LIMIT: usize = 8192;

/// The set of a list (cpuset(7), "List format") as bits: bit 0 of the first word is the number 0.
///
/// Nothing stands for a list that is empty or wrong, or names numbers beyond 8191.
pub fn parse(list: &str) -> Option<Vec<u64>> {
    let mut words = Vec::new();
    for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?);
        if first > last || last >= LIMIT {
            return None;
        }
        words.resize(words.len().max(last / 64 + 1), 0);
        for number in first..=last {
            words[number / 64] |= 1 << (number % 64);
        }
    }
    (!words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_become_bits() {
        assert_eq!(parse("0-3,7"), Some(vec![0b1000_1111]));
        assert_eq!(parse("64"), Some(vec![0, 1]));
        for wrong in ["", "3-1", "x", "1-", "99999"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
