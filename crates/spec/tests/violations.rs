//! Every check of a configuration: a document that is wrong in one way, and where the problem is found.

#![expect(clippy::unwrap_used, reason = "a helper of tests fails the test")]
#![expect(clippy::expect_used, reason = "a helper of tests fails the test")]
#![expect(clippy::panic, reason = "a helper of tests fails the test")]

use coracle_spec::{Error, LoadedSpec, Violation, default_document};
use serde_json::{Map, Value, json};

/// Puts `value` at `pointer`; makes missing objects on the way, and `-` is the end of a list.
fn set(document: &mut Value, pointer: &str, value: Value) {
    let mut target = document;
    for key in pointer.split('/').skip(1).map(|key| key.replace("~1", "/")) {
        if !target.is_object() && !target.is_array() {
            *target = Value::Object(Map::new());
        }
        target = match target {
            Value::Array(list) => {
                let index = key.parse().unwrap_or(list.len());
                list.resize(list.len().max(index + 1), Value::Null);
                &mut list[index]
            }
            Value::Object(map) => map.entry(key).or_insert(Value::Null),
            _ => unreachable!(),
        };
    }
    *target = value;
}

fn default() -> Value {
    serde_json::from_str(&default_document(None)).unwrap()
}

fn rootless() -> Value {
    serde_json::from_str(&default_document(Some((1000, 1000)))).unwrap()
}

fn load(document: &Value) -> Result<LoadedSpec, Vec<Violation>> {
    match LoadedSpec::from_slice(document.to_string().as_bytes()) {
        Ok(loaded) => Ok(loaded),
        Err(Error::Invalid { violations, .. }) => Err(violations),
        Err(error) => panic!("{error}"),
    }
}

/// Loads `base` with each change of `rows` in turn: a value put at a pointer below `root`. Each must have
/// exactly one error, and that at the pointer, also below `root`, that follows the value. Returns all
/// messages.
fn errors(base: &Value, root: &str, rows: &[(&str, Value, &str)]) -> String {
    let mut messages = String::new();
    for (pointer, value, expected) in rows {
        let mut document = base.clone();
        set(&mut document, &format!("{root}{pointer}"), value.clone());
        let violations = load(&document).expect_err(&format!("{pointer} = {value}"));
        let found: Vec<_> = violations.iter().map(|it| it.pointer.as_str()).collect();
        assert_eq!(found, [format!("{root}{expected}")], "{pointer} = {value}: {violations:?}");
        messages.push_str(&format!("{}\n", violations[0]));
    }
    messages
}

#[test]
fn document() {
    insta::assert_snapshot!(errors(
        &default(),
        "",
        &[
            ("/ociVersion", json!(null), "/ociVersion"),
            ("/ociVersion", json!(""), "/ociVersion"),
            ("/ociVersion", json!(1), "/ociVersion"),
            ("/ociVersion", json!("1.0"), "/ociVersion"),
            ("/ociVersion", json!("9.9.9"), "/ociVersion"),
            ("/root", json!(null), "/root"),
            ("/root", json!("rootfs"), "/root"),
            ("/root/path", json!(""), "/root/path"),
            ("/root/path", json!("a\0b"), "/root/path"),
            ("/root/readonly", json!("yes"), "/root/readonly"),
            ("/process", json!(null), "/process"),
            ("/hostname", json!("x".repeat(65)), "/hostname"),
            ("/hostname", json!("a\nb"), "/hostname"),
            ("/domainname", json!(7), "/domainname"),
            ("/annotations", json!({"": "x"}), "/annotations/"),
            ("/annotations", json!({"a/b": 1}), "/annotations/a~1b"),
            ("/annotations", json!({"a": "\0"}), "/annotations/a"),
            ("/windows", json!({"layerFolders": []}), "/windows"),
            ("/solaris", json!({"milestone": ""}), "/solaris"),
            ("/vm", json!({"kernel": {"path": "/k"}}), "/vm"),
            ("/zos", json!({"namespaces": []}), "/zos"),
            ("/freebsd", json!([]), "/freebsd"),
            ("", json!([1]), ""),
            ("", json!(null), ""),
        ]
    ));
}

#[test]
fn process() {
    insta::assert_snapshot!(errors(
        &default(),
        "",
        &[
            ("/process/cwd", json!(""), "/process/cwd"),
            ("/process/cwd", json!("home"), "/process/cwd"),
            ("/process/args", json!(null), "/process/args"),
            ("/process/args", json!([]), "/process/args"),
            ("/process/args", json!([""]), "/process/args/0"),
            ("/process/args", json!(["sh", 1]), "/process/args/1"),
            ("/process/args", json!("sh"), "/process/args"),
            ("/process/env/1", json!("TERM"), "/process/env/1"),
            ("/process/env/1", json!("=x"), "/process/env/1"),
            ("/process/env/1", json!("A=\0"), "/process/env/1"),
            ("/process/terminal", json!(1), "/process/terminal"),
            ("/process/consoleSize", json!({"height": 1}), "/process/consoleSize/width"),
            (
                "/process/consoleSize",
                json!({"height": 1, "width": 65536}),
                "/process/consoleSize/width"
            ),
            ("/process/user/uid", json!(-1), "/process/user/uid"),
            ("/process/user/uid", json!(4_294_967_295_u32), "/process/user/uid"),
            ("/process/user/uid", json!(4_294_967_296_u64), "/process/user/uid"),
            ("/process/user/uid", json!(1e3), "/process/user/uid"),
            ("/process/user/uid", json!("0"), "/process/user/uid"),
            ("/process/user/gid", json!(4_294_967_295_u32), "/process/user/gid"),
            ("/process/user/umask", json!(512), "/process/user/umask"),
            ("/process/user/additionalGids", json!([1, -1]), "/process/user/additionalGids/1"),
            ("/process/rlimits/0/type", json!("RLIMIT_NOFILES"), "/process/rlimits/0/type"),
            ("/process/rlimits/0/type", json!(null), "/process/rlimits/0/type"),
            ("/process/rlimits/0/soft", json!(2000), "/process/rlimits/0/soft"),
            ("/process/rlimits/0/hard", json!(-1), "/process/rlimits/0/hard"),
            (
                "/process/rlimits/-",
                json!({"type": "RLIMIT_NOFILE", "soft": 1, "hard": 1}),
                "/process/rlimits/1/type",
            ),
            ("/process/capabilities/bounding", json!("CAP_KILL"), "/process/capabilities/bounding"),
            ("/process/noNewPrivileges", json!("true"), "/process/noNewPrivileges"),
            ("/process/oomScoreAdj", json!(1001), "/process/oomScoreAdj"),
            ("/process/apparmorProfile", json!("a\nb"), "/process/apparmorProfile"),
        ]
    ));
}

#[test]
fn mounts() {
    insta::assert_snapshot!(errors(
        &default(),
        "",
        &[
            ("/mounts/0/destination", json!(null), "/mounts/0/destination"),
            ("/mounts/0/destination", json!(""), "/mounts/0/destination"),
            ("/mounts/0/destination", json!("/"), "/mounts/0/destination"),
            ("/mounts/0/destination", json!("/a/.././.."), "/mounts/0/destination"),
            ("/mounts/0/type", json!(null), "/mounts/0/type"),
            ("/mounts/0/source", json!("a\0"), "/mounts/0/source"),
            ("/mounts/1/options/0", json!(""), "/mounts/1/options/0"),
            ("/mounts/-", json!({"destination": "/a", "options": ["rbind"]}), "/mounts/7/source"),
            ("/mounts/-", json!({"destination": "/a", "type": "bind"}), "/mounts/7/source"),
            ("/mounts", json!({}), "/mounts"),
        ]
    ));
}

#[test]
fn namespaces() {
    insta::assert_snapshot!(errors(
        &default(),
        "",
        &[
            ("/linux/namespaces/4/type", json!("net"), "/linux/namespaces/4/type"),
            ("/linux/namespaces/5/type", json!(null), "/linux/namespaces/5/type"),
            ("/linux/namespaces/5/type", json!("pid"), "/linux/namespaces/5/type"),
            ("/linux/namespaces/1/path", json!("ns"), "/linux/namespaces/1/path"),
            ("/linux/namespaces/3", json!({"type": "time"}), "/hostname"),
            ("/linux/timeOffsets/boottime/secs", json!(1), "/linux/timeOffsets"),
        ]
    ));

    let mut joined = default();
    set(&mut joined, "/linux/namespaces/-", json!({"type": "time", "path": "/proc/1/ns/time"}));
    let mut no_mount = default();
    set(&mut no_mount, "/linux/namespaces/4", json!({"type": "time"}));
    set(&mut no_mount, "/linux/readonlyPaths", json!([]));
    insta::assert_snapshot!(
        "namespaces_between_fields",
        errors(
            &joined,
            "",
            &[("/linux/timeOffsets/monotonic/secs", json!(1), "/linux/timeOffsets"),]
        ) + &errors(&no_mount, "", &[("/root/readonly", json!(false), "/linux/maskedPaths")])
    );
}

#[test]
fn id_mappings() {
    let map = |inside: u32, outside: u32, size: u32| json!({"containerID": inside, "hostID": outside, "size": size});
    let too_many: Vec<_> = (0..341).map(|id| map(id, id, 1)).collect();
    insta::assert_snapshot!(errors(
        &rootless(),
        "",
        &[
            ("/linux/uidMappings", json!(null), "/linux/uidMappings"),
            ("/linux/uidMappings/0/size", json!(0), "/linux/uidMappings/0/size"),
            ("/linux/uidMappings/0/size", json!(null), "/linux/uidMappings/0/size"),
            (
                "/linux/uidMappings/0/hostID",
                json!(4_294_967_295_u32),
                "/linux/uidMappings/0/hostID"
            ),
            ("/linux/uidMappings/0", map(0, 4_294_967_294, 2), "/linux/uidMappings/0/size"),
            (
                "/linux/uidMappings",
                json!([map(0, 0, 9), map(8, 100, 1)]),
                "/linux/uidMappings/1/containerID"
            ),
            (
                "/linux/gidMappings",
                json!([map(0, 5, 9), map(9, 5, 1)]),
                "/linux/gidMappings/1/hostID"
            ),
            ("/linux/gidMappings", json!(too_many), "/linux/gidMappings"),
            ("/process/user/uid", json!(1), "/process/user/uid"),
            ("/process/user/gid", json!(1), "/process/user/gid"),
            ("/process/user/additionalGids", json!([0, 7]), "/process/user/additionalGids/1"),
            ("/mounts/2/options/-", json!("gid=5"), "/mounts/2/options/5"),
            ("/mounts/1/options/-", json!("uid=1"), "/mounts/1/options/4"),
        ]
    ));
    insta::assert_snapshot!(
        "id_mappings_without_namespace",
        errors(
            &default(),
            "",
            &[("/linux/uidMappings", json!([map(0, 0, 1)]), "/linux/uidMappings")]
        )
    );
}

#[test]
fn sysctls() {
    let key = |key: &str| json!({key: "1"});
    insta::assert_snapshot!(errors(
        &default(),
        "",
        &[
            ("/linux/sysctl", key("vm.overcommit_memory"), "/linux/sysctl/vm.overcommit_memory"),
            ("/linux/sysctl", key("kernel/core_pattern"), "/linux/sysctl/kernel~1core_pattern"),
            ("/linux/sysctl", key("kernel.hostname"), "/linux/sysctl/kernel.hostname"),
            ("/linux/sysctl", key("kernel/hostname"), "/linux/sysctl/kernel~1hostname"),
            (
                "/linux/sysctl",
                key("net/../kernel/core_pattern"),
                "/linux/sysctl/net~1..~1kernel~1core_pattern"
            ),
            (
                "/linux/sysctl",
                key("net.//.kernel.core_pattern"),
                "/linux/sysctl/net.~1~1.kernel.core_pattern"
            ),
            ("/linux/sysctl", key("fs.file-max"), "/linux/sysctl/fs.file-max"),
            ("/linux/sysctl", key(""), "/linux/sysctl/"),
            ("/linux/sysctl", key("net.x+kernel.y"), "/linux/sysctl/net.x+kernel.y"),
            (
                "/linux/sysctl",
                json!({"net.a": "1024 65000'+'net.ipv4.ip_forward=0'"}),
                "/linux/sysctl/net.a"
            ),
            ("/linux/sysctl", json!({"net.a": "1\n2"}), "/linux/sysctl/net.a"),
            ("/linux/sysctl", json!({"net.a": 1}), "/linux/sysctl/net.a"),
        ]
    ));
}

#[test]
fn sysctls_of_the_host() {
    let key = |key: &str| json!({key: "1"});
    let mut host = default();
    set(&mut host, "/linux/namespaces", json!([{"type": "mount"}]));
    set(&mut host, "/hostname", json!(null));
    insta::assert_snapshot!(
        "sysctls_of_the_host",
        errors(
            &host,
            "",
            &[
                ("/linux/sysctl", key("net.ipv4.ip_forward"), "/linux/sysctl/net.ipv4.ip_forward"),
                (
                    "/linux/sysctl",
                    key("net/ipv4/ip_forward"),
                    "/linux/sysctl/net~1ipv4~1ip_forward"
                ),
                ("/linux/sysctl", key("kernel.shmmax"), "/linux/sysctl/kernel.shmmax"),
                ("/linux/sysctl", key("fs.mqueue.msg_max"), "/linux/sysctl/fs.mqueue.msg_max"),
                ("/linux/sysctl", key("kernel.domainname"), "/linux/sysctl/kernel.domainname"),
            ]
        )
    );
}

#[test]
fn sysctls_of_namespaces_pass() {
    for allowed in [
        "net.ipv4.ip_forward",
        "net/ipv4/conf/eth0.1/rp_filter",
        "kernel.shmmax",
        "kernel/sem",
        "fs/mqueue/msg_max",
        "kernel.domainname",
    ] {
        let mut document = default();
        set(&mut document, "/linux/sysctl", json!({allowed: "1"}));
        assert!(load(&document).is_ok(), "{allowed}");
    }
}

#[test]
fn resources() {
    let throttle = json!([{"major": 8, "minor": 0, "rate": -1}]);
    let hugepages = |size: &str, limit: i64| json!({"pageSize": size, "limit": limit});
    insta::assert_snapshot!(errors(
        &default(),
        "/linux/resources",
        &[
            ("/devices/0/allow", json!(null), "/devices/0/allow"),
            ("/devices/0/type", json!("u"), "/devices/0/type"),
            ("/devices/0/access", json!("rwx"), "/devices/0/access"),
            ("/devices/0/major", json!(-2), "/devices/0/major"),
            ("/pids/limit", json!("10"), "/pids/limit"),
            ("/memory/limit", json!(-2), "/memory/limit"),
            ("/memory/limit", json!("10M"), "/memory/limit"),
            ("/memory", json!({"limit": 10, "swap": 5}), "/memory/swap"),
            ("/memory/swappiness", json!(101), "/memory/swappiness"),
            ("/cpu/period", json!(999), "/cpu/period"),
            ("/cpu/quota", json!(1), "/cpu/quota"),
            ("/cpu/shares", json!(-1), "/cpu/shares"),
            ("/cpu/idle", json!(2), "/cpu/idle"),
            ("/cpu/cpus", json!("0\n1"), "/cpu/cpus"),
            ("/blockIO/weight", json!(65536), "/blockIO/weight"),
            ("/blockIO/weightDevice", json!([{"major": 8}]), "/blockIO/weightDevice/0/minor"),
            ("/blockIO/throttleReadBpsDevice", throttle, "/blockIO/throttleReadBpsDevice/0/rate"),
            ("/hugepageLimits", json!([hugepages("2M", 1)]), "/hugepageLimits/0/pageSize"),
            ("/hugepageLimits", json!([{"pageSize": "2MB"}]), "/hugepageLimits/0/limit"),
            ("/hugepageLimits", json!([hugepages("2MB", -1)]), "/hugepageLimits/0/limit"),
            (
                "/hugepageLimits",
                json!([hugepages("2MB", 1), hugepages("2MB", 2)]),
                "/hugepageLimits/1/pageSize",
            ),
            ("/unified", json!({"../x.y": "1"}), "/unified/..~1x.y"),
            ("/unified", json!({"memory.high": 1}), "/unified/memory.high"),
        ]
    ));
}

#[test]
fn devices_and_paths() {
    let node = |major: i64| json!([{"type": "c", "path": "/dev/x", "major": major, "minor": 0}]);
    let pipe = |key: &str, value: i64| json!([{"type": "p", "path": "/dev/x", key: value}]);
    insta::assert_snapshot!(errors(
        &default(),
        "/linux",
        &[
            ("/devices", json!([{"type": "a", "path": "/dev/x"}]), "/devices/0/type"),
            ("/devices", json!([{"type": "p", "path": "x"}]), "/devices/0/path"),
            ("/devices", json!([{"type": "b", "path": "/x", "major": 1}]), "/devices/0/minor"),
            ("/devices", node(4096), "/devices/0/major"),
            ("/devices", pipe("fileMode", 65536), "/devices/0/fileMode"),
            ("/devices", pipe("uid", -1), "/devices/0/uid"),
            ("/cgroupsPath", json!("/a/../../b"), "/cgroupsPath"),
            ("/rootfsPropagation", json!("Shared"), "/rootfsPropagation"),
            ("/maskedPaths/0", json!("proc"), "/maskedPaths/0"),
            ("/readonlyPaths/0", json!(null), "/readonlyPaths/0"),
        ]
    ));
}

#[test]
fn seccomp() {
    let profile = |key: &str, value: Value| json!({"defaultAction": "SCMP_ACT_ERRNO", key: value});
    let rule = |rule: Value| profile("syscalls", json!([rule]));
    let arg = |arg: Value| rule(json!({"names": ["a"], "action": "SCMP_ACT_LOG", "args": [arg]}));
    let traced = json!({"names": ["a"], "action": "SCMP_ACT_TRACE", "errnoRet": 65536});
    insta::assert_snapshot!(errors(
        &default(),
        "/linux/seccomp",
        &[
            ("", json!({}), "/defaultAction"),
            ("/defaultAction", json!("SCMP_ACT_DENY"), "/defaultAction"),
            ("", profile("defaultErrnoRet", json!(4096)), "/defaultErrnoRet"),
            ("", profile("architectures", json!(["SCMP_ARCH_X87"])), "/architectures/0"),
            ("", profile("flags", json!(["TSYNC"])), "/flags/0"),
            ("", rule(json!({"action": "SCMP_ACT_LOG"})), "/syscalls/0/names"),
            ("", rule(json!({"names": [], "action": "SCMP_ACT_LOG"})), "/syscalls/0/names"),
            ("", rule(json!({"names": ["a"]})), "/syscalls/0/action"),
            ("", rule(traced), "/syscalls/0/errnoRet"),
            (
                "",
                arg(json!({"index": 6, "value": 0, "op": "SCMP_CMP_EQ"})),
                "/syscalls/0/args/0/index"
            ),
            ("", arg(json!({"index": 0, "value": 0, "op": "SCMP_EQ"})), "/syscalls/0/args/0/op"),
            ("", arg(json!({"index": 0, "op": "SCMP_CMP_EQ"})), "/syscalls/0/args/0/value"),
        ]
    ));
}

#[test]
fn all_problems_come_at_once() {
    let document = json!({
        "ociVersion": "2.0.0",
        "root": {"path": "", "readOnly": true},
        "process": {
            "cwd": "srv",
            "args": [],
            "user": {"uid": -1, "gid": 4_294_967_295_u32},
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 2, "hard": 1}],
        },
        "hostname": "web",
        "mounts": [{"destination": "/data", "source": "/srv/data"}],
        "linux": {
            "namespaces": [{"type": "mount"}, {"type": "net"}, {"type": "mount"}],
            "resources": {"memory": {"limit": "512M"}},
            "sysctl": {"net.ipv4.ip_forward": "1", "vm.swappiness": "10"},
        },
        "annotations": {"": "x", "line\nbreak": 1},
    });
    let error = LoadedSpec::from_slice(document.to_string().as_bytes()).unwrap_err();
    insta::assert_snapshot!(error);
}

#[test]
fn warnings() {
    let mut document = default();
    for (pointer, value) in [
        ("/ociVersion", json!("1.0.2-dev")),
        ("/hostName", json!("x")),
        (
            "/process/capabilities/bounding",
            json!(["CAP_KILL", "SYS_ADMIN", "CAP_NEW", "cap_chown"]),
        ),
        ("/process/commandLine", json!("sh")),
        ("/mounts/0/destination", json!("proc")),
        ("/linux/uidMapping", json!([])),
        ("/uidMappings", json!("not even a list")),
        ("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1})),
    ] {
        set(&mut document, pointer, value);
    }
    let LoadedSpec { spec, warnings, .. } = load(&document).unwrap();
    let lines: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"));

    assert_eq!(spec.process.capabilities.bounding.len(), 1);
    assert_eq!(spec.mounts[0].destination.to_str(), Some("/proc"));
}

#[test]
fn null_and_empty_mean_missing() {
    let mut document = default();
    for (pointer, value) in [
        ("/hooks", json!(null)),
        ("/domainname", json!("")),
        ("/windows", json!({})),
        ("/process/user", json!(null)),
        ("/process/apparmorProfile", json!("")),
        ("/process/execCPUAffinity/initial", json!(" ")),
        ("/linux/namespaces/1/path", json!("")),
        ("/linux/resources/pids", json!({"limit": null})),
        ("/linux/resources/devices/0/type", json!("")),
        ("/linux/resources/memory/swappiness", json!(u64::MAX)),
        ("/linux/rootfsPropagation", json!("")),
        ("/linux/seccomp", json!(null)),
    ] {
        set(&mut document, pointer, value);
    }
    let LoadedSpec { spec, warnings, .. } = load(&document).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(spec.process.user.uid, 0);
    let resources = spec.linux.resources;
    assert_eq!(resources.pids.limit, None, "an unset limit is not a limit of 0");
    assert_eq!(resources.memory.swappiness, None);
}

#[test]
fn a_configuration_of_podman_passes() {
    let text = include_bytes!("fixtures/podman.json");
    let loaded = LoadedSpec::from_slice(text).unwrap();
    assert_eq!(loaded.warnings, []);
}
