//! The id maps of user namespaces; see user_namespaces(7).

mod helper;
mod namespace;
mod write;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use namespace::user_namespace;
pub use write::write_maps;

/// A range of ids inside a user namespace and where it lies outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMapping {
    /// The first id inside.
    pub inside: u32,
    /// The first id outside.
    pub outside: u32,
    /// How many ids.
    pub count: u32,
}

/// The user or the group ids of a user namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMap(pub Vec<IdMapping>);

impl IdMap {
    /// Nothing is mapped.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where `id` of the inside lies outside.
    pub fn to_outside(&self, id: u32) -> Option<u32> {
        self.0.iter().find_map(|mapping| {
            let offset = id.checked_sub(mapping.inside)?;
            (offset < mapping.count).then(|| mapping.outside.checked_add(offset))?
        })
    }

    /// One range of one id that lies on `id` outside: what an unprivileged user may write itself.
    fn is_single(&self, id: u32) -> bool {
        matches!(self.0.as_slice(), [IdMapping { outside, count: 1, .. }] if *outside == id)
    }
}

/// One line a range, as `/proc/PID/uid_map` wants them.
impl fmt::Display for IdMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|IdMapping { inside, outside, count }| {
            writeln!(f, "{inside} {outside} {count}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_to_the_outside() {
        let range = |inside, outside, count| IdMapping { inside, outside, count };
        let map = IdMap(vec![range(0, 1000, 1), range(1, 100_000, 10)]);
        assert_eq!(map.to_outside(0), Some(1000));
        assert_eq!(map.to_outside(10), Some(100_009));
        assert_eq!(map.to_outside(11), None);
        assert_eq!(map.to_string(), "0 1000 1\n1 100000 10\n");
        assert_eq!(IdMap(vec![range(0, u32::MAX, 2)]).to_outside(1), None);
    }
}
