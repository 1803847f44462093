"""Where the watcher may be looked at: on this machine alone."""

from __future__ import annotations

import pytest

from ocinet.base.errors import RequestError
from ocinet.engine.model.loopback import LoopbackPlace


@pytest.mark.parametrize(
    ("text", "shown", "host"),
    [
        ("127.0.0.1:4900", "127.0.0.1:4900", "127.0.0.1"),
        ("127.9.9.9:0", "127.9.9.9:0", "127.9.9.9"),
        ("[::1]:65535", "[::1]:65535", "[::1]"),
        ("localhost:80", "127.0.0.1:80", "127.0.0.1"),
    ],
)
def test_place_of_this_machine_is_taken(text: str, shown: str, host: str) -> None:
    """Any loopback address of either family, and the name that all know."""
    place = LoopbackPlace.parse(text)
    assert (str(place), place.host) == (shown, host)
    assert LoopbackPlace.parse(str(place)) == place


@pytest.mark.parametrize(
    "text",
    ["0.0.0.0:4900", "10.0.0.5:4900", "[::]:4900", "[fe80::1]:4900", "[::ffff:127.0.0.1]:4900",
     ":4900", "host.example:4900", "localhost.:4900", "128.0.0.1:4900"],
)  # fmt: skip
def test_place_that_others_reach_is_refused_with_the_way_there_is(text: str) -> None:
    """A page of root's is no server: who sits elsewhere comes by ssh, and is told how."""
    with pytest.raises(RequestError, match="is not of this machine alone") as caught:
        LoopbackPlace.parse(text)
    assert "ssh -L 4900:127.0.0.1:4900 " in caught.value.hint


@pytest.mark.parametrize(
    "text", ["", "4900", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536",
             "127.0.0.1:-1", "[::1]:" + "9" * 5000,
             "127.0.0.1:٤٩٠٠", "::1:4900", "[127.0.0.1]:4900"],
)  # fmt: skip
def test_text_that_is_no_place_is_refused_with_the_form(text: str) -> None:
    """What was meant can't be told; what would be taken is."""
    with pytest.raises(RequestError, match="is no address with a port") as caught:
        LoopbackPlace.parse(text)
    assert "127.0.0.1:PORT" in caught.value.hint
