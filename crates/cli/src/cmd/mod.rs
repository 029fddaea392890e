//! The commands: arguments in, one call of the library, its result out.

/// A builder of a process, with the flags about how the process is connected with its caller.
macro_rules! connected {
    ($builder:expr, $invocation:expr) => {{
        let (mut builder, invocation) = ($builder, $invocation);
        let path = |name| invocation.flags.last(name).filter(|path| !path.is_empty());
        if let Some(path) = path("console-socket") {
            builder = builder.console_socket(path);
        }
        if let Some(path) = path("pidfd-socket") {
            builder = builder.pidfd_socket(path);
        }
        if let Some(path) = path("pid-file") {
            builder = builder.pid_file(path);
        }
        builder.preserve(super::copies(&invocation.passed_on.preserved)?)
    }};
}

mod completion;
mod create;
mod delete;
mod events;
mod exec;
mod features;
mod interval;
mod kill;
mod list;
mod man;
mod mounts;
mod pause;
mod ps;
mod recvtty;
mod run;
mod seccomp;
mod spec;
mod start;
mod state;
mod stats;
mod update;

use std::ffi::OsStr;
use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use coracle::{ContainerId, Error, Rootless, Store};
use coracle_spec::CONFIG_SIZE_LIMIT;
use regex_lite::Regex;

use crate::error::{Failure, Result};
use crate::parse::Invocation;

pub use completion::completion;
pub use create::create;
pub use delete::delete;
pub use events::events;
pub use exec::exec;
pub use features::features;
pub use kill::kill;
pub use list::list;
pub use man::man;
pub use mounts::mounts;
pub use pause::{pause, resume};
pub use ps::ps;
pub use recvtty::recvtty;
pub use run::run;
pub use seccomp::seccomp;
pub use spec::spec;
pub use start::start;
pub use state::state;
pub use stats::stats;
pub use update::update;

impl Invocation {
    /// What `--root` names.
    fn root(&self) -> Option<&OsStr> {
        self.globals.last("root").filter(|root| !root.is_empty())
    }

    /// The store that `--root` names, or the usual one.
    fn store(&self) -> Result<Store> {
        match self.root() {
            None => Ok(Store::open_default()?),
            Some(root) if Path::new(root) == Path::new("/") => {
                Err(Failure::new("--root must not be the root of the file system"))
            }
            Some(root) => Ok(Store::new(std::path::absolute(root)?)),
        }
    }

    /// The container's id: the first argument.
    fn id(&self) -> Result<ContainerId> {
        let id = self.argument(0)?.unwrap_or_default();
        Ok(ContainerId::parse(id)?)
    }

    /// Does something with the container of the given id; with `--regex`, with each whose id matches. What
    /// fails for one does not keep it from the others.
    fn for_each_id(
        &self,
        store: &Store,
        mut action: impl FnMut(&ContainerId) -> Result<()>,
    ) -> Result<()> {
        if !self.flags.is_set("regex") {
            return action(&self.id()?);
        }
        let given = self.argument(0)?.unwrap_or_default();
        let pattern = Regex::new(given)
            .map_err(|error| Failure::new(format!("--regex {given:?}: {error}")))?;
        let ids = store.list()?.into_iter().map(|found| match found {
            Ok(container) => Ok(container.id().to_owned()),
            Err(Error::Damaged { id, .. }) => Ok(id),
            Err(error) => Err(error),
        });
        let ids = ids.collect::<Result<Vec<_>, _>>()?;
        let mut result = Ok(());
        for id in ids.iter().filter(|id| pattern.is_match(id)) {
            let done = action(&ContainerId::parse(id)?);
            result = result.and(done.map_err(|failure| Failure::new(format!("{id}: {failure}"))));
        }
        result
    }

    fn rootless(&self) -> Result<Rootless> {
        match self.globals.text("rootless")? {
            Some("true") => Ok(Rootless::Yes),
            Some("false") => Ok(Rootless::No),
            _ => Ok(Rootless::Auto),
        }
    }
}

fn copies(descriptors: &[OwnedFd]) -> Result<Vec<OwnedFd>> {
    Ok(descriptors.iter().map(OwnedFd::try_clone).collect::<Result<_, _>>()?)
}

/// The document at `path`, which may be a pipe; `-` is standard input. Of what is longer than any document
/// only the beginning is read.
fn read(path: &Path) -> Result<Vec<u8>> {
    let failure = |error: std::io::Error| {
        let what = path.display();
        match error.kind() {
            ErrorKind::NotFound => Failure::new(format!("{what} does not exist")),
            _ => Failure::new(format!("cannot read {what}: {error}")),
        }
    };
    let source: Box<dyn Read> = match path == Path::new("-") {
        true => Box::new(std::io::stdin().lock()),
        false => Box::new(File::open(path).map_err(failure)?),
    };
    let mut document = Vec::new();
    source.take(CONFIG_SIZE_LIMIT).read_to_end(&mut document).map_err(failure)?;
    Ok(document)
}

/// The socket of the service manager that wants to know when a container is ready; see sd_notify(3).
fn service_manager() -> Option<OsString> {
    std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty())
}

/// Prints to standard output. A reader that has gone is a failure with a message, not a crash.
fn print(text: &str) -> Result<()> {
    let mut output = std::io::stdout().lock();
    Ok(output.write_all(text.as_bytes()).and_then(|()| output.flush())?)
}
