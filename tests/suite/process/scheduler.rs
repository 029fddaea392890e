//! `/process/scheduler`, as sched_getattr(2) tells the process of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use anyhow::Context as _;
use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Bundle, Cmd, Context, Result, Test, Verdict, check_eq, need, tests};
use serde_json::{Value, json};

use super::effects::real_time;
use crate::exec::process_file;
use crate::seccomp::probe::{BASE, HEADERS, executable, supported};

pub const TESTS: &[Test] = tests![has_every_flag_that_is_asked_for, clamps_its_utilization];

/// `struct sched_attr` without its size.
#[derive(Debug, PartialEq, Eq)]
struct Attributes {
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    /// Runtime, deadline and period.
    times: [u64; 3],
    /// The least and the greatest utilization.
    clamps: [u32; 2],
}

const SIZE: usize = 56;

impl Attributes {
    fn read(bytes: &[u8; SIZE]) -> Option<Self> {
        let int = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let long = |at: usize| Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        Some(Self {
            policy: int(4)?,
            flags: long(8)?,
            nice: int(16)?.cast_signed(),
            priority: int(20)?,
            times: [long(24)?, long(32)?, long(40)?],
            clamps: [int(48)?, int(52)?],
        })
    }

    /// Of the process that this command makes of `/probe`.
    fn of(command: Cmd) -> Result<Self> {
        let (read, write) = rustix::pipe::pipe()?;
        command.stdout(write).succeed()?;
        let mut bytes = [0; SIZE];
        check_eq!(rustix::io::read(&read, &mut bytes)?, SIZE);
        Self::read(&bytes).context("the attributes")
    }
}

/// Machine code that writes what sched_getattr(2) says of its process.
fn probe() -> Vec<u8> {
    let load = |opcode: u8, value: u32| [&[opcode][..], &value.to_le_bytes()].concat();
    let (mov_eax, mov_edx, mov_esi, mov_edi) = (0xb8, 0xba, 0xbe, 0xbf);
    let (xor_r10d_r10d, syscall) = (vec![0x45, 0x31, 0xd2], vec![0x0f, 0x05]);
    let code = |buffer: u32| {
        let get = [load(mov_eax, 315), load(mov_edi, 0), xor_r10d_r10d.clone()].concat();
        let write = [load(mov_eax, 1), load(mov_edi, 1)].concat();
        let arguments = [load(mov_esi, buffer), load(mov_edx, 56), syscall.clone()].concat();
        let exit_group = [load(mov_eax, 231), load(mov_edi, 0), syscall.clone()].concat();
        [get, arguments.clone(), write, arguments, exit_group].concat()
    };
    let buffer = BASE + HEADERS + code(0).len() as u64;
    executable(&code(u32::try_from(buffer).unwrap_or_default()), SIZE as u64)
}

/// A bundle with the probe, whose processes may run in real time.
fn bundle(t: &Context) -> Result<Bundle> {
    let bundle = real_time(t)?;
    let path = bundle.rootfs().join("probe");
    fs::write(&path, probe())?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(bundle)
}

/// A policy with flags, and its number.
fn policy((name, number): (&str, u32), flags: &[&str]) -> (Value, u32) {
    let flags: Vec<_> = flags.iter().map(|flag| format!("SCHED_FLAG_{flag}")).collect();
    let mut scheduler = json!({"policy": name, "flags": flags});
    match number {
        1 | 2 => scheduler["priority"] = json!(7),
        6 => {
            for (field, value) in ["runtime", "deadline", "period"].iter().zip(TIMES) {
                scheduler[field] = json!(value);
            }
        }
        _ => scheduler["nice"] = json!(5),
    }
    (scheduler, number)
}

/// So long that no probe needs more: who asked for it gets a deadly signal then.
const TIMES: [u64; 3] = [400_000_000, 800_000_000, 1_000_000_000];

const OTHER: (&str, u32) = ("SCHED_OTHER", 0);
const FIFO: (&str, u32) = ("SCHED_FIFO", 1);
const ROUND_ROBIN: (&str, u32) = ("SCHED_RR", 2);
const BATCH: (&str, u32) = ("SCHED_BATCH", 3);
const IDLE: (&str, u32) = ("SCHED_IDLE", 5);
const DEADLINE: (&str, u32) = ("SCHED_DEADLINE", 6);

/// Of the container's process, and of one whose own description says so.
fn has_every_flag_that_is_asked_for(t: &mut Context) -> Result<Verdict> {
    need!(supported() && t.is_coracle(), "the probes are for x86-64, peers do not know the field");
    let container = t.start(&bundle(t)?.idle())?;
    for (asked, flags, kept) in [
        (OTHER, &[][..], 0),
        (OTHER, &["RESET_ON_FORK"], 1),
        (FIFO, &["RESET_ON_FORK"], 1),
        (ROUND_ROBIN, &[], 0),
        (BATCH, &["RESET_ON_FORK"], 1),
        (IDLE, &[], 0),
        (DEADLINE, &[], 0),
        (DEADLINE, &["RESET_ON_FORK"], 1),
        (DEADLINE, &["RECLAIM"], 2),
        (DEADLINE, &["DL_OVERRUN"], 4),
        (DEADLINE, &["RESET_ON_FORK", "RECLAIM", "DL_OVERRUN"], 7),
        // What they are about stays as it was; becoming another policy on fork belongs to it.
        (OTHER, &["KEEP_POLICY", "RESET_ON_FORK"], 0),
        (OTHER, &["KEEP_PARAMS"], 0),
    ] {
        let (scheduler, number) = policy(asked, flags);
        let keeps = flags.contains(&"KEEP_PARAMS");
        let nice = if [0, 3].contains(&number) && !keeps { 5 } else { 0 };
        let expected = (number, kept, nice, if [1, 2].contains(&number) { 7 } else { 0 });
        let own = bundle(t)?.set("/process/scheduler", scheduler.clone()).args(&["/probe"]);
        let file = process_file(t, &own.spec()["process"])?;
        let exec = container.exec_with(&["--process", &file], &[]);
        for command in [t.run_with(&own, &[])?, exec] {
            let Attributes { policy, flags, nice, priority, times, .. } = Attributes::of(command)?;
            check_eq!((&scheduler, (policy, flags, nice, priority)), (&scheduler, expected));
            if asked == DEADLINE {
                check_eq!(times, TIMES);
            }
        }
    }
    container.delete_forcibly()?;
    Ok(Passed)
}

/// To nothing: the specification has the flags and no values. Without them all is open, but real time is for the
/// fastest processor.
fn clamps_its_utilization(t: &mut Context) -> Result<Verdict> {
    need!(supported() && t.is_coracle(), "the probes are for x86-64, peers do not know the field");
    let run = |(scheduler, _): (Value, u32)| -> Result<Cmd> {
        t.run_with(&bundle(t)?.set("/process/scheduler", scheduler).args(&["/probe"]), &[])
    };
    let clamped = run(policy(OTHER, &["UTIL_CLAMP_MAX"]))?.run()?;
    if clamped.code() != 0 {
        clamped.refused(&["/process/scheduler", "CONFIG_UCLAMP_TASK", "EOPNOTSUPP"])?;
        return Ok(Verdict::Skipped("the kernel is built without CONFIG_UCLAMP_TASK".into()));
    }
    for (asked, flags, expected) in [
        (OTHER, &[][..], [0, 1024]),
        (OTHER, &["UTIL_CLAMP_MAX"], [0, 0]),
        (FIFO, &[], [1024, 1024]),
        (FIFO, &["UTIL_CLAMP_MIN"], [0, 1024]),
        (FIFO, &["UTIL_CLAMP_MIN", "UTIL_CLAMP_MAX"], [0, 0]),
    ] {
        let found = Attributes::of(run(policy(asked, flags))?)?;
        check_eq!((asked, flags, found.clamps), (asked, flags, expected));
    }
    Ok(Passed)
}
