//! `/process/capabilities`:
//! <https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config.md#linux-process>.

use super::report::{At, Fault, Report, shown_text};
use super::schema::{Kind, Object, field, free_list};
use super::text::any;
use crate::json::{Map, Value};

pub(super) const CAPABILITIES: Kind = Kind::Object(&Object {
    fields: &[
        field("effective", SET),
        field("bounding", SET),
        field("inheritable", SET),
        field("permitted", SET),
        field("ambient", SET),
    ],
    rule: sets,
});

const SET: Kind = Kind::List(&Kind::Text(any), free_list);

/// The capabilities of capabilities(7), in alphabetical order.
const KNOWN: [&str; 41] = [
    "CAP_AUDIT_CONTROL",
    "CAP_AUDIT_READ",
    "CAP_AUDIT_WRITE",
    "CAP_BLOCK_SUSPEND",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_KILL",
    "CAP_LEASE",
    "CAP_LINUX_IMMUTABLE",
    "CAP_MAC_ADMIN",
    "CAP_MAC_OVERRIDE",
    "CAP_MKNOD",
    "CAP_NET_ADMIN",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_RAW",
    "CAP_PERFMON",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYSLOG",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_CHROOT",
    "CAP_SYS_MODULE",
    "CAP_SYS_NICE",
    "CAP_SYS_PACCT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_WAKE_ALARM",
];

fn sets(report: &mut Report, at: &At<'_>, sets: &mut Map<'_>) {
    for (name, set) in sets.iter_mut() {
        if let Value::Array(set) = set {
            known(report, &at.key(name), set);
        }
    }
}

/// Takes out the names that no kernel knows: the specification asks for a warning, not an error. A name
/// in another spelling is not known either; guessing which power was meant is not a runtime's business.
fn known(report: &mut Report, at: &At<'_>, set: &mut Vec<Value<'_>>) {
    let mut index = 0;
    set.retain(|name| {
        let at = at.index(index);
        index += 1;
        let name = name.as_str().unwrap_or_default();
        let known = KNOWN.binary_search(&name).is_ok();
        if !known {
            let fault =
                Fault::new(format!("{} is not a capability and is ignored", shown_text(name)));
            report.warn(&at, meant(fault, name));
        }
        known
    });
}

fn meant(fault: Fault, name: &str) -> Fault {
    let full = format!("CAP_{}", name.to_ascii_uppercase());
    match KNOWN.binary_search(&full.as_str()) {
        Ok(index) => fault.hint(format!("did you mean {:?}?", KNOWN[index])),
        Err(_) => fault.nearest(name, KNOWN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_sorted() {
        assert!(KNOWN.is_sorted());
    }
}
