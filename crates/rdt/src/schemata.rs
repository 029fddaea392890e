//! Lines of the file `schemata`: `L3:0=7f0;1=1f`.

use std::collections::BTreeMap;

/// What a line gives of a resource, by the number of the cache or node.
struct Line<'a> {
    resource: &'a str,
    shares: BTreeMap<&'a str, String>,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (resource, shares) = line.trim().split_once(':')?;
        let share = |share: &'a str| {
            let (domain, value) = share.split_once('=')?;
            // Masks are printed with leading zeros, and in small letters.
            let value = value.trim().trim_start_matches('0').to_ascii_lowercase();
            Some((domain.trim(), value))
        };
        Some(Self {
            resource: resource.trim(),
            shares: shares.split(';').filter_map(share).collect(),
        })
    }
}

/// The first line of `asked` that is not so in `schemata`, with the line for its resource there.
pub(crate) fn difference<'a>(
    asked: impl IntoIterator<Item = &'a str>,
    schemata: &'a str,
) -> Option<(&'a str, &'a str)> {
    let found = |asked: &Line<'_>| {
        let of_resource =
            |line: &&str| Line::parse(line).is_some_and(|line| line.resource == asked.resource);
        schemata.lines().find(of_resource).unwrap_or_default()
    };
    asked.into_iter().find_map(|text| {
        let Some(asked) = Line::parse(text) else { return Some((text, "")) };
        let line = found(&asked);
        let shares = Line::parse(line).map(|line| line.shares).unwrap_or_default();
        let same = asked.shares.iter().all(|(domain, share)| shares.get(domain) == Some(share));
        (!same).then_some((text, line.trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMATA: &str = "    MB:0=100;1= 50\n    L3:0=00ff;1=00ff\n";

    #[test]
    fn the_same_shares_may_be_written_otherwise() {
        assert_eq!(difference(["L3:0=ff", "MB:1=50"], SCHEMATA), None);
        assert_eq!(difference(["L3:1=FF;0=0ff"], SCHEMATA), None);
    }

    #[test]
    fn others_are_named() {
        assert_eq!(difference(["L3:0=f"], SCHEMATA), Some(("L3:0=f", "L3:0=00ff;1=00ff")));
        assert_eq!(difference(["MB:2=10"], SCHEMATA), Some(("MB:2=10", "MB:0=100;1= 50")));
        assert_eq!(difference(["L2:0=1"], SCHEMATA), Some(("L2:0=1", "")));
        assert_eq!(difference(["nonsense"], SCHEMATA), Some(("nonsense", "")));
    }
}
