//! The numbers of the system calls.

mod multiplex;
mod syscalls;

pub(crate) use multiplex::Multiplexed;

use self::syscalls::SYSCALLS;
use crate::arch::Abi;

/// In place of the number of a call that the architecture lacks.
const NONE: u32 = u32::MAX;

const ROWS: usize = SYSCALLS.len();

/// A row of the table: one system call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Syscall(usize);

impl Syscall {
    pub fn number(self, abi: Abi) -> Option<u32> {
        let (_, numbers) = SYSCALLS.get(self.0)?;
        numbers.get(abi.column).copied().filter(|number| *number != NONE)
    }

    /// How 32-bit x86 reaches it besides.
    pub fn multiplexed(self) -> Option<Multiplexed> {
        multiplex::of_row(self.0)
    }
}

/// The rows of the table by the hash of their names, each in the first free place from there on.
///
/// A profile names hundreds of calls; to bisect the table for them was most of what compiling cost.
static INDEX: [u16; 1024] = {
    let mut index = [FREE; 1024];
    let mut row: u16 = 0;
    while (row as usize) < ROWS {
        let mut place = hash(SYSCALLS[row as usize].0);
        while index[place] != FREE {
            place = (place + 1) % index.len();
        }
        index[place] = row;
        row += 1;
    }
    index
};

/// In place of a row that nobody has.
const FREE: u16 = u16::MAX;

pub(crate) fn lookup(name: &str) -> Option<Syscall> {
    let (before, from) = INDEX.split_at(hash(name));
    for row in from.iter().chain(before).copied().map(usize::from) {
        match SYSCALLS.get(row) {
            Some((known, _)) if *known == name => return Some(Syscall(row)),
            Some(_) => {}
            None => return None,
        }
    }
    None
}

/// The name of the call with this number.
pub(crate) fn name(abi: Abi, number: u32) -> Option<&'static str> {
    let row = (0..ROWS).find(|row| Syscall(*row).number(abi) == Some(number))?;
    SYSCALLS.get(row).map(|(name, _)| *name)
}

/// The row of a call that is in the table, while the program is compiled.
const fn row_of(name: &str) -> usize {
    let mut row = 0;
    while !is_same(SYSCALLS[row].0.as_bytes(), name.as_bytes()) {
        row += 1;
    }
    row
}

const fn is_same(mut one: &[u8], mut other: &[u8]) -> bool {
    while let ([a, rest_of_one @ ..], [b, rest_of_other @ ..]) = (one, other) {
        if *a != *b {
            return false;
        }
        (one, other) = (rest_of_one, rest_of_other);
    }
    one.is_empty() && other.is_empty()
}

/// FNV-1a, folded to a place in the index.
const fn hash(name: &str) -> usize {
    let mut hash: u32 = 0x811c_9dc5;
    let mut rest = name.as_bytes();
    while let [byte, others @ ..] = rest {
        hash = (hash ^ *byte as u32).wrapping_mul(0x0100_0193);
        rest = others;
    }
    (hash ^ hash >> 16) as usize % 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(SYSCALLS.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn every_call_is_found() {
        for (name, numbers) in &SYSCALLS {
            assert_eq!(SYSCALLS[lookup(name).unwrap().0], (*name, *numbers));
        }
        assert!(lookup("no_such_call").is_none());
        assert!(lookup("").is_none());
    }
}
