//! Giving up rights, in the one order that works.

use std::os::fd::AsFd;

use coracle_lsm::landlock::Rules;
use coracle_process::{Program, find_executable};
use coracle_seccomp::{BpfProgram, FilterFlags, Listener};
use rustix::thread::{set_keep_capabilities, set_no_new_privs};

use super::Setup;
use super::start::Confined;
use crate::InitError;
use crate::error::Step;
use crate::plan::SeccompPlan;
use crate::wire::ToHost;

/// A filter that is still to be loaded.
pub(super) struct Filter {
    program: BpfProgram,
    flags: FilterFlags,
}

impl Filter {
    fn of(plan: &SeccompPlan) -> Result<Self, InitError> {
        let program = BpfProgram::from_bytes(&plan.program).step("checking the seccomp filter")?;
        Ok(Self { program, flags: FilterFlags::from_bits_retain(plan.flags) })
    }

    /// Whether somebody must hear of calls before the filter may be loaded.
    pub(super) fn notifies(&self) -> bool {
        self.program.notifies()
    }

    fn load(&self) -> Result<Option<Listener>, InitError> {
        self.program.load(self.flags).step("loading the seccomp filter")
    }
}

impl Setup<'_> {
    /// Confines the process as far as can be before the command is executed.
    ///
    /// Without no_new_privs only a privileged process may load a filter, so that happens before the
    /// capabilities go. With it the filter comes last, so that it need not allow what is done here; but one
    /// that notifies must be loaded while there is a host to take its listener.
    pub(super) fn confine(&mut self) -> Result<Confined, InitError> {
        let plan = &self.plan.confine;
        self.label()?;
        let may_set_groups = self.may_set_groups()?;
        // From here on what the container's files say is followed: nothing of the host may be in reach.
        let kept = self.let_go_of_host()?;
        for rlimit in &self.plan.process.rlimits {
            rlimit.apply().step("setting /process/rlimits")?;
        }
        self.schedule()?;
        let landlock = plan.landlock.as_ref().map(Rules::prepare).transpose();
        let sandbox = landlock.step("preparing the annotations of Landlock")?;
        let mut filter = plan.seccomp.as_ref().map(Filter::of).transpose()?;
        if plan.no_new_privileges {
            set_no_new_privs(true).step("setting no_new_privs")?;
        } else if let Some(filter) = filter.take() {
            self.load(&filter)?;
        }
        let entered = self.try_enter_cwd()?;
        plan.capabilities.limit_bounding().step("limiting capabilities")?;
        set_keep_capabilities(true).step("keeping capabilities")?;
        self.become_user(may_set_groups)?;
        set_keep_capabilities(false).step("keeping capabilities")?;
        plan.capabilities.apply().step("setting /process/capabilities")?;
        self.enter_cwd(entered)?;
        let env = self.environment();
        let args = &self.plan.process.args;
        let name = args.first().map_or("", String::as_str);
        let path = find_executable(name, &env).step("finding /process/args/0")?;
        let program = Program::new(&path, args, &env).step("preparing the command")?;
        Ok(Confined::new(program, (sandbox, filter), kept))
    }

    /// Loads the filter. Its listener, if it has one, goes to the host at once: from here on any call of this
    /// process may have to wait for the agent behind it. The one call by which it goes must pass the filter.
    pub(super) fn load(&self, filter: &Filter) -> Result<(), InitError> {
        let Some(listener) = filter.load()? else { return Ok(()) };
        self.tell(&ToHost::Listener, Some(listener.as_fd())).step(
            "handing over the seccomp listener (a profile with SCMP_ACT_NOTIFY must allow sendmsg)",
        )
    }

    /// How the command is scheduled and what it sees of the machine, once its resource limits may allow it what it
    /// has no capability for.
    fn schedule(&self) -> Result<(), InitError> {
        let process = &self.plan.process;
        if let Some(personality) = &process.personality {
            personality.apply().step("setting /linux/personality")?;
        }
        if let Some(policy) = &process.memory_policy {
            policy.apply().step("setting /linux/memoryPolicy")?;
        }
        if let Some(priority) = &process.io_priority {
            priority.apply().step("setting /process/ioPriority")?;
        }
        if let Some(scheduler) = &process.scheduler {
            scheduler.apply().step("setting /process/scheduler")?;
        }
        Ok(())
    }

    fn label(&self) -> Result<(), InitError> {
        if let Some(profile) = &self.plan.confine.apparmor {
            coracle_lsm::set_apparmor_exec(self.proc()?, profile)
                .step("setting /process/apparmorProfile")?;
        }
        if let Some(label) = &self.plan.confine.selinux {
            coracle_lsm::set_selinux_exec(self.proc()?, label)
                .step("setting /process/selinuxLabel")?;
        }
        Ok(())
    }
}
