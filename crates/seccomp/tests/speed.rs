//! How long compiling takes: `cargo test --release -p coracle-seccomp --test speed -- --ignored --nocapture`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy knows tests, but not what they share"
)]

mod common;

use std::fs;
use std::hint::black_box;
use std::io::Read;
use std::time::{Duration, Instant};

use common::{Data, SUPPORTED, X32_BIT, json, run};
use coracle_seccomp::{Arch, BpfProgram, Profile, compile};

fn time(profile: &Profile) -> Duration {
    let start = Instant::now();
    black_box(compile(black_box(profile))).unwrap();
    start.elapsed()
}

/// The least that a cache of compiled programs would cost: its directory and the file are opened and looked
/// at, the program is read and verified.
fn from_file(program: &BpfProgram) -> Duration {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("0".repeat(64));
    fs::write(&path, program.as_bytes()).unwrap();
    let load = || {
        let start = Instant::now();
        let place = fs::File::open(directory.path()).unwrap();
        black_box(place.metadata().unwrap());
        let mut file = fs::File::open(&path).unwrap();
        black_box(file.metadata().unwrap());
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        assert_eq!(BpfProgram::from_bytes(&bytes).unwrap().len(), program.len());
        start.elapsed()
    };
    let mut times: Vec<Duration> = (0..1000).map(|_| load()).collect();
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
    println!(
        "from a file instead: {:?} (median), without the hash that would find it",
        from_file(&program)
    );
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
