//! The flags.

use super::Flag;

const fn switch(long: &'static str, short: Option<char>, about: &'static str) -> Flag {
    Flag { long, short, value: None, about }
}

const fn valued(
    long: &'static str,
    short: Option<char>,
    value: &'static str,
    about: &'static str,
) -> Flag {
    Flag { long, short, value: Some(value), about }
}

const HELP: Flag = switch("help", Some('h'), "print this text");

const BUNDLE: Flag =
    valued("bundle", Some('b'), "DIR", "the bundle; the current directory if not given");
const CONFIG: Flag =
    valued("config", Some('f'), "FILE", "a configuration other than the bundle's config.json");
const CONSOLE_SOCKET: Flag =
    valued("console-socket", None, "PATH", "a Unix socket that receives the container's terminal");
const PIDFD_SOCKET: Flag = valued(
    "pidfd-socket",
    None,
    "PATH",
    "a Unix socket that receives a pidfd of the first process",
);
const PID_FILE: Flag =
    valued("pid-file", None, "FILE", "a file to write the first process's number to");
const NO_PIVOT: Flag = switch(
    "no-pivot",
    None,
    "change the root of the process only, on hosts whose root is a ramdisk",
);
const NO_NEW_KEYRING: Flag = switch("no-new-keyring", None, "stay in the caller's session keyring");
const FORMAT: Flag =
    valued("format", Some('f'), "table|json", "how to print it; as a table if not given");
const PRESERVE_FDS: Flag =
    valued("preserve-fds", None, "N", "pass on N descriptors from number 3 on");

/// The flags before the command.
pub const GLOBALS: &[Flag] = &[
    valued(
        "root",
        None,
        "DIR",
        "where containers are recorded; /run/coracle or $XDG_RUNTIME_DIR/coracle",
    ),
    valued("log", None, "FILE", "append messages to a file"),
    valued("log-format", None, "text|json", "how messages are logged; as text if not given"),
    switch("debug", None, "log more than that"),
    switch(
        "systemd-cgroup",
        None,
        "have systemd make cgroups, as units: cgroupsPath is slice:prefix:name",
    ),
    valued(
        "rootless",
        None,
        "true|false|auto",
        "go without limits that the caller may not set; if not root if not given",
    ),
    switch("version", Some('v'), "print the version"),
    HELP,
];

pub const RUN: &[Flag] = &[
    BUNDLE,
    CONFIG,
    switch("detach", Some('d'), "do not wait for the container's end"),
    switch("keep", None, "do not delete the container when it ends"),
    switch(
        "no-subreaper",
        None,
        "do not become the parent of processes that the container orphans",
    ),
    CONSOLE_SOCKET,
    PIDFD_SOCKET,
    PID_FILE,
    NO_PIVOT,
    NO_NEW_KEYRING,
    PRESERVE_FDS,
    valued(
        "seccomp-record",
        None,
        "FILE",
        "let pass what the seccomp filter denies, and write what that was; weakens the container",
    ),
    HELP,
];

pub const CREATE: &[Flag] = &[
    BUNDLE,
    CONFIG,
    CONSOLE_SOCKET,
    PIDFD_SOCKET,
    PID_FILE,
    NO_PIVOT,
    NO_NEW_KEYRING,
    PRESERVE_FDS,
    HELP,
];

pub const EXEC: &[Flag] = &[
    valued("cwd", None, "DIR", "where to start, in the container"),
    valued("env", Some('e'), "NAME=VALUE", "add a variable to the environment; repeatable"),
    switch("tty", Some('t'), "give the process a terminal of the container's"),
    valued("user", Some('u'), "UID[:GID]", "the user, by number"),
    valued("additional-gids", Some('g'), "GID", "add a supplementary group; repeatable"),
    valued("process", Some('p'), "FILE", "a JSON file that describes the process"),
    switch("detach", Some('d'), "do not wait for the end of the process"),
    CONSOLE_SOCKET,
    PIDFD_SOCKET,
    PID_FILE,
    valued("process-label", None, "LABEL", "the SELinux label"),
    valued("apparmor", None, "PROFILE", "the AppArmor profile"),
    switch("no-new-privs", None, "execve(2) never gives the process more rights"),
    valued("cap", Some('c'), "CAP", "add a capability, as CAP_KILL; repeatable"),
    PRESERVE_FDS,
    valued(
        "cgroup",
        None,
        "PATH",
        "a cgroup below the container's; on v1 as CONTROLLER[,..]:PATH, repeatable",
    ),
    switch("ignore-paused", None, "in a paused container, wait until it is resumed"),
    HELP,
];

pub const UPDATE: &[Flag] = &[
    valued("resources", Some('r'), "FILE", "a JSON file with limits; - is standard input"),
    valued("blkio-weight", None, "N", "the weight of block devices, 10 to 1000"),
    valued("cpu-period", None, "USEC", "the period of the CPU quota, in microseconds"),
    valued(
        "cpu-quota",
        None,
        "USEC",
        "the CPU time in each period, in microseconds; -1 for no limit",
    ),
    valued("cpu-burst", None, "USEC", "the unused quota that may be saved up, in microseconds"),
    valued("cpu-share", None, "N", "the CPU shares, 2 to 262144"),
    valued("cpu-idle", None, "0|1", "run only when nothing else wants to"),
    valued("cpu-rt-period", None, "USEC", "the real-time period, in microseconds; v1 only"),
    valued("cpu-rt-runtime", None, "USEC", "the real-time runtime in each period; v1 only"),
    valued("cpuset-cpus", None, "LIST", "the processors, as 0-3,7"),
    valued("cpuset-mems", None, "LIST", "the memory nodes, as 0,1"),
    valued("kernel-memory", None, "BYTES", "has no effect: kernel memory counts as memory"),
    valued("kernel-memory-tcp", None, "BYTES", "has no effect: it counts as memory"),
    valued("memory", None, "BYTES", "the limit of memory, as 512M; -1 for no limit"),
    valued("memory-reservation", None, "BYTES", "the memory that the kernel tries to leave it"),
    valued("memory-swap", None, "BYTES", "the limit of memory and swap together; -1 for no limit"),
    valued("pids-limit", None, "N", "the most processes and threads; -1 for no limit"),
    valued("unified", None, "FILE=VALUE", "a file of the v2 cgroup and what to write; repeatable"),
    valued("l3-cache-schema", None, "SCHEMA", "the share of the L3 cache (Intel RDT)"),
    valued("mem-bw-schema", None, "SCHEMA", "the share of the memory bandwidth (Intel RDT)"),
    HELP,
];

pub const START: &[Flag] = &[HELP];

pub const STATE: &[Flag] = &[HELP];

/// As crun has it.
const REGEX: Flag = switch(
    "regex",
    Some('r'),
    "take ID as a regular expression: all containers whose ids it matches",
);

pub const KILL: &[Flag] =
    &[switch("all", Some('a'), "accept a container that has ended already"), REGEX, HELP];

pub const DELETE: &[Flag] = &[
    switch("force", Some('f'), "kill it first if it runs; one that does not exist is no error"),
    REGEX,
    HELP,
];

pub const LIST: &[Flag] = &[FORMAT, switch("quiet", Some('q'), "print ids only"), HELP];

pub const PAUSE: &[Flag] = &[HELP];

pub const RESUME: &[Flag] = &[HELP];

pub const PS: &[Flag] = &[FORMAT, HELP];

pub const STATS: &[Flag] = &[
    valued("interval", None, "TIME", "between two looks, as 500ms; 1s if not given"),
    switch("no-stream", None, "print one table, after that time, and end"),
    HELP,
];

pub const EVENTS: &[Flag] = &[
    valued("interval", None, "TIME", "between two measurements, as 1m30s; 5s if not given"),
    switch("stats", None, "measure once and end"),
    HELP,
];

pub const SPEC: &[Flag] = &[
    valued(
        "bundle",
        Some('b'),
        "DIR",
        "where to write config.json; the current directory if not given",
    ),
    switch("rootless", None, "write one that an ordinary user can run"),
    HELP,
];

pub const FEATURES: &[Flag] = &[HELP];

pub const MOUNTS: &[Flag] = &[HELP];

pub const SECCOMP: &[Flag] = &[
    valued(
        "cap",
        Some('c'),
        "CAP",
        "decide rules for a container with this capability; repeatable",
    ),
    valued("format", Some('f'), "text|json", "how to print it; as text if not given"),
    HELP,
];

pub const RECVTTY: &[Flag] = &[
    valued(
        "mode",
        Some('m'),
        "single|null",
        "show one terminal, or read any number of them for nobody; single if not given",
    ),
    switch("no-stdin", None, "do not pass on what is typed here"),
    valued("pid-file", None, "FILE", "a file with the number of this process, while it listens"),
    HELP,
];

pub const COMPLETION: &[Flag] = &[HELP];

pub const MAN: &[Flag] =
    &[valued("output", Some('o'), "DIR", "write the page, or all of them, into a directory"), HELP];
