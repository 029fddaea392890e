//! What the host and the program say to each other, on one socket.
//!
//! First the host sends the plan, in a sealed memory file, and the plan's descriptors ([`send_plan`]); then
//! both send messages, one a frame. When one side's end of the socket closes it has gone.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use coracle_process::{Channel, MAX_DESCRIPTORS};
use coracle_sys::memfd;
use rustix::fs::MemfdFlags;
use rustix::io::Errno;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::InitError;
use crate::plan::{Slot, Task};

/// The longest message; a failure with its causes fits by far.
const MESSAGE_LIMIT: usize = 64 << 10;
/// The longest plan: twice the most that execve(2) takes for arguments and environment.
const PLAN_LIMIT: u64 = 8 << 20;
/// The host and the program must be of one build, as the plan's layout is nobody else's.
const GREETING: &str = concat!("coracle ", env!("CARGO_PKG_VERSION"));

/// What the program tells the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToHost {
    /// The container's first process exists; its pidfd comes along.
    Child {
        /// Its number in the host's pid namespace.
        pid: i32,
    },
    /// The new network namespace is there, and nobody runs in it: the host may move devices into it, and says
    /// [`ToInit::Go`] when they are there.
    Network,
    /// All is mounted: the host may run its hooks, and says [`ToInit::Go`] when they are done.
    Hooks,
    /// The terminal is there; its controlling side comes along.
    Terminal {
        /// Its path inside, as `/dev/pts/0`.
        name: String,
    },
    /// The seccomp filter is loaded, and notifies: its listener comes along.
    Listener,
    /// All is done but the execution of the command.
    Ready,
    /// The mounts are changed, and the program ends.
    Done,
    /// A step failed, and the program ends.
    Failed(InitError),
}

/// What the host tells the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToInit {
    /// Go on: to the steps after the host's devices or hooks, or to the execution of the command.
    Go,
}

/// What can go wrong between the two.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The socket failed.
    #[error("cannot talk to the other process")]
    Channel(#[from] coracle_process::Error),
    /// The memory file failed.
    #[error("cannot pass on the plan")]
    Memory(#[from] std::io::Error),
    /// The memory file could not be made, or sealed.
    #[error("cannot pass on the plan")]
    Seal(#[from] coracle_sys::SyscallError),
    /// What arrived is not what was expected.
    #[error("the other side is of another version or not coracle at all: {0}")]
    Protocol(&'static str),
    /// The bytes are no message.
    #[error("the message cannot be read")]
    Message(#[from] postcard::Error),
}

impl WireError {
    /// Has the other side gone?
    pub fn is_hang_up(&self) -> bool {
        let Self::Channel(coracle_process::Error::Syscall { source, .. }) = self else {
            return false;
        };
        matches!(source.errno(), Errno::PIPE | Errno::CONNRESET)
    }
}

/// What a process writes into the FIFO of results right before it executes its command. Without it, it has
/// ended before.
pub const EXECUTING: u8 = b'+';

/// The first message.
#[derive(Debug, Serialize, Deserialize)]
struct Hello {
    greeting: String,
    descriptors: usize,
}

/// Sends the plan and the descriptors that its slots name.
pub fn send_plan(
    channel: &Channel,
    task: &Task,
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), WireError> {
    let bytes = postcard::to_stdvec(task)?;
    let memory = memfd::sealable("coracle-plan", MemfdFlags::empty())?;
    memory.write_all_at(&bytes, 0)?;
    memfd::seal(&memory)?;
    let hello = Hello { greeting: GREETING.into(), descriptors: descriptors.len() };
    channel.send(&postcard::to_stdvec(&hello)?, &[memory.as_fd()])?;
    for chunk in descriptors.chunks(MAX_DESCRIPTORS) {
        channel.send(b"+", chunk)?;
    }
    Ok(())
}

/// Receives what [`send_plan`] sent.
pub(crate) fn receive_plan(channel: &Channel) -> Result<(Task, Descriptors), WireError> {
    let first = channel.receive(MESSAGE_LIMIT)?.ok_or(WireError::Protocol("no greeting"))?;
    let hello: Hello = postcard::from_bytes(&first.bytes)?;
    let [memory] = <[OwnedFd; 1]>::try_from(first.descriptors)
        .map_err(|_| WireError::Protocol("no plan with the greeting"))?;
    if hello.greeting != GREETING {
        return Err(WireError::Protocol("another greeting"));
    }
    let mut descriptors = Vec::new();
    while descriptors.len() < hello.descriptors {
        let next =
            channel.receive(MESSAGE_LIMIT)?.ok_or(WireError::Protocol("too few descriptors"))?;
        descriptors.extend(next.descriptors.into_iter().map(Some));
    }
    Ok((read_plan(&memory.into())?, Descriptors(descriptors)))
}

fn read_plan(memory: &File) -> Result<Task, WireError> {
    if !memfd::is_sealed(memory)? {
        return Err(WireError::Protocol("the plan is not sealed"));
    }
    let length = memory.metadata()?.len();
    if length > PLAN_LIMIT {
        return Err(WireError::Protocol("the plan is too long"));
    }
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    memory.read_exact_at(&mut bytes, 0)?;
    Ok(postcard::from_bytes(&bytes)?)
}

/// Sends one message, with at most one descriptor.
pub fn send<M: Serialize>(
    channel: &Channel,
    message: &M,
    descriptor: Option<BorrowedFd<'_>>,
) -> Result<(), WireError> {
    Ok(channel.send(&postcard::to_stdvec(message)?, descriptor.as_slice())?)
}

/// Waits for the next message and its descriptor; nothing when the other side has gone.
pub fn receive<M: DeserializeOwned>(
    channel: &Channel,
) -> Result<Option<(M, Option<OwnedFd>)>, WireError> {
    let Some(message) = channel.receive(MESSAGE_LIMIT)? else { return Ok(None) };
    Ok(Some((postcard::from_bytes(&message.bytes)?, message.descriptors.into_iter().next())))
}

/// The descriptors that came with the plan.
#[derive(Debug)]
pub(crate) struct Descriptors(Vec<Option<OwnedFd>>);

impl Descriptors {
    /// The descriptor in `slot`, which is taken out.
    pub(crate) fn take(&mut self, slot: Slot) -> Result<OwnedFd, InitError> {
        let place = self.0.get_mut(usize::try_from(slot.0).unwrap_or(usize::MAX));
        place.and_then(Option::take).ok_or_else(|| {
            InitError::message("reading the plan", format!("slot {} has no descriptor", slot.0))
        })
    }

    /// Closes what nobody has taken.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
