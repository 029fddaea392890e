//! `/linux/netDevices`: devices lent to a container and taken back.
//!
//! A network namespace of the test stands for the host's; the machine's own devices stay untouched.

use std::fs;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Background, Bundle, Cmd, Container, Context, Result, Suite, Test, Verdict, check, check_eq,
    check_has, eventually, need, tests,
};
use serde_json::{Value, json};

use crate::crash::{kill_after, moments};

pub fn add_to(suite: Suite) -> Suite {
    suite.group("network", TESTS)
}

const TESTS: &[Test] = tests![
    devices_move_in_with_their_addresses,
    devices_come_back_however_the_container_ends,
    devices_come_back_from_a_joined_namespace,
    a_joined_namespace_is_not_the_hosts,
    a_creation_that_fails_returns_them,
    a_device_is_lent_once,
    a_template_finds_a_free_name,
    a_device_that_is_gone_is_told_of,
    a_name_that_is_taken_is_told_of,
    a_device_that_was_exchanged_stays_down,
    a_killed_runtime_loses_none,
];

/// A network namespace in the place of the host's.
struct Lab {
    holder: Background,
    namespace: String,
}

impl Lab {
    /// One with the devices `c0`, which is up and has addresses, and `c1`, which is down and has none.
    fn new() -> Result<Self> {
        let lab = Self::empty()?;
        for script in [
            "link add c0 type veth peer name p0",
            "link add c1 type veth peer name p1",
            "address add 10.9.0.2/24 broadcast + dev c0",
            "address add 10.8.0.1 peer 10.8.0.2/31 dev c0 metric 7 noprefixroute",
            "address add fd00:9::2/64 nodad dev c0",
            "address add 10.7.0.1/24 scope link dev c0",
            "address add 10.6.0.1/24 valid_lft 900 preferred_lft 900 dev c0",
            "link set c0 up",
        ] {
            lab.ip(script)?;
        }
        Ok(lab)
    }

    fn empty() -> Result<Self> {
        let own = fs::read_link("/proc/self/ns/net")?;
        let holder = Cmd::new("unshare").args(["--net", "sleep", "1000"]).spawn()?;
        let namespace = format!("/proc/{}/ns/net", holder.pid());
        eventually(
            "a network namespace",
            || Ok((fs::read_link(&namespace)? != own).then_some(())),
        )?;
        Ok(Self { holder, namespace })
    }

    fn through(&self, command: Cmd) -> Cmd {
        command.through(["nsenter", &format!("--net={}", self.namespace)])
    }

    fn ip(&self, words: &str) -> Result<()> {
        self.through(Cmd::new("ip").args(words.split(' '))).succeed().map(drop)
    }

    fn create(&self, t: &Context, bundle: &Bundle) -> Result<Container> {
        t.create_by(self.through(t.command()), bundle, &[])
    }

    /// The command that creates a container, and its id.
    fn creation(&self, t: &Context, bundle: &Bundle) -> Result<(Cmd, String)> {
        bundle.write()?;
        let id = t.id();
        let command = self.through(t.command()).arg("create").arg("--bundle");
        Ok((command.arg(bundle.directory()).arg(&id), id))
    }

    fn devices(&self) -> Result<Vec<String>> {
        devices(&self.namespace)
    }

    /// All is as `new` left it.
    fn is_whole(&self) -> Result<()> {
        check_eq!(device(&self.namespace, "c0")?, C0);
        check_eq!(device(&self.namespace, "c1")?, "down");
        Ok(())
    }

    fn close(self) -> Result<()> {
        self.holder.kill()
    }
}

/// What [`device`] says of `c0`.
const C0: &str = "up 10.8.0.1-10.8.0.2/31 metric 7 noprefixroute, 10.9.0.2/24 brd 10.9.0.255, \
                  fd00:9::2/64 nodad";

/// The names of a namespace's devices, in order, but for those that hang on to others.
fn devices(namespace: &str) -> Result<Vec<String>> {
    let links = json_of(namespace, &["link"])?;
    let names = links.as_array().into_iter().flatten().filter_map(|link| link["ifname"].as_str());
    let mut names: Vec<_> = names.filter(|name| *name != "lo").map(str::to_owned).collect();
    names.retain(|name| !name.starts_with('p'));
    names.sort();
    Ok(names)
}

fn json_of(namespace: &str, words: &[&str]) -> Result<Value> {
    let net = format!("--net={namespace}");
    let command = Cmd::new("ip").arg("-json").args(words).through(["nsenter", &net]);
    command.succeed()?.json()
}

/// Whether a device is up, and its permanent global addresses.
fn device(namespace: &str, name: &str) -> Result<String> {
    let found = json_of(namespace, &["address", "show", "dev", name])?;
    let found = &found[0];
    let up = found["flags"].as_array().is_some_and(|flags| flags.contains(&json!("UP")));
    let mut addresses: Vec<_> = found["addr_info"].as_array().into_iter().flatten().collect();
    addresses.retain(|it| it["scope"] == "global" && it["dynamic"].is_null());
    let text = |it: &Value, key: &str, before: &str| match &it[key] {
        Value::Null => String::new(),
        Value::Bool(_) => format!(" {key}"),
        value => format!("{before}{}", value.to_string().trim_matches('"')),
    };
    let one = |it: &&Value| {
        let parts = [("local", ""), ("address", "-"), ("prefixlen", "/"), ("broadcast", " brd ")];
        let more = [("metric", " metric "), ("noprefixroute", ""), ("nodad", "")];
        parts.iter().chain(&more).map(|(key, before)| text(it, key, before)).collect::<String>()
    };
    let mut addresses: Vec<_> = addresses.iter().map(one).collect();
    addresses.sort();
    let up = if up { "up" } else { "down" };
    Ok(format!("{up} {}", addresses.join(", ")).trim().to_owned())
}

/// The network namespace of a container.
fn inside(container: &Container) -> Result<String> {
    Ok(format!("/proc/{}/ns/net", container.pid()?))
}

/// A container that has `c0` as `lan0`, and `c1`.
fn borrower(t: &Context) -> Result<Bundle> {
    let devices = json!({"c0": {"name": "lan0"}, "c1": {}});
    Ok(t.bundle()?.set("/linux/netDevices", devices).idle())
}

fn devices_move_in_with_their_addresses(t: &mut Context) -> Result<Verdict> {
    need!(
        t.is_coracle() && t.host().is_root(),
        "only root moves devices, and others do not return them"
    );
    let lab = Lab::new()?;
    // A kernel parameter of the device: it must be there when these are set.
    let bundle = borrower(t)?.set("/linux/sysctl/net.ipv4.conf.lan0.log_martians", "1");
    let container = lab.create(t, &bundle)?;
    check_eq!(lab.devices()?, [""; 0]);
    let net = inside(&container)?;
    check_eq!(devices(&net)?, ["c1", "lan0"]);
    check_eq!(device(&net, "lan0")?, C0);
    check_eq!(device(&net, "c1")?, "up");
    container.delete()?;
    lab.is_whole()?;
    lab.close()?;
    Ok(Passed)
}

fn devices_come_back_however_the_container_ends(t: &mut Context) -> Result<Verdict> {
    need!(
        t.is_coracle() && t.host().is_root(),
        "only root moves devices, and others do not return them"
    );
    let lab = Lab::new()?;
    let ends: [fn(&Container) -> Result<()>; 4] = [
        |container| container.delete().map(drop),
        |container| container.delete_forcibly().map(drop),
        |container| container.start().and_then(|_| container.delete_forcibly()).map(drop),
        |container| {
            container.start()?;
            container.kill("KILL")?;
            container.wait_until_stopped()?;
            container.delete().map(drop)
        },
    ];
    for end in ends {
        end(&lab.create(t, &borrower(t)?)?)?;
        lab.is_whole()?;
    }
    // A record that nobody can read any more.
    let container = lab.create(t, &borrower(t)?)?;
    fs::write(t.store().join(container.id()).join("state.json"), "{")?;
    container.delete_forcibly()?;
    lab.is_whole()?;
    lab.through(t.run_with(&borrower(t)?.args(&["true"]), &[])?).succeed()?;
    lab.is_whole()?;
    lab.close()?;
    Ok(Passed)
}

fn devices_come_back_from_a_joined_namespace(t: &mut Context) -> Result<Verdict> {
    need!(
        t.is_coracle() && t.host().is_root(),
        "only root moves devices, and others do not return them"
    );
    let (lab, shared) = (Lab::new()?, Lab::empty()?);
    // There it has the number of another one.
    shared.ip("link add c1 type veth peer name p9")?;
    let bundle = borrower(t)?.namespace("network", Some(&shared.namespace));
    let bundle = bundle.set("/linux/netDevices", json!({"c0": {"name": "lan0"}}));
    let container = lab.create(t, &bundle)?;
    check_eq!(lab.devices()?, ["c1"]);
    check_eq!(shared.devices()?, ["c1", "lan0"]);
    check_eq!(device(&shared.namespace, "lan0")?, C0);
    // One that is taken there is not touched, and the first goes back where it was.
    let taken = bundle.set("/linux/netDevices", json!({"c1": {"name": "lan0"}}));
    let (create, _) = lab.creation(t, &taken)?;
    create.run()?.refused(&["/linux/netDevices/c1", "lan0 already"])?;
    container.delete()?;
    lab.is_whole()?;
    check_eq!(shared.devices()?, ["c1"]);
    let both = taken.set("/linux/netDevices", json!({"c0": {"name": "x"}, "c1": {}}));
    let (create, _) = lab.creation(t, &both)?;
    create.run()?.refused(&["/linux/netDevices/c1", "c1 already"])?;
    lab.is_whole()?;
    check_eq!(shared.devices()?, ["c1"]);
    lab.close()?;
    shared.close()?;
    Ok(Passed)
}

fn a_joined_namespace_is_not_the_hosts(t: &mut Context) -> Result<Verdict> {
    need!(
        t.is_coracle() && t.host().is_root(),
        "only root moves devices, and others do not return them"
    );
    let lab = Lab::new()?;
    let bundle = borrower(t)?.namespace("network", Some(&lab.namespace));
    let (create, _) = lab.creation(t, &bundle)?;
    create.run()?.refused(&["/linux/netDevices/c0", "is the host's"])?;
    let (create, _) = lab.creation(t, &borrower(t)?.without_namespace("network"))?;
    create.run()?.refused(&["/linux/netDevices", "needs a network namespace"])?;
    lab.is_whole()?;
    lab.close()?;
    Ok(Passed)
}

fn a_creation_that_fails_returns_them(t: &mut Context) -> Result<Verdict> {
    need!(
        t.is_coracle() && t.host().is_root(),
        "only root moves devices, and others do not return them"
    );
    let lab = Lab::new()?;
    let failing = json!([{"path": "/bin/false"}]);
    for (bundle, words) in [
        (borrower(t)?.set("/hooks/createRuntime", failing.clone()), ["createRuntime", ""]),
        (borrower(t)?.set("/hooks/createContainer", failing), ["createContainer", ""]),
        (borrower(t)?.set("/linux/sysctl/net.ipv4.conf.c9.arp_filter", "1"), ["sysctl", "c9"]),
        (borrower(t)?.set("/linux/netDevices/c9", json!({})), ["/linux/netDevices/c9", "no such"]),
    ] {
        let (create, id) = lab.creation(t, &bundle)?;
        create.run()?.refused(&words)?;
        lab.is_whole()?;
        check!(!t.store().join(id).exists());
    }
    lab.close()?;
    Ok(Passed)
}

fn a_device_is_lent_once(t: &mut Context) -> Result<Verdict> {
    need!(
        t.is_coracle() && t.host().is_root(),
        "only root moves devices, and others do not return them"
    );
    let lab = Lab::new()?;
    for _ in 0..4 {
        let bundle = borrower(t)?;
        let creations = [lab.creation(t, &bundle)?, lab.creation(t, &bundle)?];
        let mut winners = Vec::new();
        let running = creations.map(|(create, id)| (create.spawn(), id));
        for (create, id) in running {
            let output = create?.wait()?;
            match output.code() {
                0 => winners.push(id),
                _ => output.says(&["/linux/netDevices/c"])?,
            }
        }
        check!(winners.len() <= 1, "{winners:?}");
        for id in winners {
            lab.through(t.command()).args(["delete", &id]).succeed()?;
        }
        lab.is_whole()?;
    }
    lab.close()?;
    Ok(Passed)
}

fn a_template_finds_a_free_name(t: &mut Context) -> Result<Verdict> {
    need!(
        t.is_coracle() && t.host().is_root(),
        "only root moves devices, and others do not return them"
    );
    let lab = Lab::new()?;
    let devices_of = json!({"c0": {"name": "eth%d"}, "c1": {"name": "eth%d"}});
    let container = lab.create(t, &borrower(t)?.set("/linux/netDevices", devices_of))?;
    let net = inside(&container)?;
    check_eq!(devices(&net)?, ["eth0", "eth1"]);
    check_eq!(device(&net, "eth0")?, C0);
    container.delete()?;
    lab.is_whole()?;
    lab.close()?;
    Ok(Passed)
}

fn a_device_that_is_gone_is_told_of(t: &mut Context) -> Result<Verdict> {
    need!(
        t.is_coracle() && t.host().is_root(),
        "only root moves devices, and others do not return them"
    );
    let lab = Lab::new()?;
    let container = lab.create(t, &borrower(t)?)?;
    let net = format!("--net={}", inside(&container)?);
    let delete = Cmd::new("ip").args(["link", "delete", "c1"]);
    delete.through(["nsenter", &net]).succeed()?;
    let deleted = container.delete()?;
    check_has!(deleted.stderr, "network device c1 is lost");
    check_eq!(lab.devices()?, ["c0"]);
    check_eq!(device(&lab.namespace, "c0")?, C0);
    lab.close()?;
    Ok(Passed)
}

fn a_name_that_is_taken_is_told_of(t: &mut Context) -> Result<Verdict> {
    need!(
        t.is_coracle() && t.host().is_root(),
        "only root moves devices, and others do not return them"
    );
    let lab = Lab::new()?;
    let container = lab.create(t, &borrower(t)?)?;
    lab.ip("link add c0 type veth peer name p7")?;
    let deleted = container.delete()?;
    check_has!(deleted.stderr, "network device c0 is back as dev0");
    check_eq!(lab.devices()?, ["c0", "c1", "dev0"]);
    for name in ["c0", "dev0"] {
        check_eq!(device(&lab.namespace, name)?, "down");
    }
    lab.close()?;
    Ok(Passed)
}

/// Who may change devices in the container could have the host send its packets elsewhere.
fn a_device_that_was_exchanged_stays_down(t: &mut Context) -> Result<Verdict> {
    need!(
        t.is_coracle() && t.host().is_root(),
        "only root moves devices, and others do not return them"
    );
    let (lab, elsewhere) = (Lab::new()?, Lab::empty()?);
    let container = lab.create(t, &borrower(t)?)?;
    let net = inside(&container)?;
    let found = json_of(&net, &["link", "show", "dev", "lan0"])?;
    let (index, mac) = (found[0]["ifindex"].to_string(), &found[0]["address"]);
    let script = format!(
        "ip link delete lan0; ip link add lan0 index {index} address {mac} type veth peer name q0
        ip link set q0 netns {}",
        elsewhere.holder.pid()
    );
    Cmd::new("sh")
        .args(["-ec", &script])
        .through(["nsenter", &format!("--net={net}")])
        .succeed()?;
    let deleted = container.delete()?;
    check_has!(deleted.stderr, "network device c0 is back, down and without addresses");
    check_eq!(device(&lab.namespace, "c0")?, "down");
    elsewhere.close()?;
    lab.close()?;
    Ok(Passed)
}

fn a_killed_runtime_loses_none(t: &mut Context) -> Result<Verdict> {
    need!(
        t.is_coracle() && t.host().is_root(),
        "only root moves devices, and others do not return them"
    );
    let lab = Lab::new()?;
    let bundle = borrower(t)?;
    for moment in moments() {
        let (create, id) = lab.creation(t, &bundle)?;
        kill_after(create.spawn()?, moment)?;
        lab.through(t.command()).args(["delete", "--force", &id]).succeed()?;
        lab.is_whole()?;
    }
    for moment in moments() {
        let container = lab.create(t, &bundle)?;
        kill_after(container.command("delete", &["--force"]).spawn()?, moment / 2)?;
        container.delete_forcibly()?;
        lab.is_whole()?;
    }
    lab.close()?;
    Ok(Passed)
}
