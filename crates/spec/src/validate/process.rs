//! `/process`: <https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config.md#process>.

use super::report::{At, Fault, Report};
use super::schema::{
    ID, Kind, Object, U16, U64, field, free_list, free_object, int, required, unique,
};
use super::text::{absolute, any, not_empty, one_line, variable};
use super::{capabilities, scheduling};
use crate::json::{Map, Value};

pub(super) const PROCESS: Kind = Kind::Object(&Object {
    fields: &[
        field("terminal", Kind::Bool),
        field("consoleSize", Kind::Object(&CONSOLE_SIZE)),
        required("cwd", Kind::Text(absolute), "write \"/\""),
        field("env", Kind::List(&Kind::Text(variable), free_list)),
        required("args", Kind::List(&Kind::Text(any), args), "name the program to run"),
        field("commandLine", Kind::Text(any)),
        field("rlimits", Kind::List(&RLIMIT, rlimits)),
        field("apparmorProfile", Kind::Text(one_line)),
        field("capabilities", capabilities::CAPABILITIES),
        field("noNewPrivileges", Kind::Bool),
        field("oomScoreAdj", Kind::Int(-1000, 1000)),
        field("scheduler", scheduling::SCHEDULER),
        field("selinuxLabel", Kind::Text(one_line)),
        field("ioPriority", scheduling::IO_PRIORITY),
        field("execCPUAffinity", scheduling::EXEC_AFFINITY),
        field("user", Kind::Object(&USER)),
    ],
    rule: process,
});

static CONSOLE_SIZE: Object = Object {
    fields: &[
        required("height", U16, "give both height and width"),
        required("width", U16, "give both height and width"),
    ],
    rule: free_object,
};

static USER: Object = Object {
    fields: &[
        field("uid", ID),
        field("gid", ID),
        field("umask", Kind::Int(0, 0o777)),
        field("additionalGids", Kind::List(&ID, free_list)),
        field("username", Kind::Text(any)),
    ],
    rule: user,
};

static RLIMIT: Kind = Kind::Object(&Object {
    fields: &[
        required("type", Kind::OneOf(RLIMITS), "name the limit, as \"RLIMIT_NOFILE\""),
        required("soft", U64, "give both soft and hard"),
        required("hard", U64, "give both soft and hard"),
    ],
    rule: rlimit,
});

/// The limits of getrlimit(2).
const RLIMITS: &[&str] = &[
    "RLIMIT_AS",
    "RLIMIT_CORE",
    "RLIMIT_CPU",
    "RLIMIT_DATA",
    "RLIMIT_FSIZE",
    "RLIMIT_LOCKS",
    "RLIMIT_MEMLOCK",
    "RLIMIT_MSGQUEUE",
    "RLIMIT_NICE",
    "RLIMIT_NOFILE",
    "RLIMIT_NPROC",
    "RLIMIT_RSS",
    "RLIMIT_RTPRIO",
    "RLIMIT_RTTIME",
    "RLIMIT_SIGPENDING",
    "RLIMIT_STACK",
];

fn process(report: &mut Report, at: &At<'_>, process: &mut Map<'_>) {
    ignored(report, at, process, "commandLine");
}

fn user(report: &mut Report, at: &At<'_>, user: &mut Map<'_>) {
    ignored(report, at, user, "username");
}

/// Takes out a field that has a meaning on Windows only.
fn ignored(report: &mut Report, at: &At<'_>, map: &mut Map<'_>, name: &str) {
    if map.contains(name) {
        report.warn(&at.key(name), Fault::new("has no meaning on Linux and is ignored"));
        map.retain(|key, _| key != name);
    }
}

fn args(report: &mut Report, at: &At<'_>, args: &[Value<'_>]) {
    match args.first() {
        None => {
            let fault = Fault::new("must not be empty");
            report.error(at, fault.hint("name the program to run, as [\"sh\"]"));
        }
        Some(Value::String(program)) => {
            if let Err(fault) = not_empty(program) {
                report.error(&at.index(0), fault.hint("name the program to run"));
            }
        }
        Some(_) => {}
    }
}

fn rlimit(report: &mut Report, at: &At<'_>, limit: &mut Map<'_>) {
    if let (Some(soft), Some(hard @ 0..)) = (int(limit, "soft"), int(limit, "hard"))
        && soft > hard
    {
        let fault = Fault::new(format!("found {soft}, expected at most the hard limit, {hard}"));
        report.error(&at.key("soft"), fault);
    }
}

fn rlimits(report: &mut Report, at: &At<'_>, limits: &[Value<'_>]) {
    unique(report, at, limits, "type");
}
