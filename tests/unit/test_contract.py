"""The fakes of kernel and firewall answer as `tests/contract` has it, and fail where told to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from contract import questions
from fakes.host import FakeHost

if TYPE_CHECKING:
    from collections.abc import Callable

    from contract.place import Place


@pytest.mark.parametrize("question", questions(), ids=lambda question: question.__name__)
def test_ask_the_fakes_keeps_the_contract(question: Callable[[Place], None]) -> None:
    """Whatever is asked."""
    question(FakeHost())
