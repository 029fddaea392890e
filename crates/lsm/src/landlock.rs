//! Landlock: rules that a process puts itself under; see landlock(7).
//!
//! [`Wishes`] are what the program shall be allowed. [`Wishes::for_version`] makes of them a [`Rules`] that a
//! kernel can keep, and names what it cannot. [`Rules::prepare`] opens the paths, and [`Sandbox::enter`] is for ever.

use std::collections::BTreeMap;
use std::path::PathBuf;

use coracle_sys::SyscallError;
use coracle_sys::landlock::Ruleset;
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use serde::{Deserialize, Serialize};

pub use coracle_sys::landlock::version;

/// A bit of the kernel, what it is about, and the first version of Landlock with it.
type Access = (u64, &'static str, u32);

const EXECUTE: &[Access] = &[(1 << 0, "executing files", 1)];
const READ: &[Access] = &[(1 << 2, "reading files", 1), (1 << 3, "listing directories", 1)];
const WRITE: &[Access] = &[
    (1 << 1, "writing files", 1),
    (0b1_1111_1111 << 4, "making and removing files", 1),
    (1 << 13, "moving files between directories", 2),
    (1 << 14, "truncating files", 3),
    (1 << 15, "controlling devices", 5),
];
/// What can be allowed of anything but a directory.
const OF_FILES: u64 = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15;
const BIND: &[Access] = &[(1 << 0, "binding TCP ports", 4)];
const CONNECT: &[Access] = &[(1 << 1, "connecting to TCP ports", 4)];
const ABSTRACT_SOCKETS: &[Access] = &[(1 << 0, "reaching abstract sockets outside", 6)];
const SIGNALS: &[Access] = &[(1 << 1, "sending signals outside", 6)];

/// What a program shall be allowed. What is `None` or `false` is not restricted at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Files.
    pub fs: Option<FsWishes>,
    /// TCP ports that it may listen at.
    pub bind: Option<Vec<u16>>,
    /// TCP ports that it may connect to.
    pub connect: Option<Vec<u16>>,
    /// No abstract socket of others may be reached.
    pub scope_abstract_sockets: bool,
    /// No signal may be sent to others.
    pub scope_signals: bool,
}

/// Absolute paths; each stands for all that is below it, too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FsWishes {
    /// What may be read.
    pub read: Vec<PathBuf>,
    /// What may be written, made, moved and removed; devices that may be controlled.
    pub write: Vec<PathBuf>,
    /// What may be read and executed.
    pub execute: Vec<PathBuf>,
}

/// Rules that a kernel can keep.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    fs: u64,
    net: u64,
    scoped: u64,
    paths: Vec<(PathBuf, u64)>,
    ports: Vec<(u16, u64)>,
}

impl Wishes {
    /// The rules for a kernel with this version of Landlock, and what it cannot restrict.
    pub fn for_version(&self, version: u32) -> (Rules, Vec<&'static str>) {
        let mut kernel = Kernel { version, lacks: Vec::new() };
        let mut rules = Rules::default();
        if let Some(wishes) = &self.fs {
            let [execute, read, write] = [EXECUTE, READ, WRITE].map(|all| kernel.bits(all));
            rules.fs = execute | read | write;
            let mut paths = BTreeMap::<_, u64>::new();
            let given =
                [(&wishes.read, read), (&wishes.write, write), (&wishes.execute, execute | read)];
            for (path, access) in given
                .into_iter()
                .flat_map(|(list, access)| list.iter().map(move |path| (path.clone(), access)))
            {
                *paths.entry(path).or_default() |= access;
            }
            rules.paths = paths.into_iter().filter(|(_, access)| *access != 0).collect();
        }
        for (ports, accesses) in [(&self.bind, BIND), (&self.connect, CONNECT)] {
            let Some(ports) = ports else { continue };
            let access = kernel.bits(accesses);
            rules.net |= access;
            rules.ports.extend(ports.iter().filter(|_| access != 0).map(|port| (*port, access)));
        }
        for (asked, accesses) in
            [(self.scope_abstract_sockets, ABSTRACT_SOCKETS), (self.scope_signals, SIGNALS)]
        {
            rules.scoped |= if asked { kernel.bits(accesses) } else { 0 };
        }
        (rules, kernel.lacks)
    }
}

struct Kernel {
    version: u32,
    lacks: Vec<&'static str>,
}

impl Kernel {
    /// Those of the accesses that the kernel knows.
    fn bits(&mut self, accesses: &[Access]) -> u64 {
        let mut bits = 0;
        for (bit, name, since) in accesses {
            match self.version >= *since {
                true => bits |= bit,
                false => self.lacks.push(name),
            }
        }
        bits
    }
}

/// A path of a rule, or the rules as a whole, that the kernel does not take.
#[derive(Debug, thiserror::Error)]
#[error("cannot restrict the program with Landlock{}", about.as_ref().map(|path| format!(": {}", path.display())).unwrap_or_default())]
pub struct Error {
    about: Option<PathBuf>,
    source: SyscallError,
}

impl Error {
    fn about(path: &std::path::Path) -> impl Fn(SyscallError) -> Self {
        move |source| Self { about: Some(path.to_owned()), source }
    }
}

impl Rules {
    /// Is nothing restricted?
    pub fn is_empty(&self) -> bool {
        self.fs | self.net | self.scoped == 0
    }

    /// Opens the paths, as the caller finds them.
    pub fn prepare(&self) -> Result<Sandbox, Error> {
        let whole = |source| Error { about: None, source };
        let ruleset = Ruleset::new(self.fs, self.net, self.scoped).map_err(whole)?;
        for (path, access) in &self.paths {
            let failure = Error::about(path);
            let call = |call: &'static str, errno| {
                SyscallError::new(call, path.display().to_string(), errno)
            };
            let file = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
                .map_err(|errno| failure(call("open", errno)))?;
            let stat = fstat(&file).map_err(|errno| failure(call("fstat", errno)))?;
            let access = match FileType::from_raw_mode(stat.st_mode).is_dir() {
                true => *access,
                false => access & OF_FILES,
            };
            ruleset.allow_below(&file, access).map_err(&failure)?;
        }
        for (port, access) in &self.ports {
            ruleset.allow_port(*port, *access).map_err(whole)?;
        }
        Ok(Sandbox(ruleset))
    }
}

/// Rules that are ready.
#[derive(Debug)]
pub struct Sandbox(Ruleset);

impl Sandbox {
    /// Puts the calling thread, and what it executes, under the rules for ever. It must have no_new_privs, or
    /// `CAP_SYS_ADMIN` in its user namespace.
    pub fn enter(&self) -> Result<(), Error> {
        self.0.restrict_self().map_err(|source| Error { about: None, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_kernels_are_asked_for_less() {
        let fs = FsWishes { write: vec!["/tmp".into()], ..FsWishes::default() };
        let wishes =
            Wishes { fs: Some(fs), bind: Some(vec![80]), scope_signals: true, ..Wishes::default() };
        let (rules, lacks) = wishes.for_version(6);
        assert_eq!((rules.fs, rules.net, rules.scoped), (0xffff, 1, 2));
        assert_eq!(rules.paths, [(PathBuf::from("/tmp"), 0xfff2 & !0xc | 0x2)]);
        assert!(lacks.is_empty());
        let (rules, lacks) = wishes.for_version(3);
        assert_eq!((rules.fs, rules.net, rules.scoped), (0x7fff, 0, 0));
        assert!(rules.ports.is_empty());
        assert_eq!(lacks, ["controlling devices", "binding TCP ports", "sending signals outside"]);
        let (rules, _) = wishes.for_version(0);
        assert!(rules.is_empty() && rules.paths.is_empty());
    }
}
