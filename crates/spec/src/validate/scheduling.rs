//! `/process/{scheduler,ioPriority,execCPUAffinity}`.

use super::report::{At, Fault, Report};
use super::schema::{
    Kind, Object, U64, field, free_list, free_object, int, required, text as text_of,
};
use super::text::any;
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
}

/// Brings both lists into one form: no spaces, no empty elements.
fn affinity(report: &mut Report, at: &At<'_>, affinity: &mut Map<'_>) {
    affinity.retain(|name, value| {
        let Some(text) = value.as_str() else { return true };
        let Some(cpus) = cpu_list(text) else {
            let fault = Fault::found_text(text, "a list of CPUs like \"0-3,7\"");
            report.error(&at.key(name), fault);
            return true;
        };
        let any = !cpus.is_empty();
        *value = Value::String(cpus.into());
        any
    });
}

/// The list of CPUs in `text` without what means nothing; `None` if it is no such list.
fn cpu_list(text: &str) -> Option<String> {
    let ranges = text.split(',').map(str::trim).filter(|range| !range.is_empty());
    ranges.clone().all(is_range).then(|| {
        let mut list = String::with_capacity(text.len());
        for range in ranges {
            if !list.is_empty() {
                list.push(',');
            }
            list.extend(range.split_whitespace());
        }
        list
    })
}

fn is_range(range: &str) -> bool {
    let number = |text: &str| {
        let text = text.trim();
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u32>().ok()).flatten()
    };
    match range.split_once('-') {
        None => number(range).is_some(),
        Some((first, last)) => match (number(first), number(last)) {
            (Some(first), Some(last)) => first <= last,
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists() {
        for (text, list) in [
            ("0", Some("0")),
            ("0-3,7", Some("0-3,7")),
            (" 0 - 3 , 7,", Some("0-3,7")),
            ("", Some("")),
            (" , ", Some("")),
            ("3-0", None),
            ("a", None),
            ("1 2", None),
            ("+1", None),
            ("-", None),
            ("99999999999", None),
            ("١", None),
        ] {
            assert_eq!(cpu_list(text).as_deref(), list, "{text:?}");
        }
    }
}
