//! The calls of 32-bit x86 that are also reached through socketcall(2) and ipc(2).

use super::ROWS;
use crate::profile::{Comparator, Operator};

/// One call through a multiplexer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Multiplexed(&'static Call);

impl Multiplexed {
    /// The number of the multiplexer.
    pub fn number(self) -> u32 {
        self.0.number
    }

    /// The condition that it is this call the multiplexer is to make.
    pub fn selection(self) -> &'static [Comparator] {
        std::slice::from_ref(&self.0.selection)
    }
}

#[derive(Debug)]
struct Call {
    name: &'static str,
    number: u32,
    selection: Comparator,
}

/// The value of the first argument is that of `SYS_*` in linux/net.h.
const fn socketcall(name: &'static str, selector: u64) -> Call {
    Call { name, number: 102, selection: Comparator::new(0, Operator::Equal, selector) }
}

/// The value of the first argument is that in linux/ipc.h.
const fn ipc(name: &'static str, selector: u64) -> Call {
    Call { name, number: 117, selection: Comparator::new(0, Operator::Equal, selector) }
}

static CALLS: [Call; 32] = [
    socketcall("socket", 1),
    socketcall("bind", 2),
    socketcall("connect", 3),
    socketcall("listen", 4),
    socketcall("accept", 5),
    socketcall("getsockname", 6),
    socketcall("getpeername", 7),
    socketcall("socketpair", 8),
    socketcall("send", 9),
    socketcall("recv", 10),
    socketcall("sendto", 11),
    socketcall("recvfrom", 12),
    socketcall("shutdown", 13),
    socketcall("setsockopt", 14),
    socketcall("getsockopt", 15),
    socketcall("sendmsg", 16),
    socketcall("recvmsg", 17),
    socketcall("accept4", 18),
    socketcall("recvmmsg", 19),
    socketcall("sendmmsg", 20),
    ipc("semop", 1),
    ipc("semget", 2),
    ipc("semctl", 3),
    ipc("semtimedop", 4),
    ipc("msgsnd", 11),
    ipc("msgrcv", 12),
    ipc("msgget", 13),
    ipc("msgctl", 14),
    ipc("shmat", 21),
    ipc("shmdt", 22),
    ipc("shmget", 23),
    ipc("shmctl", 24),
];

/// Which of the calls a row of the table is; [`NONE`] for most.
static BY_ROW: [u8; ROWS] = {
    let mut by_row = [NONE; ROWS];
    let mut call: u8 = 0;
    while (call as usize) < CALLS.len() {
        by_row[super::row_of(CALLS[call as usize].name)] = call;
        call += 1;
    }
    by_row
};

const NONE: u8 = u8::MAX;

pub(super) fn of_row(row: usize) -> Option<Multiplexed> {
    CALLS.get(usize::from(*BY_ROW.get(row)?)).map(Multiplexed)
}

#[cfg(test)]
mod tests {
    use super::super::lookup;
    use super::*;

    #[test]
    fn selects_by_the_first_argument() {
        let call = lookup("shmctl").unwrap().multiplexed().unwrap();
        assert_eq!(call.number(), 117);
        assert_eq!(call.selection(), [Comparator::new(0, Operator::Equal, 24)]);
        assert!(lookup("read").unwrap().multiplexed().is_none());
    }

    #[test]
    fn every_call_has_a_row() {
        for call in &CALLS {
            assert_eq!(lookup(call.name).unwrap().multiplexed().unwrap().0.name, call.name);
        }
    }
}
