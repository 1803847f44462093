"""Containers that were left few rights have the network that others have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hosts.engine.hooked_podman import install, keys
from hosts.engine.runtimes import each_runtime
from hosts.lab.machine import LAB_V4

if TYPE_CHECKING:
    from hosts.lab.machine import Lab

HARDENED = ("--cap-drop=ALL", "--security-opt=no-new-privileges", "--read-only", "--user=65534")


@each_runtime
def test_run_hardened_container_is_wired_as_any_other(lab: Lab, runtime: str) -> None:
    """The hook acts with the engine's rights, not with the container's."""
    lab.make_network("lan", "10.9.0.0/24")
    podman = install(lab, runtime)

    web = podman.run("--name=web", *HARDENED, *keys(net="lan", publish="8080:80"))
    web.namespace.serve("tcp", 80)

    assert web.address() == lab.records()["web"]["endpoints"][0]["addresses"][0].partition("/")[0]
    assert lab.outside.ask("tcp", LAB_V4, 8080).server == web.id[:12]
    assert "eth0" in web.exec("ip", "route").stdout
    web.remove()
    assert len(lab.events("detached")) == 1
