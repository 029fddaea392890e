//! The numbers of the system calls.

pub(crate) mod multiplex;
mod syscalls;

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

pub(crate) fn lookup(name: &str) -> Option<Syscall> {
    let table = &syscalls::SYSCALLS;
    let row = table.binary_search_by_key(&name, |(known, _)| known).ok()?;
    table.get(row).map(|(_, numbers)| Syscall(numbers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(syscalls::SYSCALLS.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn every_call_is_found() {
        for (name, numbers) in &syscalls::SYSCALLS {
            assert_eq!(lookup(name).unwrap().0, numbers);
        }
        assert!(lookup("no_such_call").is_none());
        assert!(lookup("").is_none());
    }
}
