//! `/process/{scheduler,ioPriority,execCPUAffinity}`.

use super::report::{At, Fault, Report};
use super::schema::{
    Kind, Object, U64, field, free_list, free_object, int, list, required, text as text_of,
};
use super::text::{any, number_list};
use crate::json::{Map, Value};

pub(super) const SCHEDULER: Kind = Kind::Object(&Object {
    fields: &[
        required("policy", Kind::OneOf(POLICIES), "name the policy, as \"SCHED_OTHER\""),
        field("nice", Kind::Int(-20, 19)),
        field("priority", Kind::Int(0, 99)),
        field("flags", Kind::List(&Kind::OneOf(FLAGS), free_list)),
        field("runtime", U64),
        field("deadline", U64),
        field("period", U64),
    ],
    rule: scheduler,
});

pub(super) const IO_PRIORITY: Kind = Kind::Object(&Object {
    fields: &[
        required("class", Kind::OneOf(CLASSES), "name the class, as \"IOPRIO_CLASS_BE\""),
        field("priority", Kind::Int(0, 7)),
    ],
    rule: free_object,
});

pub(super) const EXEC_AFFINITY: Kind = Kind::Object(&Object {
    fields: &[field("initial", Kind::Text(any)), field("final", Kind::Text(any))],
    rule: affinity,
});

const POLICIES: &[&str] = &[
    "SCHED_OTHER",
    "SCHED_FIFO",
    "SCHED_RR",
    "SCHED_BATCH",
    "SCHED_ISO",
    "SCHED_IDLE",
    "SCHED_DEADLINE",
];

const FLAGS: &[&str] = &[
    "SCHED_FLAG_RESET_ON_FORK",
    "SCHED_FLAG_RECLAIM",
    "SCHED_FLAG_DL_OVERRUN",
    "SCHED_FLAG_KEEP_POLICY",
    "SCHED_FLAG_KEEP_PARAMS",
    "SCHED_FLAG_UTIL_CLAMP_MIN",
    "SCHED_FLAG_UTIL_CLAMP_MAX",
];

const CLASSES: &[&str] = &["IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"];

/// The least runtime of `SCHED_DEADLINE`, in nanoseconds.
const LEAST_RUNTIME: i128 = 1024;

/// What sched_setattr(2) takes with which policy.
fn scheduler(report: &mut Report, at: &At<'_>, scheduler: &mut Map<'_>) {
    let policy = text_of(scheduler, "policy").unwrap_or_default();
    let given = |name| int(scheduler, name).is_some_and(|value| value != 0);

    if given("priority") && !["SCHED_FIFO", "SCHED_RR"].contains(&policy) {
        let fault = Fault::new(format!("has no meaning with {policy}"));
        report.error(&at.key("priority"), fault.hint("only SCHED_FIFO and SCHED_RR have one"));
    }
    for name in ["runtime", "deadline", "period"] {
        if given(name) && policy != "SCHED_DEADLINE" {
            let fault = Fault::new(format!("has no meaning with {policy}"));
            report.error(&at.key(name), fault.hint("only SCHED_DEADLINE has one"));
        }
    }
    let keeps = list(scheduler, "flags").iter().filter_map(Value::as_str);
    // What is kept need not be given.
    if keeps.into_iter().any(|flag| flag.starts_with("SCHED_FLAG_KEEP_")) {
        return;
    }
    match policy {
        "SCHED_FIFO" | "SCHED_RR" if !given("priority") => {
            let fault = Fault::new(format!("{policy} needs a priority from 1 to 99"));
            report.error(&at.key("priority"), fault);
        }
        "SCHED_DEADLINE" => deadline(report, at, scheduler),
        _ => {}
    }
}

/// The kernel takes only times that are in this order.
fn deadline(report: &mut Report, at: &At<'_>, scheduler: &Map<'_>) {
    let time = |name| int(scheduler, name).unwrap_or_default();
    let [runtime, deadline, period] = ["runtime", "deadline", "period"].map(time);
    if runtime < LEAST_RUNTIME {
        let fault = Fault::new(format!("found {runtime}, expected at least {LEAST_RUNTIME}"));
        report.error(&at.key("runtime"), fault.hint("it is in nanoseconds"));
    } else if deadline < runtime {
        let fault =
            Fault::new(format!("found {deadline}, expected at least the runtime, {runtime}"));
        report.error(&at.key("deadline"), fault);
    } else if period != 0 && period < deadline {
        let fault =
            Fault::new(format!("found {period}, expected at least the deadline, {deadline}"));
        report.error(&at.key("period"), fault);
    }
}

/// Brings both lists into one form: no spaces, no empty elements.
fn affinity(report: &mut Report, at: &At<'_>, affinity: &mut Map<'_>) {
    affinity.retain(|name, value| {
        let Some(text) = value.as_str() else { return true };
        let Some(cpus) = number_list(text) else {
            let fault = Fault::found_text(text, "a list of CPUs like \"0-3,7\"");
            report.error(&at.key(name), fault);
            return true;
        };
        let any = !cpus.is_empty();
        *value = Value::String(cpus.into());
        any
    });
}
