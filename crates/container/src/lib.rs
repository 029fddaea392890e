//! Linux containers as a library: the OCI life cycle, safe to call from any program.
//!
//! A container is described by an OCI bundle. [`ContainerBuilder`] creates it; what it returns can be
//! started, waited for, signalled and deleted, by this process or, through the [`Store`], by any other.
//!
//! Nothing forks in the calling program: a small sealed program ([`InitExe`]) is started with
//! posix_spawn(3) and becomes the container. So programs with threads, locks and gigabytes of memory can
//! start containers, at the same cost as small ones.
//!
//! ```no_run
//! use coracle::{Bundle, ContainerBuilder, Store};
//!
//! let store = Store::open_default()?;
//! let bundle = Bundle::open("/my/bundle")?;
//! let running = ContainerBuilder::new("hello", bundle)?.run(&store)?;
//! let status = running.wait()?;
//! println!("{status}");
//! # Ok::<(), coracle::Error>(())
//! ```

#![forbid(unsafe_code)]

mod agent;
mod builder;
mod console;
mod container;
mod create;
mod delete;
mod denied;
mod devices;
mod error;
mod events;
mod exec;
mod features;
mod hooks;
mod kill;
mod launch;
mod listener;
mod live;
mod lower;
mod modules;
mod notify;
mod oom;
mod options;
mod pause;
mod place;
mod placement;
mod process;
mod profile;
mod ps;
mod rdt;
mod running;
mod seal;
mod start;
mod state;
mod stats;
mod status;
mod store;
mod undo;
mod update;

pub use builder::{ContainerBuilder, Rootless};
pub use container::{Container, now};
pub use coracle_cgroup::Stats;
pub use coracle_init::main as init_main;
pub use coracle_process::{BlockedSignals, ExitStatus, Orphans, Signal};
pub use coracle_rdt::Stats as RdtStats;
pub use coracle_spec::{Bundle, ContainerId, Features, LoadedMounts, LoadedResources, LoadedSpec};
pub use denied::{AddedRule, DeniedCall, DeniedCalls, DeniedReport, KnownArg};
pub use error::{Error, ErrorKind, Result};
pub use events::{Event, EventKind, Events};
pub use exec::ExecBuilder;
pub use features::features;
pub use listener::{ConsoleConnection, ConsoleListener};
pub use lower::seccomp::SeccompFilter;
pub use notify::NotifyProxy;
pub use options::Stdio;
pub use process::Process;
pub use profile::{ExplainedCall, ExplainedOutcome, SeccompProfile};
pub use running::{Created, Running};
pub use seal::{InitExe, init_entry};
pub use state::State;
pub use stats::Sample;
pub use status::Status;
pub use store::Store;
