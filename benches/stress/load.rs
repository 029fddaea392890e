//! Memory, and threads that hold locks most of the time.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::Context;

/// How many allocations are alive, for the threads to free them for each other.
const ALIVE: usize = 512;

/// The sizes of allocations, in bytes: from the allocator's own caches to mappings of their own.
const SIZES: [usize; 6] = [24, 200, 1500, 12_000, 70_000, 300_000];

/// What makes starting hard.
#[derive(Clone, Copy)]
pub struct Load {
    pub threads: usize,
    /// In MiB.
    pub memory: usize,
}

/// The memory; the threads go on to the end of the process.
pub struct Running {
    #[expect(dead_code, reason = "it is held, not read")]
    memory: Vec<u8>,
}

impl Load {
    pub fn start(self) -> anyhow::Result<Running> {
        let memory = black_box(vec![1; self.memory << 20]);
        let queue = Arc::new(Mutex::new(VecDeque::new()));
        for _ in 0..self.threads {
            let queue = Arc::clone(&queue);
            thread::Builder::new().spawn(move || churn(&queue)).context("cannot start a thread")?;
        }
        Ok(Running { memory })
    }
}

/// Allocates, lets others free, and frees what others have allocated.
fn churn(queue: &Mutex<VecDeque<Vec<u8>>>) {
    // The starts shall wait for locks, if for anything, not for a processor. This is for the thread alone.
    if rustix::process::nice(19).is_err() {
        eprintln!("stress: a thread goes on with the usual priority");
    }
    for size in SIZES.into_iter().cycle() {
        let allocated = black_box(vec![1; size]);
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.push_back(allocated);
        let oldest = if queue.len() > ALIVE { queue.pop_front() } else { None };
        drop(oldest);
    }
}
