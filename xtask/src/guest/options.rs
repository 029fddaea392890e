//! What a guest is like, and its command-line options.

use std::ffi::{OsStr, OsString};
use std::num::NonZero;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use lexopt::{Arg, ValueExt};

use crate::workspace;

/// What PID 1 of the guest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    /// A script that makes the usual mounts.
    None,
    Systemd,
}

/// How cgroups are mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cgroups {
    /// v2 only.
    Unified,
    /// All controllers on v1, and a v2 hierarchy without any, as systemd mounts them.
    Hybrid,
}

/// The guest's major security module. Landlock, Yama and BPF are always there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lsm {
    None,
    AppArmor,
    /// Permissive.
    SeLinux,
}

/// The guest's kernel, one of Debian's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    V5_10,
    V6_1,
    V6_12,
}

impl Kernel {
    const ALL: [Self; 3] = [Self::V6_12, Self::V6_1, Self::V5_10];

    pub fn version(self) -> &'static str {
        match self {
            Self::V5_10 => "5.10",
            Self::V6_1 => "6.1",
            Self::V6_12 => "6.12",
        }
    }
}

/// A host directory that the guest has at the same path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    pub path: PathBuf,
    pub read_only: bool,
}

/// What a guest is like.
#[derive(Clone, Debug)]
pub struct Options {
    pub init: Init,
    pub cgroups: Cgroups,
    pub lsm: Lsm,
    pub kernel: Kernel,
    /// Run the command as the user tester, in a delegated cgroup, instead of as root.
    pub user: bool,
    /// In the order of mounting.
    pub shares: Vec<Share>,
    /// `NAME=VALUE`, for the command.
    pub env: Vec<OsString>,
    /// From the start of the emulator to the end of the command.
    pub timeout: Duration,
    pub cpus: usize,
    /// In MiB.
    pub memory: u32,
    /// More kernel arguments.
    pub append: String,
    /// Where to write what the kernel prints.
    pub console: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            init: Init::None,
            cgroups: Cgroups::Unified,
            lsm: Lsm::None,
            kernel: Kernel::V6_12,
            user: false,
            shares: vec![Share { path: workspace::root().to_owned(), read_only: false }],
            env: Vec::new(),
            timeout: Duration::from_secs(900),
            cpus: thread::available_parallelism().map_or(1, NonZero::get),
            memory: 2048,
            append: String::new(),
            console: None,
        }
    }
}

/// What `cargo xtask guest` is asked to do.
#[derive(Debug, Default)]
pub struct Request {
    pub options: Options,
    pub build_only: bool,
    /// The program and its arguments.
    pub command: Vec<OsString>,
}

impl Request {
    pub fn parse(mut args: lexopt::Parser) -> anyhow::Result<Self> {
        let mut request = Self::default();
        while let Some(arg) = args.next()? {
            match arg {
                Arg::Long("build-only") => request.build_only = true,
                Arg::Long(name) => {
                    let name = name.to_owned();
                    if !request.options.set(&name, &mut args)? {
                        return Err(Arg::Long(&name).unexpected().into());
                    }
                }
                Arg::Value(program) => {
                    request.command.push(program);
                    request.command.extend(args.raw_args()?);
                }
                Arg::Short(_) => return Err(arg.unexpected().into()),
            }
        }
        let Options { init, cgroups, .. } = request.options;
        if (init, cgroups) == (Init::None, Cgroups::Hybrid) {
            bail!("--cgroups hybrid needs --init systemd, which mounts them so");
        }
        if request.command.is_empty() != request.build_only {
            bail!("either --build-only or, after --, a command to run in the guest");
        }
        Ok(request)
    }
}

impl Options {
    /// Takes the option's value from `args`; `false` when there is no such option.
    fn set(&mut self, name: &str, args: &mut lexopt::Parser) -> anyhow::Result<bool> {
        match name {
            "init" => {
                self.init = choose(args, &[("none", Init::None), ("systemd", Init::Systemd)])?;
            }
            "cgroups" => {
                let known = [("unified", Cgroups::Unified), ("hybrid", Cgroups::Hybrid)];
                self.cgroups = choose(args, &known)?;
            }
            "lsm" => {
                let known =
                    [("none", Lsm::None), ("apparmor", Lsm::AppArmor), ("selinux", Lsm::SeLinux)];
                self.lsm = choose(args, &known)?;
            }
            "kernel" => {
                self.kernel = choose(args, &Kernel::ALL.map(|kernel| (kernel.version(), kernel)))?;
            }
            "user" => self.user = true,
            "share" => self.share(Share::parse(&args.value()?)?),
            "env" => self.env.push(variable(args.value()?)?),
            "timeout" => self.timeout = Duration::try_from_secs_f64(args.value()?.parse()?)?,
            "cpus" => self.cpus = args.value()?.parse()?,
            "memory" => self.memory = args.value()?.parse()?,
            "append" => {
                self.append.push(' ');
                self.append.push_str(&args.value()?.string()?);
            }
            "console" => self.console = Some(args.value()?.into()),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Shares a directory; what was said of the same one before is forgotten.
    pub fn share(&mut self, share: Share) {
        self.shares.retain(|other| other.path != share.path);
        self.shares.push(share);
    }
}

impl Share {
    /// Parses `DIR[:ro]`.
    fn parse(text: &OsStr) -> anyhow::Result<Self> {
        let bytes = text.as_bytes();
        let (path, read_only) = bytes.strip_suffix(b":ro").map_or((bytes, false), |it| (it, true));
        let path = PathBuf::from(OsStr::from_bytes(path));
        let path = path.canonicalize().with_context(|| format!("cannot share {path:?}"))?;
        Ok(Self { path, read_only })
    }
}

/// Takes a value that has to be one of the names.
fn choose<T: Copy>(args: &mut lexopt::Parser, known: &[(&str, T)]) -> anyhow::Result<T> {
    let value = args.value()?;
    let Some((_, choice)) = known.iter().find(|(name, _)| value == *name) else {
        let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
        bail!("{value:?} is not one of {}", names.join(", "));
    };
    Ok(*choice)
}

/// `NAME=VALUE`, or `NAME` for the value that it has here.
fn variable(text: OsString) -> anyhow::Result<OsString> {
    if text.as_bytes().contains(&b'=') {
        return Ok(text);
    }
    let value = std::env::var_os(&text).with_context(|| format!("{text:?} is not set"))?;
    let mut bytes = text.into_vec();
    bytes.push(b'=');
    bytes.extend(value.into_vec());
    Ok(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> anyhow::Result<Request> {
        Request::parse(lexopt::Parser::from_args(args))
    }

    #[test]
    fn reads_options_up_to_the_command() {
        let request = parse(&["--init=systemd", "--kernel", "6.1", "--", "ls", "--user"]).unwrap();
        assert_eq!(request.options.init, Init::Systemd);
        assert_eq!(request.options.kernel, Kernel::V6_1);
        assert!(!request.options.user);
        assert_eq!(request.command, ["ls", "--user"]);
    }

    #[test]
    fn a_later_share_of_the_same_directory_counts() {
        let root = workspace::root().to_str().unwrap();
        let request = parse(&["--share", &format!("{root}:ro"), "true"]).unwrap();
        let expected = Share { path: workspace::root().to_owned(), read_only: true };
        assert_eq!(request.options.shares, [expected]);
    }

    #[test]
    fn explains_what_is_wrong() {
        let message = |args: &[&str]| parse(args).unwrap_err().to_string();
        assert_eq!(message(&["--init", "runit"]), r#""runit" is not one of none, systemd"#);
        assert_eq!(message(&["--quiet"]), "invalid option '--quiet'");
        assert!(message(&["--cgroups=hybrid", "ls"]).contains("--init systemd"));
        assert!(message(&[]).contains("a command to run"));
        assert!(message(&["--build-only", "true"]).contains("a command to run"));
    }
}
