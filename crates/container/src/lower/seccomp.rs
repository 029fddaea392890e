//! `/linux/seccomp`.

use coracle_init::plan::SeccompPlan;
use coracle_seccomp::{
    Action, Arch, BpfProgram, Cache, CacheKey, CacheProblem, Comparator, FilterFlags, Operator,
    Profile, Rule, compile, parse_flag, supported_flags,
};
use coracle_spec::types::{Seccomp, Syscall, SyscallArg};

use super::invalid;
use crate::Result;
use crate::agent::AgentAddress;

const POINTER: &str = "/linux/seccomp";

/// This translator of profiles.
const TRANSLATOR: u64 = hash(include_bytes!("seccomp.rs"));

/// How filters are made.
#[derive(Debug)]
pub(crate) struct Compiler {
    /// Those that were made before.
    pub(crate) cache: Cache,
    /// We are notified of what the profile denies.
    pub(crate) records_denied: bool,
}

/// What a profile comes down to.
#[derive(Debug)]
pub(crate) struct Lowered {
    pub(crate) plan: SeccompPlan,
    pub(crate) agent: Option<AgentAddress>,
    pub(crate) origin: FilterOrigin,
}

/// Where a filter is from.
#[derive(Debug)]
pub(crate) struct FilterOrigin {
    pub(crate) filter: SeccompFilter,
    /// What is to be kept, if it was compiled.
    pub(crate) unkept: Option<(CacheKey, BpfProgram)>,
    /// Why it was compiled although the cache may have it.
    pub(crate) problem: Option<CacheProblem>,
}

impl FilterOrigin {
    /// Keeps what was compiled. The problem is the first one.
    pub(crate) fn keep(self, cache: &Cache) -> (SeccompFilter, Option<CacheProblem>) {
        let kept = self.unkept.map_or(Ok(()), |(key, program)| cache.keep(&key, &program));
        (self.filter, self.problem.or(kept.err()))
    }
}

/// The seccomp filter of a process, for who wonders what it costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeccompFilter {
    /// Its size, in instructions of eight bytes.
    pub instructions: usize,
    /// It was found in the cache of the [`Store`](crate::Store), so that nothing had to be compiled.
    pub cached: bool,
}

impl Compiler {
    /// Finds what was compiled before, or compiles the profile; nothing is left of one that allows everything.
    pub(super) fn lower(
        &self,
        mut oci: Seccomp,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Lowered>> {
        let mut profile = frame(&oci, warnings)?;
        if profile.default_action == Action::Allow && oci.syscalls.is_empty() {
            return Ok(None);
        }
        let key = self.key(&oci)?;
        let found = key.as_ref().map_or(Ok(None), |key| self.cache.find(key));
        let (found, problem) = found.map_or_else(|problem| (None, Some(problem)), |it| (it, None));
        let cached = found.is_some();
        let program = found.map_or_else(
            || {
                profile.rules = rules(&mut oci)?;
                profile.notifies_of_denials = self.records_denied;
                compile(&profile).map_err(|error| invalid(POINTER, error.to_string()))
            },
            Ok,
        )?;
        let filter = SeccompFilter { instructions: program.len(), cached };
        let plan = SeccompPlan { program: program.as_bytes().to_vec(), flags: flags(&oci)?.bits() };
        let asks = program.notifies() && !self.records_denied;
        let agent = asks.then(|| agent(oci, &program)).transpose()?;
        let unkept = key.filter(|_| !cached).map(|key| (key, program));
        Ok(Some(Lowered { plan, agent, origin: FilterOrigin { filter, unkept, problem } }))
    }

    /// All that the filter depends on.
    fn key(&self, oci: &Seccomp) -> Result<Option<CacheKey>> {
        let Seccomp { default_action, default_errno_ret, architectures, syscalls, .. } = oci;
        let given = (default_action, default_errno_ret, architectures, syscalls);
        let key = CacheKey::new();
        let key =
            key.map(|key| postcard::to_extend(&(TRANSLATOR, self.records_denied, given), key));
        key.transpose().map_err(|error| invalid(POINTER, error.to_string()))
    }
}

/// FNV-1a.
const fn hash(bytes: &[u8]) -> u64 {
    let (mut hash, mut index) = (0xcbf2_9ce4_8422_2325_u64, 0);
    while index < bytes.len() {
        hash = (hash ^ bytes[index] as u64).wrapping_mul(0x0100_0000_01b3);
        index += 1;
    }
    hash
}

/// The profile, in the terms of the compiler. Its rules, with the names of hundreds of calls, are taken out.
pub(crate) fn profile(oci: &mut Seccomp, warnings: &mut Vec<String>) -> Result<Profile> {
    let mut profile = frame(oci, warnings)?;
    profile.rules = rules(oci)?;
    Ok(profile)
}

fn rules(oci: &mut Seccomp) -> Result<Vec<Rule>> {
    let given = std::mem::take(&mut oci.syscalls).into_iter();
    let rules: Result<_, coracle_seccomp::Error> = given.map(rule).collect();
    rules.map_err(|error| invalid(POINTER, error.to_string()))
}

/// The profile without its rules.
fn frame(oci: &Seccomp, warnings: &mut Vec<String>) -> Result<Profile> {
    let refused = |error: coracle_seccomp::Error| invalid(POINTER, error.to_string());
    let default = Action::from_oci(&oci.default_action, oci.default_errno_ret).map_err(refused)?;
    let mut profile = Profile::new(default);
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
    let mut rule = Rule::new(oci.names.iter(), action);
    rule.args = oci.args.iter().map(comparator).collect::<Result<_, _>>()?;
    Ok(rule)
}

fn comparator(oci: &SyscallArg) -> Result<Comparator, coracle_seccomp::Error> {
    let op: Operator = oci.op.parse()?;
    Ok(Comparator { index: oci.index, op, value: oci.value, value_two: oci.value_two })
}
