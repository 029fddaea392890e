//! Recording what a seccomp filter would deny.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use coracle_seccomp::{Action, Arch, Call, Listener, Profile, explain};
use coracle_spec::Spec;
use coracle_spec::types::Syscall;
use serde::Serialize;

use crate::lower::seccomp;
use crate::{Error, Result};

/// More different calls than that are told apart by their names only.
const MOST: usize = 1000;

/// What the program is called while it still is the init program.
const INIT: &str = "/memfd:coracle-init (deleted)";

/// A record of the system calls that a container's seccomp filter would have denied; see
/// [`ContainerBuilder::record_denied`](crate::ContainerBuilder::record_denied).
///
/// While it records, such calls are made. **The container is less confined**, as if the profile allowed
/// everything: record what you trust, in a place where it can do no harm.
#[derive(Debug, Clone, Default)]
pub struct DeniedCalls(Arc<Mutex<Record>>);

#[derive(Debug, Default)]
struct Record {
    profile: Option<Profile>,
    /// The filter would be loaded by the init program as the last thing it does.
    loaded_last: bool,
    seen: BTreeMap<Key, Seen>,
    failure: Option<String>,
}

/// The number of a call, and those of its arguments that the profile compares.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    architecture: &'static str,
    number: u32,
    args: Vec<(u32, u64)>,
}

#[derive(Debug)]
struct Seen {
    syscall: Option<&'static str>,
    effect: String,
    count: u64,
    programs: BTreeSet<String>,
}

/// What was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeniedReport {
    /// The calls.
    pub denied: Vec<DeniedCall>,
    /// The rules that would allow all of them, to be added to the profile: look at each before.
    pub addition: Vec<AddedRule>,
}

/// A call that the filter would have denied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeniedCall {
    /// Its name, if it has one.
    pub syscall: Option<String>,
    /// Its number.
    pub number: u32,
    /// As `SCMP_ARCH_X86_64`.
    pub architecture: String,
    /// Those of its arguments that the profile compares.
    pub args: Vec<KnownArg>,
    /// What would have become of it, in words.
    pub effect: String,
    /// How often it was made.
    pub count: u64,
    /// Who made it, as paths in the container.
    pub programs: Vec<String>,
}

/// A rule, as of the runtime specification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AddedRule {
    /// The calls.
    pub names: Vec<String>,
    /// `SCMP_ACT_ALLOW`.
    pub action: &'static str,
    /// The arguments that they had.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<KnownArg>,
}

/// An argument that a call had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct KnownArg {
    /// Which, from 0.
    pub index: u32,
    /// What it was.
    pub value: u64,
    /// `SCMP_CMP_EQ`.
    pub op: &'static str,
}

impl DeniedCalls {
    /// What was recorded so far.
    ///
    /// # Errors
    ///
    /// [`Error::Launch`] if recording has failed; the container's calls fail with `ENOSYS` from then on.
    pub fn report(&self) -> Result<DeniedReport> {
        let record = self.lock();
        if let Some(failure) = &record.failure {
            return Err(Error::Launch(format!("recording denied calls failed: {failure}")));
        }
        let denied: Vec<DeniedCall> =
            record.seen.iter().map(|(key, seen)| seen.call(key)).collect();
        let way_out = Some("sendmsg").filter(|_| record.needs_way_out());
        Ok(DeniedReport { addition: addition(&denied, way_out), denied })
    }

    /// Takes the profile, which is going to notify of what it denies, but for the call by which the listener
    /// comes here.
    pub(crate) fn lift(&self, spec: &mut Spec) -> Result<()> {
        let Some(oci) = &mut spec.linux.seccomp else {
            return Err(Error::Usage("there is no /linux/seccomp that could deny anything"));
        };
        let actions = oci.syscalls.iter().map(|rule| &rule.action).chain([&oci.default_action]);
        if actions.into_iter().any(|action| action == "SCMP_ACT_NOTIFY") {
            let message = "an agent decides about calls already (SCMP_ACT_NOTIFY): what it denies cannot be \
                           recorded";
            return Err(Error::Usage(message));
        }
        let mut record = self.lock();
        record.loaded_last = spec.process.no_new_privileges;
        record.profile = Some(seccomp::profile(&mut oci.clone(), &mut Vec::new())?);
        let way_here = "sendmsg";
        for rule in &mut oci.syscalls {
            rule.names = rule.names.iter().filter(|name| *name != way_here).collect();
        }
        let mut rule = Syscall::default();
        rule.names = std::iter::once(way_here).collect();
        rule.action = "SCMP_ACT_ALLOW".to_owned();
        oci.syscalls.push(rule);
        Ok(())
    }

    /// Records, and allows, what comes from `listener`, in a thread of its own that lives as long as the
    /// container.
    pub(crate) fn serve(&self, listener: OwnedFd) -> Result<()> {
        let (listener, calls) = (Listener::from(listener), self.clone());
        let serve = move || {
            if let Err(error) = calls.serve_all(&listener) {
                calls.lock().failure = Some(error.to_string());
            }
        };
        thread::Builder::new()
            .name("denied-calls".to_owned())
            .spawn(serve)
            .map(drop)
            .map_err(|error| Error::file("start", "a thread that records denied calls", error))
    }

    fn serve_all(&self, listener: &Listener) -> Result<(), coracle_seccomp::Error> {
        while let Some(call) = listener.receive()? {
            let program = program_of(&call);
            // Only while the caller waits is the number its own.
            if listener.is_waiting(&call)? {
                self.lock().note(&call, program);
            }
            listener.allow(&call)?;
        }
        Ok(())
    }

    /// A thread that panicked has left nothing half done here.
    fn lock(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    /// Does the profile deny the call by which the init program, under the filter already, reports to the
    /// host? It is the one call that cannot be recorded.
    fn needs_way_out(&self) -> bool {
        let (Some(profile), Some(arch)) = (&self.profile, Arch::native()) else { return false };
        let number = arch.syscall("sendmsg").unwrap_or_default();
        let outcomes = explain(profile, arch, number, [Some(0); 6]).unwrap_or_default();
        let is_made = |action| matches!(action, Action::Allow | Action::Log);
        !self.loaded_last && !outcomes.iter().any(|outcome| is_made(outcome.action))
    }

    fn note(&mut self, call: &Call, program: String) {
        let syscall = call.name();
        // What the init program does after it has loaded the filter; but there would be nothing after.
        if self.loaded_last && program == INIT && syscall != Some("execve") {
            return;
        }
        let (Some(profile), Some(arch)) = (&self.profile, call.arch()) else { return };
        let architecture = arch.oci_name();
        let args = compared(profile, syscall.unwrap_or_default(), call.args());
        let mut key = Key { architecture, number: call.number(), args };
        if self.seen.len() >= MOST && !self.seen.contains_key(&key) {
            key.args.clear();
        }
        let effect = || effect(profile, arch, call);
        let seen = self.seen.entry(key).or_insert_with(|| Seen {
            syscall,
            effect: effect(),
            count: 0,
            programs: BTreeSet::new(),
        });
        seen.count += 1;
        seen.programs.insert(program);
    }
}

impl Seen {
    fn call(&self, key: &Key) -> DeniedCall {
        let arg = |(index, value): &(u32, u64)| KnownArg {
            index: *index,
            value: *value,
            op: "SCMP_CMP_EQ",
        };
        DeniedCall {
            syscall: self.syscall.map(str::to_owned),
            number: key.number,
            architecture: key.architecture.to_owned(),
            args: key.args.iter().map(arg).collect(),
            effect: self.effect.clone(),
            count: self.count,
            programs: self.programs.iter().cloned().collect(),
        }
    }
}

/// The arguments that rules about a call compare, with the values they have.
fn compared(profile: &Profile, name: &str, args: [u64; 6]) -> Vec<(u32, u64)> {
    let rules = profile.rules.iter().filter(|rule| rule.names.iter().any(|other| other == name));
    let indices: BTreeSet<u32> = rules.flat_map(|rule| &rule.args).map(|arg| arg.index).collect();
    let value = |index: u32| args.get(usize::try_from(index).ok()?).copied();
    indices.into_iter().filter_map(|index| Some((index, value(index)?))).collect()
}

/// What the profile would have done.
fn effect(profile: &Profile, arch: Arch, call: &Call) -> String {
    let outcomes = explain(profile, arch, call.number(), call.args().map(Some));
    let action = outcomes.ok().and_then(|outcomes| Some(outcomes.first()?.action));
    action.unwrap_or(profile.default_action).to_string()
}

/// The program of the thread that calls.
fn program_of(call: &Call) -> String {
    let path = std::fs::read_link(format!("/proc/{}/exe", call.pid()));
    path.map_or_else(|_| "unknown".to_owned(), |path| path.to_string_lossy().into_owned())
}

/// One rule for all calls whose arguments do not matter, and one for each other.
fn addition(denied: &[DeniedCall], besides: Option<&str>) -> Vec<AddedRule> {
    let action = Action::Allow.oci_name();
    let mut names: BTreeSet<String> = besides.into_iter().map(str::to_owned).collect();
    let mut rules = Vec::new();
    for call in denied {
        let Some(name) = &call.syscall else { continue };
        if call.args.is_empty() {
            names.insert(name.clone());
            continue;
        }
        let rule = AddedRule { names: vec![name.clone()], action, args: call.args.clone() };
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    if !names.is_empty() {
        rules.insert(0, AddedRule { names: names.into_iter().collect(), action, args: Vec::new() });
    }
    rules
}
