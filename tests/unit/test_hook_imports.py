"""The hook's imports are a budget: what it may import is a table in the documentation."""

from __future__ import annotations

from hosts.interpreter import hook_budget, imported


def test_hook_imports_nothing_beyond_the_budget() -> None:
    """An attach or detach costs what the table says, and every line of it is needed."""
    loaded = imported(
        "ocinet.hooks.entry.stage", "ocinet.hooks.entry.created", "ocinet.engine.lifecycle",
        "ocinet.engine.attach", "ocinet.engine.detach",
    )  # fmt: skip
    foreign = {name for name in loaded if name.partition(".")[0] != "ocinet"}
    assert foreign <= hook_budget(), f"beyond the budget: {sorted(foreign - hook_budget())}"
    assert hook_budget() <= foreign, f"no longer needed: {sorted(hook_budget() - foreign)}"


def test_hook_that_has_nothing_to_do_leaves_the_engine_out() -> None:
    """Who asks for nothing does not wait for the engine's modules."""
    loaded = imported("ocinet.hooks.entry.stage")
    assert "ocinet.engine.lifecycle" not in loaded
    assert "ocinet.engine.plan" not in loaded
    assert "_struct" not in loaded


def test_hook_that_detaches_leaves_attaching_out() -> None:
    """A stop does not wait for the modules of a start: what is asked for, and how it is wired."""
    loaded = imported("ocinet.hooks.entry.stage", "ocinet.engine.lifecycle", "ocinet.engine.detach")
    assert not {
        "ocinet.engine.attach", "ocinet.engine.plan.wiring", "ocinet.ipam.allocation",
        "ocinet.request.annotations", "ocinet.engine.ruleset.nft",
    } & loaded  # fmt: skip
    assert "ocinet.engine.detach" not in imported("ocinet.engine.lifecycle", "ocinet.engine.attach")


def test_hook_whose_container_wishes_no_resolvers_leaves_their_parts_out() -> None:
    """Most do: files are planned without what wishes would be read, kept and written by."""
    loaded = imported(
        "ocinet.hooks.entry.created", "ocinet.engine.lifecycle", "ocinet.engine.attach",
        "ocinet.engine.kernel.name_files", "ocinet.engine.plan.name_files",
    )  # fmt: skip
    assert not {
        "ocinet.request.resolution", "ocinet.engine.model.resolution",
        "ocinet.engine.records.resolutions", "ocinet.engine.plan.wished_names",
    } & loaded  # fmt: skip
