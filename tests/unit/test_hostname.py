"""Which names mean the machine itself, by what it is called and by its own two files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ocinet.base.hostname import names_of_host


@pytest.fixture(name="etc")
def _etc(tmp_path: Path) -> str:
    hosts = "127.0.0.1 localhost db api\n127.0.1.1\tRock.Example rock  # rock.comment\n"
    (tmp_path / "hosts").write_text(f"{hosts}10.1.2.3 nas rocket.example\n")
    (tmp_path / "resolv.conf").write_text("search corp.test. lan.test\nnameserver 192.0.2.1\n")
    return str(tmp_path)


@pytest.mark.parametrize("name", ["rock", "rock.example", "rock.corp.test", "rock.lan.test"])
def test_host_is_called_by_its_name_and_by_that_with_a_domain(etc: str, name: str) -> None:
    """As it stands in /etc/hosts, or comes of the search list; in whatever case it calls itself."""
    assert names_of_host((name, "web"), "ROCK", etc) == (name,)


@pytest.mark.parametrize(
    "name", ["db", "api", "nas", "rocket.example", "rock.elsewhere", "rock.comment", "example"]
)
def test_what_else_the_hosts_file_has_is_free(etc: str, name: str) -> None:
    """A developer's db at 127.0.0.1 leads to the very container."""
    assert names_of_host((name,), "rock", etc) == ()


def test_hosts_file_is_read_to_its_end_and_a_pipe_holds_nobody_up(etc: str) -> None:
    """As where it has a list of whom the host is kept from; nobody writes to the pipe."""
    hosts = Path(etc) / "hosts"
    blocked = "".join(f"0.0.0.0 ad{number}.example\n" for number in range(9000))
    hosts.write_text(f"{blocked}127.0.1.1 rock.far\n")
    assert names_of_host(("rock.far",), "rock", etc) == ("rock.far",)
    hosts.unlink()
    os.mkfifo(hosts)
    assert names_of_host(("rock.far", "rock.corp.test"), "rock", etc) == ("rock.corp.test",)


def test_host_that_calls_itself_by_a_whole_name_has_both(etc: str) -> None:
    """And no file is needed for it."""
    names = ("rock.far.example", "rock", "rock.other")
    assert names_of_host(names, "rock.far.example.", f"{etc}/gone") == names[:2]
