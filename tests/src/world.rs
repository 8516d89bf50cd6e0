//! A shop and a server in networks of their own with a router between them, where packets can be lost without a word.
//!
//! ```text
//!   display: the namespace «shop»          router: «way»               the test itself, and its servers
//!   10.99.1.2, 2001:db8:1::2  ──────  10.99.1.1 · 10.99.2.1  ──────  10.99.2.2, 2001:db8:2::2
//! ```
//!
//! Making networks is for root, or for whoever the kernel lets be root in a *user namespace*: most systems do.

use std::net::Ipv6Addr;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use tillbell_fake_lnbits::Options;

use crate::process::Running;
use crate::{Fake, PairedShop, Profile};

/// Set for the process that runs in the world.
const INSIDE: &str = "TILLBELL_TEST_WORLD";
/// How long a test may take there.
const PATIENCE: Duration = Duration::from_secs(240);
/// The namespace that the display is in.
const SHOP: &str = "shop";

/// `/run` is made anew: for the namespaces' names, and so that no daemon answers for names behind our back.
const LAY_OUT: &str = "
set -e
mount -t tmpfs tmpfs /run
mkdir /run/netns
ip link set lo up
ip netns add way
ip netns add shop
ip -n way link set lo up
ip -n shop link set lo up
# An address counts at once, not after a second of asking whether somebody else has it.
for network in /proc/self/ns/net /run/netns/way /run/netns/shop; do
    nsenter --net=$network sh -c 'echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad'
done
ip link add to-way type veth peer name to-server netns way
ip -n way link add to-shop type veth peer name to-way netns shop

ip addr add 10.99.2.2/24 dev to-way
ip addr add 2001:db8:2::2/64 dev to-way
ip link set to-way up
ip -n way addr add 10.99.2.1/24 dev to-server
ip -n way addr add 2001:db8:2::1/64 dev to-server
ip -n way link set to-server up
ip -n way addr add 10.99.1.1/24 dev to-shop
ip -n way addr add 2001:db8:1::1/64 dev to-shop
ip -n way link set to-shop up
ip -n shop addr add 10.99.1.2/24 dev to-way
ip -n shop addr add 2001:db8:1::2/64 dev to-way
ip -n shop link set to-way up

nsenter --net=/run/netns/way sh -c '
    echo 1 >/proc/sys/net/ipv4/ip_forward
    echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
ip route add 10.99.1.0/24 via 10.99.2.1
ip route add 2001:db8:1::/64 via 2001:db8:2::1
ip -n shop route add default via 10.99.1.1
ip -n shop route add default via 2001:db8:1::1
";

/// Which packets the router loses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the display to the server, IPv4.
    ToServer,
    /// From the server to the display, IPv4.
    ToShop,
    /// From the display to the server, IPv6.
    ToServer6,
}

impl Way {
    fn arguments(self) -> [&'static str; 3] {
        match self {
            Self::ToServer => ["route", "blackhole", "10.99.2.2/32"],
            Self::ToShop => ["route", "blackhole", "10.99.1.2/32"],
            Self::ToServer6 => ["route", "blackhole", "2001:db8:2::2/128"],
        }
    }
}

/// The networks, for the test that runs in them.
#[derive(Debug)]
pub struct World(());

impl World {
    /// The server's address as the display sees it.
    pub const SERVER: &str = "10.99.2.2";
    /// The same, IPv6.
    pub const SERVER6: &str = "2001:db8:2::2";

    /// A shop whose display is in the shop's network and knows the server as `host`.
    ///
    /// # Errors
    /// When the server does not start or the pairing fails.
    pub fn shop(&self, host: &str) -> anyhow::Result<PairedShop> {
        let server = Fake::with(Options {
            // IPv4 comes in there, too.
            address: Ipv6Addr::UNSPECIFIED.into(),
            ..Options::default()
        })?;
        let url = format!("http://{host}:{}", server.addr().port());
        PairedShop::reached_at(server, &url, Profile::new()?.on_network(SHOP))
    }

    /// From now on the router drops what goes this way. Nobody is told: no reset, no ICMP.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn lose(&self, way: Way) -> anyhow::Result<()> {
        let [route, kind, to] = way.arguments();
        run(Command::new("ip").args(["-n", "way", route, "add", kind, to]))
    }

    /// The router passes on again what goes this way.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn mend(&self, way: Way) -> anyhow::Result<()> {
        let [route, kind, to] = way.arguments();
        run(Command::new("ip").args(["-n", "way", route, "del", kind, to]))
    }

    /// Names that the display knows by itself: `/etc/hosts`. And whom it asks for others.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn names(&self, hosts: &str, name_server: Option<&str>) -> anyhow::Result<()> {
        let resolv = name_server.map_or_else(String::new, |address| format!("nameserver {address}\n"));
        for (file, text) in [
            ("hosts", hosts),
            ("resolv.conf", &resolv),
            ("nsswitch.conf", "hosts: files dns\n"),
        ] {
            let own = format!("/run/{file}");
            std::fs::write(&own, text)?;
            run(Command::new("mount").args(["--bind", &own, &format!("/etc/{file}")]))?;
        }
        Ok(())
    }
}

/// Runs `body` in a world of its own: this test program starts itself once more there, for the test called `name`.
///
/// # Errors
/// With the body's own error; or when this system does not let us make networks, with what to do about that.
pub fn in_a_world_of_its_own(
    name: &str,
    body: impl FnOnce(&World) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if std::env::var_os(INSIDE).is_some() {
        run(Command::new("sh").args(["-c", LAY_OUT])).context("the networks cannot be laid out")?;
        return body(&World(()));
    }
    run(elsewhere()?.args(["ip", "link", "set", "lo", "up"])).context(
        "This test makes networks of its own and this system does not let it. Run it as root, or let users have \
         user namespaces (Ubuntu: sysctl kernel.apparmor_restrict_unprivileged_userns=0; Debian: sysctl \
         kernel.unprivileged_userns_clone=1; a container: --privileged). It needs iproute2 and util-linux.",
    )?;
    let mut command = elsewhere()?;
    // Named here and not before `unshare`, whose new rights would undo it.
    command.args(["setpriv", "--pdeathsig", "KILL", "--"]);
    command
        .arg(std::env::current_exe()?)
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1");
    let mut inside = Running::start(name, command)?;
    let ended = inside.wait(PATIENCE);
    let said = format!("{}\n{}", inside.stdout(), inside.stderr());
    let well = ended.with_context(|| said.clone())?.success();
    // Had nothing of that name been found, that would have been a success, too.
    anyhow::ensure!(well && said.contains("test result: ok. 1 passed"), "{said}");
    Ok(())
}

/// A command that is run in new networks.
fn elsewhere() -> anyhow::Result<Command> {
    let mut command = Command::new("unshare");
    let root = Command::new("id").arg("-u").output()?.stdout.starts_with(b"0\n");
    if !root {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--net", "--mount", "--"]);
    Ok(command)
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let done = command
        .output()
        .with_context(|| format!("{command:?} cannot be started"))?;
    anyhow::ensure!(
        done.status.success(),
        "{command:?}: {}\n{}",
        done.status,
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(())
}
