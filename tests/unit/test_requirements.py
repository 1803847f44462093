"""What a test needs: it skips without, and fails in CI."""

from __future__ import annotations

import pytest

from hosts.requirements import require_marked


@pytest.mark.parametrize(
    ("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)]
)
def test_mark_of_a_missing_program_skips_and_fails_in_ci(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    ci: str,
    outcome: type[BaseException],
) -> None:
    """Of several programs, the one that is missing is named, with its package."""
    monkeypatch.setenv("CI", ci)
    request.node.add_marker(pytest.mark.needs("sh", "no-such-program"))

    with pytest.raises(outcome, match=r"^no-such-program is not installed: apt-get install"):
        require_marked(request.node)


def test_folder_of_a_test_is_a_mark_of_it(request: pytest.FixtureRequest) -> None:
    """What a whole folder needs, as root, is such a mark too; a unit test's is empty."""
    assert [mark.args for mark in request.node.iter_markers("needs")] == [()]
    assert request.node.get_closest_marker("unit")
