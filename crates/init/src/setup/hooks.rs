//! Hooks that run while the container is built and right before its command.

use std::os::fd::AsFd;

use coracle_mount::Rootfs;
use coracle_process::Helper;
use rustix::process::{fchdir, getpid};

use super::Setup;
use crate::InitError;
use crate::error::Step;
use crate::plan::{HookPlan, HooksPlan, Place};
use crate::wire::ToHost;

impl Setup<'_> {
    /// Runs those that find the host's files where they are, and the container's mounted at its root's path:
    /// first the host's, then those of the container's namespaces, in its root.
    pub(super) fn run_hooks_before_pivot(
        &self,
        hooks: &HooksPlan,
        root: &Rootfs,
    ) -> Result<(), InitError> {
        if hooks.host {
            self.tell(&ToHost::Hooks, None).step("waiting for hooks")?;
            if !self.is_told_to_go().step("waiting for hooks")? {
                return Err(InitError::message("waiting for hooks", "the host has gone"));
            }
        }
        if hooks.create_container.is_empty() {
            return Ok(());
        }
        fchdir(root.as_fd()).step("changing to the root file system")?;
        run_all(&hooks.create_container, &hooks.state, "creating")
    }

    /// Runs those of the container right before its command, as its user and with its rights.
    pub(super) fn run_start_hooks(&self) -> Result<(), InitError> {
        let Place::New(plan) = &self.plan.place else { return Ok(()) };
        run_all(&plan.hooks.start_container, &plan.hooks.state, "created")
    }
}

fn run_all(hooks: &[HookPlan], state: &str, status: &str) -> Result<(), InitError> {
    let pid = getpid().as_raw_nonzero();
    let state = format!(r#"{state},"status":"{status}","pid":{pid}}}"#);
    for hook in hooks {
        let helper = Helper {
            program: &hook.path,
            args: &hook.args,
            env: hook.env.as_deref(),
            directory: None,
            input: state.as_bytes(),
            timeout: hook.timeout,
        };
        helper.run().step(format!("running {} ({})", hook.name, hook.path.display()))?;
    }
    Ok(())
}
