"""The commands of links between two containers, as they are typed."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest

from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import run
from hosts.namespace.wired_host import PATHS, WiredHost
from ocinet.cli.console import Console, Streams
from ocinet.cli.main import main
from ocinet.engine.model.request import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocinet.cli.engine_names import EngineContainer

NONE = Request("none")
ENVIRONMENT = {
    "OCINET_CONFIG_DIR": PATHS.config,
    "OCINET_STATE_DIR": PATHS.state,
    "OCINET_RUN_DIR": PATHS.run,
}


def say(*words: str, command: str = "link") -> tuple[int, str]:
    """Run `ocinet link …` where no engine knows anybody; return its status and what it printed."""
    told = io.StringIO()
    streams = Streams(io.StringIO(), told, told)
    nobody: Callable[[str, str], tuple[EngineContainer, ...]] = lambda _name, _engine: ()  # noqa: E731
    console = Console(ENVIRONMENT, streams=streams, look_up=nobody, is_root=True)
    return main([command, *words], console), told.getvalue()


@in_namespaces
def test_link_is_added_listed_inspected_and_removed() -> None:
    """In words, in JSON and by templates; also where one of the two has yet to come."""
    with WiredHost() as host:
        host.up("web", NONE)
        status, told = say("add", "web", "db", "--ip", "web=10.7.0.1", "--ip", "db=10.7.0.2")
        assert (status, told.splitlines()[1]) == (0, "web-db")
        assert "waits: db does not run" in told
        assert say("ls", "-q") == (0, "web-db\n")
        assert say("ls", "--format", "{{.Name}} {{.State}}") == (0, "web-db waiting\n")
        host.up("db", NONE)
        (shown,) = json.loads(say("ls", "--json")[1])
        assert (shown["state"], shown["waits"], shown["flaws"]) == ("up", "", [])
        assert [end["addresses"] for end in shown["ends"]] == [["10.7.0.1/30"], ["10.7.0.2/30"]]
        assert json.loads(say("inspect", "web-db")[1]) == [shown]
        table = say("ls")[1].splitlines()
        assert table[1].split() == [
            "web-db", "web:link0", "10.7.0.1/30", "db:link0", "10.7.0.2/30", "up",
        ]  # fmt: skip
        run("ip link del link0", pid=host.sleepers["db"].pid)
        assert say("inspect", "-f", "{{.State}}", "web-db") == (0, "damaged\n")
        assert say("rm", "web-db") == (0, "web-db\n")
        assert say("ls", "-q") == (0, "")
        assert say("rm", "--force", "web-db") == (0, "")


@pytest.mark.parametrize(
    ("words", "status", "why"),
    [
        ("add web db --ip shop=10.7.0.1", 2, "--ip: 'shop=10.7.0.1' is of neither of the two"),
        ("add web db --ip web=10.7", 2, "'10.7' is no IP address"),
        ("add web db --route web=10.7.0.1/8", 2, "--route"),
        ("add web db --mtu many", 2, "'many' is no MTU"),
        ("add web db --subnet 10.9.0.0/30", 4, "overlaps 10.9.0.0/24 of lan"),
        ("add web web", 2, "can't be linked with itself"),
        ("add web ../x", 2, "is no container"),
        ("add log web", 2, "log shares the sandbox of web"),
        ("rm nothing", 3, "there is no link nothing"),
        ("inspect nothing", 3, "there is no link nothing"),
        ("install", 2, "ocinet links install"),
    ],
)
@in_namespaces
def test_what_can_not_be_is_said_in_a_line(words: str, status: int, why: str) -> None:
    """By the exit status as well; and nothing is defined."""
    with WiredHost() as host:
        host.up("web", NONE)
        host.join("log", "web")
        got, told = say(*words.split())
        assert got == status, told
        assert why in told
        assert say("ls", "-q") == (0, "")


@in_namespaces
def test_dry_run_changes_nothing() -> None:
    """It prints commands alone."""
    with WiredHost() as host:
        host.up("web", NONE)
        status, told = say("add", "web", "db", "--dry-run")
        assert status == 0
        needed, *commands = told.splitlines()
        assert needed.startswith("# needs iproute2")
        assert all(line.split()[0] in ("ip", "nsenter") for line in commands)
        assert say("ls", "-q") == (0, "")


@in_namespaces
def test_plan_is_a_script_for_the_same_link() -> None:
    """Its two ends have by a shell what `link add` gives them; nothing is done until then."""
    with WiredHost() as host:
        for name in ("web", "db"):
            host.up(name, NONE)
        wished = ("web", "db", "--ip", "web=10.7.0.1/30", "--ip", "db=10.7.0.2/30", "--mtu", "1400")
        status, script = say("link", *wished, command="plan")
        assert status == 0
        assert not _ends(host)
        assert say("link", *wished, "--json", command="plan")[1].startswith("[")
        run("sh", "-e", given=script)
        by_hand = _ends(host)
        run("ip link del link0", pid=host.sleepers["web"].pid)
        assert say("add", *wished)[0] == 0
        assert _ends(host) == by_hand
        assert {name: end[:2] for name, end in by_hand.items()} == {
            "web": (1400, ["10.7.0.1/30"]),
            "db": (1400, ["10.7.0.2/30"]),
        }


@in_namespaces
def test_plan_of_what_can_not_be_says_so_as_link_add_does() -> None:
    """And a container that is called link is planned for by its name."""
    with WiredHost() as host:
        host.up("web", NONE)
        assert "can't be linked with itself" in say("link", "web", "web", command="plan")[1]
        host.up("link", NONE)
        assert say("--", "link", command="plan")[0] == 0
        assert "cannot read 'ocinet plan link'" in say("link", command="plan")[1]


def _ends(host: WiredHost) -> dict[str, tuple[int, list[str], str]]:
    """Return MTU, addresses and MAC of each container's end."""
    found = {}
    for name in ("web", "db"):
        for link in json.loads(run("ip -j addr show", pid=host.sleepers[name].pid)):
            if link["ifname"] == "link0":
                own = [f"{each['local']}/{each['prefixlen']}" for each in link["addr_info"]]
                found[name] = link["mtu"], own, link["address"]
    return found
