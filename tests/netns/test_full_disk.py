"""A full /run: who is there can go, and gives back all that it had."""

from __future__ import annotations

from pathlib import Path

from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import run
from hosts.namespace.wired_host import PATHS
from ocinet.base.address import Address
from ocinet.engine.kernel.served_files import ServedFiles
from ocinet.engine.model.served import ServedContainer, ServedNetwork


@in_namespaces
def test_names_of_who_leaves_are_taken_out_on_a_full_disk() -> None:
    """The file gets shorter, so there is room for it: no detach fails by that, and keeps all."""
    Path(PATHS.run).mkdir(exist_ok=True)
    run(f"mount -t tmpfs -o size=64k,mode=700 tmpfs {PATHS.run}")
    lan = ServedNetwork("lan", (Address.parse("10.9.0.1"),))
    files = ServedFiles(PATHS, None)
    for name, address in (("db", "10.9.0.2"), ("web", "10.9.0.3")):
        with files.lock():
            assert files.enter(lan, ServedContainer(name, (Address.parse(address),), (name,)))
    run("sh", "-c", f"cat /dev/zero > {PATHS.run}/fill 2>/dev/null || true")
    with files.lock():
        assert files.leave("lan", "web")
    [text] = files.texts().values()
    assert "10.9.0.2" in text
    assert "web" not in text
