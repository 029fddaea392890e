//! `/linux/sysctl`: only what the container's own namespaces hold may be set.

use super::namespaces;
use super::report::{At, Fault, Report};
use super::schema::object;
use crate::json::Map;

/// What an IPC namespace holds, beside `fs/mqueue` (ipc_namespaces(7)).
const IPC: [&str; 8] = [
    "kernel/msgmax",
    "kernel/msgmnb",
    "kernel/msgmni",
    "kernel/sem",
    "kernel/shm_rmid_forced",
    "kernel/shmall",
    "kernel/shmmax",
    "kernel/shmmni",
];

/// The file of the sysctl `key` below `/proc/sys`, or `None` if `key` names no such file.
///
/// As in sysctl(8), the first separator decides: `net.ipv4.conf.eth0/1.forwarding` and
/// `net/ipv4/conf/eth0.1/forwarding` are the same. Write to this path and to no other spelling of the
/// key: it is the one that was checked.
///
/// ```
/// let path = coracle_spec::sysctl_path("net.ipv4.conf.eth0/1.forwarding");
/// assert_eq!(path.as_deref(), Some("net/ipv4/conf/eth0.1/forwarding"));
/// assert_eq!(coracle_spec::sysctl_path("net/../kernel/core_pattern"), None);
/// ```
pub fn sysctl_path(key: &str) -> Option<String> {
    let dots = key.find(['.', '/']).is_some_and(|at| key.as_bytes()[at] == b'.');
    let swap = |c| match c {
        '.' if dots => '/',
        '/' if dots => '.',
        c => c,
    };
    let path: String = key.chars().map(swap).collect();
    let plain = |part: &str| !matches!(part, "" | "." | "..");
    path.split('/').all(plain).then_some(path)
}

/// A key that names a file below `/proc/sys`.
pub(super) fn key(key: &str) -> Result<(), Fault> {
    match sysctl_path(key).is_some() {
        true => value(key),
        false => Err(Fault::found_text(key, "a name like net.ipv4.ip_forward")),
    }
}

/// No kernel parameter of a namespace is written with a control character or a `+`, but both have
/// carried a second assignment through tools that join assignments into one text (CVE-2022-0811).
pub(super) fn value(value: &str) -> Result<(), Fault> {
    match value.chars().any(|c| c == '+' || (c.is_control() && c != '\t')) {
        true => Err(Fault::found_text(value, "a text without control characters and without `+`")),
        false => Ok(()),
    }
}

/// Each key must belong to a namespace that the container does not share with the host.
pub(super) fn check_namespaces(report: &mut Report, at: &At<'_>, linux: &Map<'_>) {
    let at = at.key("sysctl");
    for (key, _) in object(linux, "sysctl").into_iter().flat_map(Map::iter) {
        // A key that is no path has been reported.
        let fault = sysctl_path(key).and_then(|path| refused(&path, linux));
        if let Some(fault) = fault {
            report.error(&at.key(key), fault);
        }
    }
}

fn refused(path: &str, linux: &Map<'_>) -> Option<Fault> {
    let needed = match path {
        "kernel/hostname" => {
            let fault = Fault::new("is set by another field");
            return Some(fault.hint("use /hostname"));
        }
        "kernel/domainname" => "uts",
        _ if IPC.contains(&path) || path.starts_with("fs/mqueue/") => "ipc",
        _ if path.starts_with("net/") => "network",
        _ => {
            let fault = Fault::new("belongs to the host and not to a namespace of the container");
            return Some(fault.hint("set it on the host"));
        }
    };
    (!namespaces::has(linux, needed)).then(|| {
        Fault::new(format!("would be set on the host: the container has no {needed} namespace"))
            .hint(format!("add {{\"type\": \"{needed}\"}} to /linux/namespaces"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_separators_name_the_same_file() {
        for (key, path) in [
            ("kernel.shmmax", Some("kernel/shmmax")),
            ("kernel/shmmax", Some("kernel/shmmax")),
            ("net.ipv4.conf.eth0/100.rp_filter", Some("net/ipv4/conf/eth0.100/rp_filter")),
            ("net/ipv4/conf/eth0.100/rp_filter", Some("net/ipv4/conf/eth0.100/rp_filter")),
            ("vm", Some("vm")),
            ("", None),
            ("/kernel/shmmax", None),
            ("kernel..shmmax", None),
            ("net/../kernel/core_pattern", None),
            ("net.//.kernel.core_pattern", None),
            ("net/ipv4/", None),
        ] {
            assert_eq!(sysctl_path(key).as_deref(), path, "{key}");
        }
    }
}
