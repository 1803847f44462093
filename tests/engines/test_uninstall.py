"""`ocinet uninstall`: all that was registered and made is taken back, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from hosts.engine.runtimes import each_runtime

if TYPE_CHECKING:
    from hosts.lab.machine import Lab

LAUNCHER = "/etc/docker/ocinet-runtime"  # the lab has an /etc of its own
DAEMON = '{\n\t"log-level": "warn"\n}\n'
_LOOK = "find /etc -newer /run/begun -type f | xargs -r sha256sum"


def _files(lab: Lab) -> str:
    """Return what is in the lab's /etc and the like since the test has begun."""
    return lab.run("sh", "-c", f"{_LOOK}; ls -d /etc/ocinet /run/ocinet 2>&1; true").stdout


def _register_everywhere(lab: Lab) -> None:
    """Use each door that there is."""
    lab.run("sh", "-c", "mkdir -p /etc/docker && cat > /etc/docker/daemon.json", stdin=DAEMON)
    lab.ocinet("hooks", "install", "--podman", "--always")
    lab.ocinet("hooks", "install", "--cdi")
    lab.ocinet("runtime", "install", "--docker", "--default", "--launcher", LAUNCHER)
    lab.ocinet("links", "install")
    lab.ocinet("firewalld", "install")


@each_runtime
def test_uninstall_takes_back_byte_for_byte_what_each_door_has_put_there(
    lab: Lab, runtime: str
) -> None:
    """With a container attached it is refused; forced, all is as it was."""
    bundle = lab.bundle("web")
    config = Path(bundle.path / "config.json").read_bytes()
    # Without the lab's own settings as well: with what a new machine has, names are served.
    lab.run("sh", "-c", "rm -rf /etc/ocinet /run/ocinet")
    before = lab.snapshot()
    lab.run("sh", "-c", "touch /run/begun; sleep 0.1")
    lab.run("sh", "-c", "mkdir -p /etc/docker && cat > /etc/docker/daemon.json", stdin=DAEMON)
    files = _files(lab)
    _register_everywhere(lab)
    lab.make_network("lan", "10.9.0.0/24", "fd00:9::/64")
    lab.ocinet("hooks", "add", str(bundle.path), "--net", "lan", "-p", "8080:80")
    web = lab.runtime(runtime).run(bundle)

    listed = lab.ocinet("hooks", "ls", "-q").stdout.split()
    assert listed == ["/etc/containers/oci/hooks.d", "/etc/cdi/ocinet.json", str(bundle.path)]
    (found,) = lab.ocinet("runtime", "ls", "--json").json()
    assert (found["place"], found["flaws"]) == (LAUNCHER, [])

    wired = lab.snapshot()
    registered = _files(lab)
    shown = lab.ocinet("uninstall", "--dry-run").stdout
    for word in ("hooks.d", "ocinet-runtime", "web", "lan", "/etc/ocinet", str(bundle.path)):
        assert word in shown
    refused = lab.ocinet("uninstall", check=False)
    assert refused.status == 4
    assert "web is attached" in refused.stderr
    no = lab.ocinet("uninstall", "--dry-run", stdin="n\n", check=False)
    assert no.status == 0
    assert _files(lab) == registered
    lab.assert_unchanged(wired)

    lab.ocinet("uninstall", "--force")
    assert "eth0" not in web.namespace.run("ip", "-br", "link").stdout
    assert Path(bundle.path / "config.json").read_bytes() == config
    assert _files(lab) == files
    assert lab.run("cat", "/etc/docker/daemon.json").stdout == DAEMON
    assert "ocinet" not in lab.run("nft", "list", "tables").stdout
    web.kill()
    web.delete()  # it runs the hook that it was made with, which finds nothing to do
    lab.assert_unchanged(before)


def test_uninstall_with_a_watcher_that_nobody_stops_is_refused(lab: Lab) -> None:
    """It would wire again what is unwired; it says whom to stop."""
    with lab.docker(), lab.watch():
        refused = lab.ocinet("uninstall", "--force", check=False)
        assert refused.status == 4
        assert "the watcher runs: process" in refused.stderr
        assert "kill" in refused.stderr
        assert json.loads(lab.ocinet("status", "--json").stdout)["watcher"]["state"] == "ready"
