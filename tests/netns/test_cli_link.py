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


def say(*words: str) -> tuple[int, str]:
    """Run `ocinet link …` where no engine knows anybody; return its status and what it printed."""
    told = io.StringIO()
    streams = Streams(io.StringIO(), told, told)
    nobody: Callable[[str, str], tuple[EngineContainer, ...]] = lambda _name, _engine: ()  # noqa: E731
    console = Console(ENVIRONMENT, streams=streams, look_up=nobody, is_root=True)
    return main(["link", *words], console), told.getvalue()


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
        assert all(line.split()[0] in ("ip", "nsenter") for line in told.splitlines())
        assert say("ls", "-q") == (0, "")
