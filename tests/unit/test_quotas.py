"""What one container may have of what all live on."""

from __future__ import annotations

import pytest

from builders import on, record, tcp
from ocinet.base.address import Address
from ocinet.base.errors import ExhaustedError
from ocinet.engine.model.attachment import Attachment
from ocinet.engine.model.endpoint import PortRule
from ocinet.engine.model.settings import Settings
from ocinet.engine.plan.wiring import Missing, check_quotas

LIMITS = Settings(max_networks=2, max_addresses=3, max_ports=4)
NOTHING = record(endpoints=(), ports=())


def rules(*ports: int) -> tuple[PortRule, ...]:
    """Return published ports, each with a rule for either family."""
    ends = (Address.parse("10.9.0.2"), Address.parse("fd00::2"))
    return tuple(PortRule("tcp", None, port, end, 80) for port in ports for end in ends)


def lacks(*asked: str, ports: int = 0, addresses: int = 0) -> Missing:
    """Return networks, ports, and addresses on the first one that a container has not got yet."""
    given = tuple(f"10.9.0.{number + 2}" for number in range(addresses))
    wishes = [on(name).endpoints[0] for name in asked]
    if given:
        parsed = tuple(Address.parse(text) for text in given)
        wishes[0] = wishes[0].replace(addresses=parsed)
    return Missing(tuple(wishes), tuple(tcp(8000 + number) for number in range(ports)))


@pytest.mark.parametrize(
    ("lacking", "before"),
    [
        (lacks("lan", "dmz"), NOTHING),
        (lacks("lan", addresses=3), NOTHING),
        (lacks("lan", "dmz", addresses=2), NOTHING),
        (lacks("lan", ports=4), NOTHING),
        (lacks(ports=1), NOTHING.replace(ports=rules(1, 2, 3))),
        (lacks(), NOTHING.replace(ports=rules(*range(1, 9)))),  # nothing more: it stays
    ],
)
def test_quotas_that_are_kept_are_no_matter(lacking: Missing, before: Attachment) -> None:
    """Up to the limit, with what is there; a port counts once for both families."""
    check_quotas(lacking, before, LIMITS)


@pytest.mark.parametrize(
    ("lacking", "before", "why", "setting"),
    [
        (lacks("a", "b", "c"), NOTHING, "3 networks, and a container may have 2", "max_networks"),
        (lacks("lan", addresses=4), NOTHING, "4 addresses", "max_addresses"),
        (lacks("lan", "dmz", addresses=3), NOTHING, "4 addresses", "max_addresses"),
        (lacks("lan", ports=5), NOTHING, "5 published ports", "max_ports"),
        (lacks(ports=2), NOTHING.replace(ports=rules(1, 2, 3)), "5 published", "max_ports"),
    ],
)
def test_quotas_that_are_passed_are_told_with_their_setting(
    lacking: Missing, before: Attachment, why: str, setting: str
) -> None:
    """In one request, or one after the other."""
    with pytest.raises(ExhaustedError, match=why) as raised:
        check_quotas(lacking, before, LIMITS)
    assert raised.value.hint == f"raise {setting} in ocinet.toml"
