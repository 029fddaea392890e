//! The calls of 32-bit x86 that are also reached through socketcall(2) and ipc(2).

use crate::profile::{Comparator, Operator};

/// One call through a multiplexer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Multiplexed {
    /// The number of the multiplexer.
    pub number: u32,
    /// The value of its first argument: `SYS_*` of linux/net.h, or that of linux/ipc.h.
    selector: usize,
}

impl Multiplexed {
    /// The condition that it is this call the multiplexer is to make.
    pub fn selection(self) -> &'static [Comparator] {
        SELECTIONS.get(self.selector..=self.selector).unwrap_or_default()
    }
}

/// Every selector's comparison, by its value.
static SELECTIONS: [Comparator; 25] = {
    let mut all = [Comparator::new(0, Operator::Equal, 0); 25];
    let mut selector = 1;
    while selector < all.len() {
        all[selector].value = selector as u64;
        selector += 1;
    }
    all
};

pub(crate) fn lookup(name: &str) -> Option<Multiplexed> {
    let socketcall = |selector| Some(Multiplexed { number: 102, selector });
    let ipc = |selector| Some(Multiplexed { number: 117, selector });
    match name {
        "socket" => socketcall(1),
        "bind" => socketcall(2),
        "connect" => socketcall(3),
        "listen" => socketcall(4),
        "accept" => socketcall(5),
        "getsockname" => socketcall(6),
        "getpeername" => socketcall(7),
        "socketpair" => socketcall(8),
        "send" => socketcall(9),
        "recv" => socketcall(10),
        "sendto" => socketcall(11),
        "recvfrom" => socketcall(12),
        "shutdown" => socketcall(13),
        "setsockopt" => socketcall(14),
        "getsockopt" => socketcall(15),
        "sendmsg" => socketcall(16),
        "recvmsg" => socketcall(17),
        "accept4" => socketcall(18),
        "recvmmsg" => socketcall(19),
        "sendmmsg" => socketcall(20),
        "semop" => ipc(1),
        "semget" => ipc(2),
        "semctl" => ipc(3),
        "semtimedop" => ipc(4),
        "msgsnd" => ipc(11),
        "msgrcv" => ipc(12),
        "msgget" => ipc(13),
        "msgctl" => ipc(14),
        "shmat" => ipc(21),
        "shmdt" => ipc(22),
        "shmget" => ipc(23),
        "shmctl" => ipc(24),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selects_by_the_first_argument() {
        let call = lookup("shmctl").unwrap();
        assert_eq!(call.number, 117);
        assert_eq!(call.selection(), [Comparator::new(0, Operator::Equal, 24)]);
        assert!(lookup("read").is_none());
    }
}
