//! The tests that drive the `coracle` command on the real kernel, in groups by subject.
//!
//! `cargo test -p coracle-tests` runs them all; `cargo test -p coracle-tests -- mounts::` one group. What
//! the environment can say is in the documentation of `coracle-testkit`.

#![forbid(unsafe_code)]

mod bad_input;
mod cgroups;
mod commands;
mod crash;
mod engines;
mod exec;
mod formats;
mod hooks;
mod labels;
mod lifecycle;
mod mounts;
mod namespaces;
mod nested;
mod network;
mod old_kernels;
mod process;
mod real_roots;
mod rootless;
mod seccomp;
mod service_manager;
mod systemd;
mod tutorial;
mod update;

use std::process::ExitCode;

use coracle_testkit::Suite;

fn main() -> ExitCode {
    let suite = lifecycle::add_to(Suite::new());
    let suite = namespaces::add_to(suite);
    let suite = mounts::add_to(suite);
    let suite = process::add_to(suite);
    let suite = labels::add_to(suite);
    let suite = cgroups::add_to(suite);
    let suite = seccomp::add_to(suite);
    let suite = rootless::add_to(suite);
    let suite = bad_input::add_to(suite);
    let suite = formats::add_to(suite);
    let suite = real_roots::add_to(suite);
    let suite = old_kernels::add_to(suite);
    let suite = crash::add_to(suite);
    let suite = service_manager::add_to(suite);
    let suite = systemd::add_to(suite);
    let suite = tutorial::add_to(suite);
    let suite = nested::add_to(suite);
    let suite = network::add_to(suite);
    let suite = update::add_to(suite);
    let suite = commands::add_to(suite);
    let suite = exec::add_to(suite);
    let suite = hooks::add_to(suite);
    let suite = engines::add_to(suite);
    suite.main()
}
