"""topology: what it says of what is not there, and of a form that there is none of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from builders import network, record
from fakes.shell import Shell

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Return a shell on an installation with one container on one network."""
    shell = Shell(tmp_path)
    shell.engine.records.networks.add(network())
    shell.engine.records.attachments.put(record())
    return shell


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("wbe",), "ocinet: cannot show wbe: no container of that name or id is known"),
        (("--net", "lann"), "ocinet: cannot show lann: there is no network of that name"),
        (("--format", "pdf"), "invalid choice: 'pdf'"),
    ],
)
def test_what_is_not_there_is_an_error_with_a_hint(
    shell: Shell, words: tuple[str, ...], told: str
) -> None:
    """And prints nothing that would look like an answer."""
    outcome = shell.run("topology", *words)
    assert outcome.code
    assert outcome.out == ""
    assert told in outcome.err
    assert "hint: " in outcome.err


@pytest.mark.parametrize("form", ["tree", "dot", "mermaid", "svg", "json"])
def test_each_form_ends_with_a_line(shell: Shell, form: str) -> None:
    """No more, no less: it may go to a file as it is."""
    outcome = shell.run("topology", "--format", form)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.endswith("\n")
    assert not outcome.out.endswith("\n\n")
    assert "web" in outcome.out
