//! The tables of the runtime specification, and the rules between its fields.
//!
//! One module per subject: a table of fields (names, types, ranges) in the order of the specification,
//! and small functions for what a table cannot say.

mod capabilities;
mod devices;
mod document;
mod hooks;
mod idmap;
mod linux;
mod memory_policy;
mod mounts;
mod namespaces;
mod nearest;
mod network;
mod process;
mod report;
mod resources;
mod scheduling;
mod schema;
mod seccomp;
mod sysctl;
mod text;

pub(crate) use document::{document, lone_mounts, lone_process, lone_resources};
pub(crate) use report::Report;
pub use sysctl::sysctl_path;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{default_document, json};

    /// The pointers of the errors in the default document with `value` at `path`.
    fn errors(path: &str, value: Value) -> Vec<String> {
        let mut base: Value = serde_json::from_str(&default_document(None)).unwrap();
        let mut target = &mut base;
        for key in path.split('/') {
            target = &mut target[key];
        }
        *target = value;

        let text = base.to_string();
        let mut report = Report::default();
        document(&mut report, &mut json::parse(text.as_bytes()).unwrap());
        report.finish().0.into_iter().map(|error| error.pointer).collect()
    }

    fn check(rows: &[(&str, Value, &str)]) {
        for (path, value, expected) in rows {
            let expected: Vec<_> = expected.split(' ').filter(|it| !it.is_empty()).collect();
            assert_eq!(errors(path, value.clone()), expected, "{path} = {value}");
        }
    }

    #[test]
    fn hooks() {
        check(&[
            ("hooks", json!({"poststop": [{"path": "/bin/true", "timeout": 1}]}), ""),
            ("hooks/prestart", json!([{}]), "/hooks/prestart/0/path"),
            ("hooks/prestart", json!([{"path": "true"}]), "/hooks/prestart/0/path"),
            (
                "hooks/poststart",
                json!([{"path": "/x", "timeout": 0, "env": ["A"], "args": [1]}]),
                "/hooks/poststart/0/args/0 /hooks/poststart/0/env/0 /hooks/poststart/0/timeout",
            ),
        ]);
    }

    #[test]
    fn scheduling() {
        let at = "/process/scheduler";
        let deadline = |runtime: u64, deadline: u64, period: u64| {
            json!({"policy": "SCHED_DEADLINE", "runtime": runtime, "deadline": deadline,
                "period": period})
        };
        check(&[
            ("process/scheduler", json!({"nice": 5}), &format!("{at}/policy")),
            (
                "process/scheduler",
                json!({"policy": "SCHED_IDLE", "nice": 20}),
                &format!("{at}/nice"),
            ),
            (
                "process/scheduler",
                json!({"policy": "SCHED_OTHER", "priority": 1}),
                &format!("{at}/priority"),
            ),
            ("process/scheduler", json!({"policy": "SCHED_FIFO", "priority": 1}), ""),
            ("process/scheduler", json!({"policy": "SCHED_FIFO"}), &format!("{at}/priority")),
            (
                "process/scheduler",
                json!({"policy": "SCHED_RR", "flags": ["SCHED_FLAG_KEEP_PARAMS"]}),
                "",
            ),
            ("process/scheduler", deadline(2000, 3000, 4000), ""),
            ("process/scheduler", deadline(2000, 3000, 0), ""),
            ("process/scheduler", deadline(1000, 3000, 4000), &format!("{at}/runtime")),
            ("process/scheduler", deadline(3000, 2000, 4000), &format!("{at}/deadline")),
            ("process/scheduler", deadline(2000, 4000, 3000), &format!("{at}/period")),
            (
                "process/scheduler",
                json!({"policy": "SCHED_RR", "priority": 1, "runtime": 1, "flags": ["RECLAIM"]}),
                &format!("{at}/flags/0 {at}/runtime"),
            ),
            (
                "process/ioPriority",
                json!({"priority": 8}),
                "/process/ioPriority/priority /process/ioPriority/class",
            ),
            (
                "process/execCPUAffinity",
                json!({"initial": "3-0"}),
                "/process/execCPUAffinity/initial",
            ),
            ("process/execCPUAffinity", json!({"initial": " 0 - 3,", "final": ","}), ""),
            ("process/selinuxLabel", json!("a\nb"), "/process/selinuxLabel"),
        ]);
    }

    #[test]
    fn mappings_of_mounts() {
        let map = json!([{"containerID": 0, "hostID": 1, "size": 1}]);
        let mount = |options: Value, uids: &Value, gids: &Value| {
            json!([{"destination": "/a", "type": "tmpfs", "source": "/b", "options": options,
                "uidMappings": uids, "gidMappings": gids}])
        };
        check(&[
            ("mounts", mount(json!(["bind"]), &map, &map), ""),
            ("mounts", mount(json!(["bind"]), &map, &json!([])), "/mounts/0/gidMappings"),
            ("mounts", mount(json!(["bind"]), &Value::Null, &map), "/mounts/0/uidMappings"),
            ("mounts", mount(json!(["ro"]), &map, &map), "/mounts/0"),
            ("mounts", mount(json!(["ridmap"]), &Value::Null, &Value::Null), "/mounts/0"),
            (
                "mounts",
                mount(json!(["bind"]), &json!([{"containerID": 0}]), &map),
                "/mounts/0/uidMappings/0/hostID /mounts/0/uidMappings/0/size",
            ),
        ]);
    }

    #[test]
    fn linux() {
        check(&[
            ("linux/netDevices", json!({"eth0": {"name": "lan0"}, "eth1": {}}), ""),
            ("linux/netDevices", json!({"a/b": {}}), "/linux/netDevices/a~1b"),
            ("linux/netDevices", json!({"eth%d": {}}), "/linux/netDevices/eth%d"),
            ("linux/netDevices", json!({"lo": {"name": "x"}}), "/linux/netDevices/lo"),
            ("linux/netDevices", json!({"x": {"name": "lo"}}), "/linux/netDevices/x"),
            ("linux/netDevices", json!({"x": {"name": "y"}, "y": {}}), "/linux/netDevices/y"),
            ("linux/netDevices", json!({"x": {"name": "y%d"}, "z": {"name": "y%d"}}), ""),
            ("linux/netDevices", json!({"x": {"name": "%dy"}}), "/linux/netDevices/x/name"),
            ("linux/netDevices", json!({"x": {"name": "y%s"}}), "/linux/netDevices/x/name"),
            (
                "linux/netDevices",
                json!({"eth0": {"name": "sixteen-letters!"}}),
                "/linux/netDevices/eth0/name",
            ),
            ("linux/intelRdt/closID", json!(".."), "/linux/intelRdt/closID"),
            ("linux/intelRdt/memBwSchema", json!("L3:0=f"), "/linux/intelRdt/memBwSchema"),
            ("linux/intelRdt/schemata", json!(["L3:0=f\nMB:0=1"]), "/linux/intelRdt/schemata/0"),
            ("linux/personality", json!({"domain": "LINUX64"}), "/linux/personality/domain"),
            (
                "linux/resources/network",
                json!({"classID": -1, "priorities": [{"name": "eth0"}]}),
                "/linux/resources/network/classID /linux/resources/network/priorities/0/priority",
            ),
            (
                "linux/resources/rdma",
                json!({"mlx5": {"hcaHandles": -1}}),
                "/linux/resources/rdma/mlx5/hcaHandles",
            ),
        ]);
    }

    #[test]
    fn memory_policies() {
        let (mode, nodes, flags) =
            ("/linux/memoryPolicy/mode", "/linux/memoryPolicy/nodes", "/linux/memoryPolicy/flags");
        let rows = [
            (json!({"nodes": "0"}), mode),
            (json!({"mode": "MPOL_BINDS", "nodes": "0"}), mode),
            (json!({"mode": "MPOL_DEFAULT"}), ""),
            (json!({"mode": "MPOL_DEFAULT", "nodes": " , "}), ""),
            (json!({"mode": "MPOL_DEFAULT", "nodes": "0"}), nodes),
            (json!({"mode": "MPOL_LOCAL", "nodes": "0"}), nodes),
            (json!({"mode": "MPOL_LOCAL", "flags": ["MPOL_F_STATIC_NODES"]}), flags),
            (json!({"mode": "MPOL_PREFERRED"}), ""),
            (json!({"mode": "MPOL_PREFERRED", "nodes": "0"}), ""),
            (json!({"mode": "MPOL_BIND"}), nodes),
            (json!({"mode": "MPOL_BIND", "nodes": "3-1"}), nodes),
            (
                json!({"mode": "MPOL_BIND", "nodes": "0 - 3, 7", "flags": ["MPOL_F_NUMA_BALANCING"]}),
                "",
            ),
            (
                json!({"mode": "MPOL_INTERLEAVE", "nodes": "0", "flags": ["MPOL_F_NUMA_BALANCING"]}),
                flags,
            ),
            (
                json!({"mode": "MPOL_INTERLEAVE", "nodes": "0",
                    "flags": ["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"]}),
                flags,
            ),
            (
                json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["STATIC"]}),
                "/linux/memoryPolicy/flags/0",
            ),
        ];
        for (policy, expected) in rows {
            check(&[("linux/memoryPolicy", policy, expected)]);
        }
    }

    #[test]
    fn notifications() {
        let rule = |names: Value| {
            json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/agent",
                "syscalls": [{"names": names, "action": "SCMP_ACT_NOTIFY"}]})
        };
        let mut without_listener = rule(json!(["mkdir"]));
        without_listener["listenerPath"] = json!("");
        check(&[
            ("linux/seccomp", rule(json!(["mkdir"])), ""),
            ("linux/seccomp", rule(json!(["mkdir", "write"])), ""),
            (
                "linux/seccomp",
                rule(json!(["mkdir", "sendmsg"])),
                "/linux/seccomp/syscalls/0/names/1",
            ),
            (
                "linux/seccomp",
                json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x"}),
                "/linux/seccomp/listenerMetadata",
            ),
            ("linux/seccomp", without_listener, "/linux/seccomp/listenerPath"),
            (
                "linux/seccomp",
                json!({"defaultAction": "SCMP_ACT_NOTIFY", "listenerPath": "/run/agent"}),
                "/linux/seccomp/defaultAction",
            ),
        ]);
    }
}
