"""What the real kernel and firewall, and the fakes, are asked alike: so that no fake can lie.

    place             what the questions need: a host, and what others do there
    links             the host's links
    insides           interfaces in sandboxes, and sandboxes
    bridges           bridges, and the host's routes
    sysctls           kernel parameters
    names             sandboxes' names
    firewall          our table
    forward_accepts   our rules in the tables of others
    bridge_filters    what keeps a bridge closed without our table
    lan               links that share a parent of the host's
    shaping           limits of bandwidth at containers' host ends
    name_server       names of containers on networks
    routing_rules     what the host's routes say of sources, and our second table

A question is a function that is given a `Place`; its name is the fact, as a test's is.
`tests/netns/test_contract.py` asks the real ones, each in namespaces of its own, and
`tests/unit/test_contract.py` the fakes. What is not asked here, a fake need not know.
"""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from contract.place import Place

_PARTS = (
    "links",
    "insides",
    "bridges",
    "sysctls",
    "names",
    "firewall",
    "forward_accepts",
    "bridge_filters",
    "lan",
    "shaping",
    "name_server",
    "routing_rules",
)

pytest.register_assert_rewrite(*(f"contract.{part}" for part in _PARTS))


def questions() -> list[Callable[[Place], None]]:
    """Return all of them, in the order in which they are written."""
    found: list[Callable[[Place], None]] = []
    for part in _PARTS:
        module = importlib.import_module(f"contract.{part}")
        found += [
            question
            for name, question in vars(module).items()
            if inspect.isfunction(question)
            and question.__module__ == module.__name__
            and not name.startswith("_")
        ]
    return found
