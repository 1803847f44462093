"""The real kernel and firewall answer as `tests/contract` has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from contract import questions
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.seamed_host import SeamedHost

if TYPE_CHECKING:
    from collections.abc import Callable

    from contract.place import Place


@pytest.mark.parametrize("question", questions(), ids=lambda question: question.__name__)
@in_namespaces
def test_ask_the_real_ones_keeps_the_contract(question: Callable[[Place], None]) -> None:
    """Whatever is asked."""
    with SeamedHost() as host:
        question(host)
