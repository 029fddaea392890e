//! `/linux/memoryPolicy`: <https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config-linux.md#memory-policy>.

use super::report::{At, Fault, Report};
use super::schema::{Kind, Object, field, free_list, list, required, text};
use super::text::{any, number_list};
use crate::json::{Map, Value};
use crate::types::MemoryPolicy;

pub(super) const MEMORY_POLICY: Kind = Kind::Object(&Object {
    fields: &[
        required("mode", Kind::OneOf(&MemoryPolicy::MODES), "name the mode, as \"MPOL_BIND\""),
        field("nodes", Kind::Text(any)),
        field("flags", Kind::List(&Kind::OneOf(&MemoryPolicy::FLAGS), free_list)),
    ],
    rule: memory_policy,
});

/// What set_mempolicy(2) takes with which mode.
fn memory_policy(report: &mut Report, at: &At<'_>, policy: &mut Map<'_>) {
    nodes(report, at, policy);
    let Some(mode) = text(policy, "mode").filter(|mode| MemoryPolicy::MODES.contains(mode)) else {
        return;
    };
    let has = |name: &str| list(policy, "flags").iter().any(|flag| flag.as_str() == Some(name));
    let (fixed, relative) = (has("MPOL_F_STATIC_NODES"), has("MPOL_F_RELATIVE_NODES"));
    let without = ["MPOL_DEFAULT", "MPOL_LOCAL"].contains(&mode);
    let any = policy.contains("nodes");
    let refuse = |report: &mut Report, name, message: String| {
        report.error(&at.key(name), Fault::new(message));
    };
    if without && any {
        refuse(report, "nodes", format!("{mode} takes no nodes"));
    } else if !without && !any && mode != "MPOL_PREFERRED" {
        refuse(report, "nodes", format!("{mode} needs at least one node, as \"0\""));
    }
    if fixed && relative {
        let message = "MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each other";
        refuse(report, "flags", message.into());
    } else if (fixed || relative) && !any {
        refuse(report, "flags", format!("{mode} without nodes takes no flag that is about nodes"));
    }
    if has("MPOL_F_NUMA_BALANCING") && !["MPOL_BIND", "MPOL_PREFERRED_MANY"].contains(&mode) {
        let message = format!("{mode} does not go with MPOL_F_NUMA_BALANCING");
        report.error(&at.key("flags"), Fault::new(message).hint("MPOL_BIND does"));
    }
}

/// Brings the list of nodes into one form; an empty one is none.
fn nodes(report: &mut Report, at: &At<'_>, policy: &mut Map<'_>) {
    policy.retain(|name, value| {
        let Some(text) = value.as_str().filter(|_| name == "nodes") else { return true };
        let Some(nodes) = number_list(text) else {
            let fault = Fault::found_text(text, "a list of NUMA nodes like \"0-3,7\"");
            report.error(&at.key(name), fault);
            return true;
        };
        let any = !nodes.is_empty();
        *value = Value::String(nodes.into());
        any
    });
}
