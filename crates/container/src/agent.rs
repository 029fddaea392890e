//! The agent that decides about the system calls of which a seccomp filter notifies.
//!
//! See the runtime specification, config-linux, "The Container Process State".

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use coracle_spec::OCI_VERSION;
use serde::Serialize;

use crate::console::DescriptorSocket;
use crate::hooks::HookState;
use crate::{Error, Result};

/// What it means that nobody accepts.
const HUNG: &str = "connecting to /linux/seccomp/listenerPath: is the agent alive?";

/// Where the agent waits, and what it is told besides the container's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AgentAddress {
    pub(crate) path: PathBuf,
    pub(crate) metadata: Option<String>,
}

/// An agent that waits for the listener.
#[derive(Debug)]
pub(crate) struct Agent {
    socket: DescriptorSocket,
    metadata: Option<String>,
}

/// What the agent reads: `ContainerProcessState` of the runtime specification.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ProcessState<'a> {
    oci_version: &'a str,
    /// The names of the descriptors that come along.
    fds: [&'a str; 1],
    pid: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a str>,
    state: HookState<'a>,
}

impl Agent {
    /// Connects to the agent, if there is to be one: its absence shall show before anything runs.
    pub(crate) fn connect(address: Option<AgentAddress>) -> Result<Option<Self>> {
        let connect = |AgentAddress { path, metadata }| {
            let socket = DescriptorSocket::connect(&path, HUNG)?;
            Ok(Self { socket, metadata })
        };
        address.map(connect).transpose()
    }

    /// Hands it the listener of the process `pid`, in a container of this state.
    pub(crate) fn take(&self, listener: &OwnedFd, pid: i32, state: HookState<'_>) -> Result<()> {
        let message = ProcessState {
            oci_version: OCI_VERSION,
            fds: ["seccompFd"],
            pid,
            metadata: self.metadata.as_deref(),
            state,
        };
        let message = serde_json::to_string(&message)
            .map_err(|error| Error::file("write", "the state for the seccomp agent", error))?;
        self.socket.send(listener, &message)
    }
}
