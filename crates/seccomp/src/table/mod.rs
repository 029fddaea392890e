//! The numbers of the system calls.

pub(crate) mod multiplex;
mod syscalls;

use self::syscalls::SYSCALLS;
use crate::arch::Abi;

/// In place of the number of a call that the architecture lacks.
const NONE: u32 = u32::MAX;

/// The numbers of one system call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Syscall(&'static [u32; 5]);

impl Syscall {
    pub fn number(self, abi: Abi) -> Option<u32> {
        self.0.get(abi.column).copied().filter(|number| *number != NONE)
    }
}

/// The rows of the table by the hash of their names, each in the first free place from there on.
///
/// A profile names hundreds of calls; to bisect the table for them was most of what compiling cost.
static INDEX: [u16; 1024] = {
    let mut index = [FREE; 1024];
    let mut row: u16 = 0;
    while (row as usize) < SYSCALLS.len() {
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
    for row in from.iter().chain(before) {
        match SYSCALLS.get(usize::from(*row)) {
            Some((known, numbers)) if *known == name => return Some(Syscall(numbers)),
            Some(_) => {}
            None => return None,
        }
    }
    None
}

/// The name of the call with this number.
pub(crate) fn name(abi: Abi, number: u32) -> Option<&'static str> {
    let mut rows = SYSCALLS.iter();
    rows.find(|(_, numbers)| Syscall(numbers).number(abi) == Some(number)).map(|(name, _)| *name)
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
            assert_eq!(lookup(name).unwrap().0, numbers);
        }
        assert!(lookup("no_such_call").is_none());
        assert!(lookup("").is_none());
    }
}
