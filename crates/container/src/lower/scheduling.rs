//! How a process is scheduled and what it sees of the machine: in `/process` and in `/linux`.

use coracle_init::plan::ProcessPlan;
use coracle_process::{IoPriority, MemoryPolicy, Personality, Scheduler};
use coracle_spec::Spec;
use coracle_spec::types;
use coracle_sys::bit_list;

use super::invalid;
use crate::Result;

/// Adds it to the plan of a process.
pub(super) fn lower(spec: &Spec, plan: &mut ProcessPlan) -> Result<()> {
    let types::Process { scheduler, io_priority, .. } = &spec.process;
    let types::Linux { memory_policy, personality, .. } = &spec.linux;
    plan.scheduler = convert(scheduler, of_processors, "/process/scheduler")?;
    plan.io_priority = convert(io_priority, of_io, "/process/ioPriority")?;
    plan.memory_policy = convert(memory_policy, of_memory, "/linux/memoryPolicy")?;
    let named = |oci: &types::Personality| Personality::named(&oci.domain);
    plan.personality = convert(personality, named, "/linux/personality")?;
    Ok(())
}

/// Checking the document has left nothing here that is not known.
fn convert<O, T>(
    oci: &Option<O>,
    convert: impl FnOnce(&O) -> Option<T>,
    pointer: &str,
) -> Result<Option<T>> {
    let refused = || invalid(pointer, "has a name or a list that is not known");
    oci.as_ref().map(|oci| convert(oci).ok_or_else(refused)).transpose()
}

fn of_processors(oci: &types::Scheduler) -> Option<Scheduler> {
    let mut scheduler = Scheduler::named(&oci.policy)?;
    scheduler.nice = oci.nice;
    scheduler.priority = oci.priority;
    scheduler.runtime = oci.runtime;
    scheduler.deadline = oci.deadline;
    scheduler.period = oci.period;
    oci.flags.iter().try_fold(scheduler, |scheduler, flag| scheduler.with_flag(flag))
}

fn of_io(oci: &types::IoPriority) -> Option<IoPriority> {
    IoPriority::named(&oci.class, oci.priority)
}

fn of_memory(oci: &types::MemoryPolicy) -> Option<MemoryPolicy> {
    let nodes = match &oci.nodes {
        Some(list) => bit_list::parse(list)?,
        None => Vec::new(),
    };
    let policy = MemoryPolicy::named(&oci.mode, nodes)?;
    oci.flags.iter().try_fold(policy, |policy, flag| policy.with_flag(flag))
}
