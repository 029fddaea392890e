//! `/linux/seccomp`:
//! <https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config-linux.md#seccomp>.

use super::report::{At, Fault, Report};
use super::schema::{
    Kind, Object, U32, U64, field, free_list, free_object, int, list, required, text,
};
use super::text::{absolute, any, not_empty};
use crate::json::{Map, Value};

pub(super) const SECCOMP: Kind = Kind::Object(&Object {
    fields: &[
        required("defaultAction", Kind::OneOf(ACTIONS), "name an action, as \"SCMP_ACT_ERRNO\""),
        field("defaultErrnoRet", U32),
        field("flags", Kind::List(&Kind::OneOf(FLAGS), free_list)),
        field("listenerPath", Kind::Text(absolute)),
        field("listenerMetadata", Kind::Text(any)),
        field("architectures", Kind::List(&Kind::OneOf(ARCHITECTURES), free_list)),
        field("syscalls", Kind::List(&SYSCALL, free_list)),
    ],
    rule: seccomp,
});

static SYSCALL: Kind = Kind::Object(&Object {
    fields: &[
        required("names", Kind::List(&Kind::Text(not_empty), names), "list the system calls"),
        required("action", Kind::OneOf(ACTIONS), "name an action, as \"SCMP_ACT_ALLOW\""),
        field("errnoRet", U32),
        field("args", Kind::List(&ARGUMENT, free_list)),
    ],
    rule: syscall,
});

static ARGUMENT: Kind = Kind::Object(&Object {
    fields: &[
        required("index", Kind::Int(0, 5), "a system call has the arguments 0 to 5"),
        required("value", U64, "give the value to compare with"),
        field("valueTwo", U64),
        required("op", Kind::OneOf(OPERATORS), "name a comparison, as \"SCMP_CMP_EQ\""),
    ],
    rule: free_object,
});

const ACTIONS: &[&str] = &[
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
];

const OPERATORS: &[&str] = &[
    "SCMP_CMP_NE",
    "SCMP_CMP_LT",
    "SCMP_CMP_LE",
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_MASKED_EQ",
];

const FLAGS: &[&str] = &[
    "SECCOMP_FILTER_FLAG_TSYNC",
    "SECCOMP_FILTER_FLAG_LOG",
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
];

/// Those of the specification, and "native", which crun takes too.
const ARCHITECTURES: &[&str] = &[
    "SCMP_ARCH_X86_64",
    "SCMP_ARCH_X86",
    "SCMP_ARCH_X32",
    "SCMP_ARCH_AARCH64",
    "SCMP_ARCH_ARM",
    "SCMP_ARCH_LOONGARCH64",
    "SCMP_ARCH_M68K",
    "SCMP_ARCH_MIPS",
    "SCMP_ARCH_MIPS64",
    "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64",
    "SCMP_ARCH_MIPSEL64N32",
    "SCMP_ARCH_NATIVE",
    "SCMP_ARCH_PARISC",
    "SCMP_ARCH_PARISC64",
    "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",
    "SCMP_ARCH_PPC64LE",
    "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_S390",
    "SCMP_ARCH_S390X",
    "SCMP_ARCH_SH",
    "SCMP_ARCH_SHEB",
];

fn seccomp(report: &mut Report, at: &At<'_>, seccomp: &mut Map<'_>) {
    errno(report, at, seccomp, ("defaultAction", "defaultErrnoRet"));
    if text(seccomp, "defaultAction") == Some("SCMP_ACT_NOTIFY") {
        let fault = Fault::new("SCMP_ACT_NOTIFY would stop the very calls that set the filter up");
        report.error(&at.key("defaultAction"), fault.hint("name the calls in a rule of their own"));
    }
    let notifies = list(seccomp, "syscalls")
        .iter()
        .filter_map(Value::as_object)
        .any(|rule| text(rule, "action") == Some("SCMP_ACT_NOTIFY"));
    let listener = seccomp.contains("listenerPath");
    if notifies && !listener {
        let fault = Fault::new("is required with SCMP_ACT_NOTIFY");
        report.error(&at.key("listenerPath"), fault.hint("name the socket of the agent"));
    } else if listener && !notifies {
        let fault = Fault::new("has no effect: no rule has SCMP_ACT_NOTIFY");
        report.warn(&at.key("listenerPath"), fault);
    }
    if seccomp.contains("listenerMetadata") && !listener {
        let fault = Fault::new("is for the agent at listenerPath, which is not given");
        report.error(&at.key("listenerMetadata"), fault.hint("name its socket, or leave this out"));
    }
}

fn names(report: &mut Report, at: &At<'_>, names: &[Value<'_>]) {
    if names.is_empty() {
        report.error(at, Fault::new("must not be empty").hint("list the system calls"));
    }
}

fn syscall(report: &mut Report, at: &At<'_>, rule: &mut Map<'_>) {
    errno(report, at, rule, ("action", "errnoRet"));
    let notified = list(rule, "names").iter().position(|name| name.as_str() == Some("sendmsg"));
    if text(rule, "action") == Some("SCMP_ACT_NOTIFY")
        && let Some(index) = notified
    {
        let fault = Fault::new("the container's process hands over the listener by sendmsg");
        report.error(&at.key("names").index(index), fault.hint("leave it out of this rule"));
    }
}

/// The number that goes with an action: an errno, or 16 bits for a tracer. No other action has one.
fn errno(report: &mut Report, at: &At<'_>, map: &mut Map<'_>, (action, field): (&str, &str)) {
    let Some(number) = int(map, field) else { return };
    let action = text(map, action).unwrap_or_default();
    let max = match action {
        "SCMP_ACT_ERRNO" => 4095,
        "SCMP_ACT_TRACE" => 0xffff,
        _ => {
            let fault = Fault::new(format!("has no meaning with {action} and is ignored"));
            report.warn(&at.key(field), fault);
            return map.retain(|key, _| key != field);
        }
    };
    if number > max {
        let fault = Fault::new(format!("found {number}, expected at most {max} with {action}"));
        report.error(&at.key(field), fault);
    }
}
