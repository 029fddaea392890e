//! How long compiling takes: `cargo test --release -p coracle-seccomp --test speed -- --ignored --nocapture`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy knows tests, but not what they share"
)]

mod common;

use std::hint::black_box;
use std::time::{Duration, Instant};

use common::{Data, SUPPORTED, X32_BIT, json, run};
use coracle_seccomp::{Arch, Cache, CacheKey, Profile, compile};

fn time(profile: &Profile) -> Duration {
    let start = Instant::now();
    black_box(compile(black_box(profile))).unwrap();
    start.elapsed()
}

/// How long it takes to find the program in a cache instead, with a source of a profile's size.
fn from_cache(profile: &Profile) -> Duration {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(directory.path().join("filters"));
    let names = profile.rules.iter().flat_map(|rule| &rule.names);
    let source = names.map(String::as_str).collect::<Vec<_>>().join(" ");
    let find = || {
        let start = Instant::now();
        let mut key = CacheKey::new().unwrap();
        key.extend(source.bytes());
        let found = cache.find(&key).unwrap();
        (start.elapsed(), key, found)
    };
    let (_, key, _) = find();
    cache.keep(&key, &compile(profile).unwrap()).unwrap();
    let mut times: Vec<Duration> = (0..1000)
        .map(|_| {
            let (time, _, found) = find();
            assert!(found.is_some());
            time
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

#[test]
#[ignore = "prints a measurement"]
fn default_profile() {
    let Some(profile) = json::default_profile(&["CAP_SYS_CHROOT", "CAP_AUDIT_WRITE"]) else {
        return;
    };
    let names: usize = profile.rules.iter().map(|rule| rule.names.len()).sum();
    let cold = time(&profile);
    let mut warm: Vec<Duration> = (0..1000).map(|_| time(&profile)).collect();
    warm.sort();
    let program = compile(&profile).unwrap();
    println!(
        "{names} names, 3 architectures: cold {cold:?}, warm {:?} (median)",
        warm[warm.len() / 2]
    );
    println!("{} instructions", program.len());
    println!("found in a cache instead: {:?} (median)", from_cache(&profile));
    for arch in SUPPORTED.into_iter().filter(|arch| profile.architectures.contains(arch)) {
        let base = if arch == Arch::X32 { X32_BIT } else { 0 };
        let steps = (0..=470).map(|number| {
            let (_, steps) = run(program.instructions(), &Data::new(arch, base + number, [0; 6]));
            steps
        });
        let (sum, most) = steps.fold((0, 0), |(sum, most), steps| (sum + steps, most.max(steps)));
        println!("{arch}: {} steps for a call on average, {most} at most", sum / 471);
    }
}
