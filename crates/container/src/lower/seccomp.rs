//! `/linux/seccomp`.

use coracle_init::plan::SeccompPlan;
use coracle_seccomp::{
    Action, Arch, BpfProgram, Comparator, FilterFlags, Operator, Profile, Rule, compile,
    parse_flag, supported_flags,
};
use coracle_spec::types::{Seccomp, Syscall, SyscallArg};

use super::invalid;
use crate::Result;
use crate::agent::AgentAddress;

const POINTER: &str = "/linux/seccomp";

/// Compiles the profile; nothing is left of one that allows everything. If it `records`, we are notified of what it
/// denies.
pub(super) fn lower(
    mut oci: Seccomp,
    records: bool,
    warnings: &mut Vec<String>,
) -> Result<Option<(SeccompPlan, Option<AgentAddress>)>> {
    let mut profile = profile(&mut oci, warnings)?;
    profile.notifies_of_denials = records;
    if profile.default_action == Action::Allow && profile.rules.is_empty() {
        return Ok(None);
    }
    let program = compile(&profile).map_err(|error| invalid(POINTER, error.to_string()))?;
    let plan = SeccompPlan { program: program.as_bytes().to_vec(), flags: flags(&oci)?.bits() };
    let agent = if program.notifies() && !records { Some(agent(oci, &program)?) } else { None };
    Ok(Some((plan, agent)))
}

/// The profile, in the terms of the compiler. Its rules, with the names of hundreds of calls, are taken out.
pub(crate) fn profile(oci: &mut Seccomp, warnings: &mut Vec<String>) -> Result<Profile> {
    let refused = |error: coracle_seccomp::Error| invalid(POINTER, error.to_string());
    let default = Action::from_oci(&oci.default_action, oci.default_errno_ret).map_err(refused)?;
    let rules = std::mem::take(&mut oci.syscalls)
        .into_iter()
        .map(rule)
        .collect::<Result<Vec<_>, _>>()
        .map_err(refused)?;
    let mut profile = Profile::new(default);
    profile.rules = rules;
    for arch in &oci.architectures {
        let arch: Arch = arch.parse().map_err(refused)?;
        match arch {
            // A profile lists the architectures of every host that it is for.
            arch if !arch.is_supported() => warnings.push(format!(
                "{POINTER}/architectures: programs of {arch} will be killed: no table of its calls"
            )),
            arch if !profile.architectures.contains(&arch) => profile.architectures.push(arch),
            _ => {}
        }
    }
    Ok(profile)
}

/// The agent that is told of calls. The listener goes there from inside the filter, by one call.
fn agent(oci: Seccomp, program: &BpfProgram) -> Result<AgentAddress> {
    let Some(path) = oci.listener_path else {
        let message = "is required with SCMP_ACT_NOTIFY: name the socket of the agent";
        return Err(invalid("/linux/seccomp/listenerPath", message));
    };
    let call = Arch::native().and_then(|arch| Some((arch, arch.syscall("sendmsg")?)));
    let verdict = call.and_then(|(arch, number)| program.verdict(arch, number, [0; 6]));
    if !matches!(verdict, Some(Action::Allow | Action::Log)) {
        let message = "must allow sendmsg: it is by this call that the process hands over the listener \
                       for SCMP_ACT_NOTIFY, before anybody could answer";
        return Err(invalid("/linux/seccomp/syscalls", message));
    }
    Ok(AgentAddress { path, metadata: oci.listener_metadata })
}

/// As in runc, no list means the flag that costs least, and an empty list means none.
fn flags(oci: &Seccomp) -> Result<FilterFlags> {
    let Some(names) = &oci.flags else {
        return Ok(FilterFlags::SPEC_ALLOW);
    };
    let supported = supported_flags();
    let mut flags = FilterFlags::empty();
    for name in names {
        let flag =
            parse_flag(name).map_err(|error| invalid("/linux/seccomp/flags", error.to_string()))?;
        if !supported.contains(flag) {
            let message = format!("this kernel does not support {name}");
            return Err(invalid("/linux/seccomp/flags", message));
        }
        flags |= flag;
    }
    Ok(flags)
}

fn rule(oci: Syscall) -> Result<Rule, coracle_seccomp::Error> {
    let action = Action::from_oci(&oci.action, oci.errno_ret)?;
    let mut rule = Rule::new(oci.names, action);
    rule.args = oci.args.iter().map(comparator).collect::<Result<_, _>>()?;
    Ok(rule)
}

fn comparator(oci: &SyscallArg) -> Result<Comparator, coracle_seccomp::Error> {
    let op: Operator = oci.op.parse()?;
    Ok(Comparator { index: oci.index, op, value: oci.value, value_two: oci.value_two })
}
