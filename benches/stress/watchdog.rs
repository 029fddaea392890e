//! Ends the process when a start hangs, so that a hang is a failure that says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long a container may take from the start to its deletion.
const LIMIT: Duration = Duration::from_secs(20);

/// How often the watchdog looks.
const PERIOD: Duration = Duration::from_millis(500);

/// Nothing is being watched.
const IDLE: u64 = u64::MAX;

pub struct Watchdog {
    origin: Instant,
    /// When the watched action began, in ms after the origin.
    begin: Arc<AtomicU64>,
}

/// An action that must end in time.
pub struct Watched<'a>(&'a AtomicU64);

impl Watchdog {
    pub fn start() -> std::io::Result<Self> {
        let (origin, begin) = (Instant::now(), Arc::new(AtomicU64::new(IDLE)));
        let watched = Arc::clone(&begin);
        thread::Builder::new().spawn(move || watch(origin, &watched))?;
        Ok(Self { origin, begin })
    }

    pub fn watch(&self) -> Watched<'_> {
        self.begin.store(millis(self.origin), Ordering::Relaxed);
        Watched(&self.begin)
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.0.store(IDLE, Ordering::Relaxed);
    }
}

fn watch(origin: Instant, begin: &AtomicU64) {
    loop {
        thread::sleep(PERIOD);
        let begin = Duration::from_millis(begin.load(Ordering::Relaxed));
        if origin.elapsed().saturating_sub(begin) > LIMIT {
            eprintln!("stress: a container hangs for more than {} s", LIMIT.as_secs());
            std::process::abort();
        }
    }
}

fn millis(origin: Instant) -> u64 {
    u64::try_from(origin.elapsed().as_millis()).unwrap_or(IDLE)
}
