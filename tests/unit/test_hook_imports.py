"""The hook's imports are a budget: what it may import is a table in the documentation."""

from __future__ import annotations

from hosts.interpreter import hook_budget, imported


def test_hook_imports_nothing_beyond_the_budget() -> None:
    """An attach or detach costs what the table says, and every line of it is needed."""
    loaded = imported("ocinet.hooks.entry.stage", "ocinet.engine.engine")
    foreign = {name for name in loaded if name.partition(".")[0] != "ocinet"}
    assert foreign <= hook_budget(), f"beyond the budget: {sorted(foreign - hook_budget())}"
    assert hook_budget() <= foreign, f"no longer needed: {sorted(hook_budget() - foreign)}"


def test_hook_that_has_nothing_to_do_leaves_the_engine_out() -> None:
    """Who asks for nothing does not wait for the engine's modules."""
    loaded = imported("ocinet.hooks.entry.stage")
    assert "ocinet.engine.engine" not in loaded
    assert "ocinet.engine.plan" not in loaded
    assert "_struct" not in loaded
