"""The manual, the completion and the settings' page say what the code does."""

from __future__ import annotations

import os
import re
import subprocess
from importlib.util import module_from_spec, spec_from_file_location
from typing import TYPE_CHECKING, Any

import pytest

from ocinet.cli.command_tree import ENTRIES, EXIT_CODES
from ocinet.engine.model.settings import Settings
from ocinet.engine.plan.driver_options import _DRIVER_OPTIONS

if TYPE_CHECKING:
    from pathlib import Path

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def read(path: str) -> str:
    with open(f"{ROOT}/{path}", encoding="utf-8") as file:
        return file.read()


@pytest.mark.parametrize("words", [entry.words for entry in ENTRIES])
def test_manual_has_every_command(words: str) -> None:
    """Each command has its item."""
    assert re.search(rf"^\.It Cm {words}( |$)", read("packaging/man/ocinet.8"), re.MULTILINE)


def test_manual_has_every_exit_code_with_its_meaning() -> None:
    """The table of exit codes is that of `--help`."""
    section = read("packaging/man/ocinet.8").partition(".Sh EXIT STATUS")[2]
    found = re.findall(r"^\.It (\d+)\n(.+)$", section, re.MULTILINE)
    assert tuple((int(code), meaning) for code, meaning in found) == EXIT_CODES


@pytest.mark.parametrize("words", [entry.words for entry in ENTRIES if entry.words != "hook"])
def test_manual_has_every_flag(words: str) -> None:
    """A flag that a command has is in its item, or common to all."""
    from importlib import import_module

    from ocinet.cli.parser import Parser

    entry = next(command for command in ENTRIES if command.words == words)
    parser = Parser(words, entry.summary)
    import_module(f"ocinet.cli.{entry.module}").COMMANDS[words].configure(parser)
    text = read("packaging/man/ocinet.8")
    after = text.partition(f".It Cm {words}")[2]
    item = re.split(r"^\.(?:It Cm|Sh) ", after, flags=re.MULTILINE)[0]
    if "flags of attach" in item:
        item += text.partition(".It Cm attach")[2].partition("\n")[0]
    common = {"--help", "--format", "--json", "--noheading", "--quiet"}
    for action in parser._actions:
        names = action.option_strings
        if not names or common & set(names) or names == ["-d", "--driver"]:
            continue
        spelled = [f"Fl {name[1:]}" for name in names]
        assert any(re.search(rf"{flag}(?![\w-])", item) for flag in spelled), names


@pytest.mark.needs("man")
def test_manual_is_well_formed() -> None:
    """The formatter has nothing to complain about."""
    done = subprocess.run(
        ["man", "--warnings=all", "-l", f"{ROOT}/packaging/man/ocinet.8"],
        capture_output=True, text=True, check=True, env={**os.environ, "MANWIDTH": "100"},
    )  # fmt: skip
    assert done.stderr == ""
    assert "OCINET(8)" in done.stdout


def test_manual_has_every_setting_and_driver_option() -> None:
    """What can be set can be found."""
    text = read("packaging/man/ocinet.8")
    for name in (*Settings._fields, *_DRIVER_OPTIONS):
        assert f".Li {name}" in text


def test_settings_page_has_every_key_with_its_default() -> None:
    """The table is complete, and the defaults are the code's."""
    rows = dict(re.findall(r"^\| `(\w+)` \| `([^`]*)` \|", read("docs/settings.md"), re.MULTILINE))
    assert tuple(rows) == Settings._fields
    for name, shown in rows.items():
        default = getattr(Settings(), name)
        spelled = {True: "true", False: "false"}.get(default) if default in (True, False) else None
        if isinstance(default, tuple):
            spelled = "[" + ", ".join(f'"{subnet}"' for subnet in default) + "]"
        elif isinstance(default, str):
            spelled = f'"{default}"'
        elif spelled is None:
            spelled = f"{default:g}"
        assert shown == spelled, name


def test_settings_page_example_can_be_read() -> None:
    """The example is a legal file with every key."""
    import tomllib

    from ocinet.engine.records.settings import _convert

    text = read("docs/settings.md").partition("```toml\n")[2].partition("```")[0]
    assert tuple(_convert(tomllib.loads(text), "the page")) == Settings._fields


def generate() -> Any:
    """Return the program that writes completions and settings."""
    spec = spec_from_file_location("generate", f"{ROOT}/packaging/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", generate().FILES)
def test_generated_file_says_what_the_code_does(path: str) -> None:
    """Completions and settings are what the parsers and the definition give: make generated."""
    assert read(f"packaging/{path}") == generate().FILES[path]()


def test_settings_file_says_every_default() -> None:
    """Without its `#` each line is legal, and nothing is otherwise than without the file."""
    import tomllib

    from ocinet.engine.records.settings import _convert

    text = re.sub(r"^#(\w+ = )", r"\1", read("packaging/ocinet.toml"), flags=re.MULTILINE)
    assert Settings(**_convert(tomllib.loads(text), "the file")) == Settings()
    assert tomllib.loads(read("packaging/ocinet.toml")) == {}


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["network", "cr"], {"create"}),
        (["unin"], {"uninstall"}),
        (["network", "create", "--inter"], {"--interface-name", "--internal"}),
        (["reserve", "add", "--mac"], {"--mac", "--mac-address"}),
        (["hooks", "install", "--stage", ""], {"createRuntime", "prestart"}),
        (["attach", "web", "--net", ""], {"lan"}),
        (["detach", "pi"], {"pid:"}),
    ],
)
def test_completion_completes(tmp_path: Path, words: list[str], wanted: set[str]) -> None:
    """bash takes it, and it answers: commands, flags, values, and names of what there is."""
    (tmp_path / "ocinet").write_text("#!/bin/sh\n[ $1 != network ] || echo lan\n")
    (tmp_path / "ocinet").chmod(0o755)
    listed = " ".join(f"'{word}'" for word in ("ocinet", *words))
    script = (
        f"source {ROOT}/packaging/completion/ocinet.bash; PATH={tmp_path}:$PATH; "
        f"COMP_WORDS=({listed}); COMP_CWORD={len(words)}; _ocinet; echo ${{COMPREPLY[@]}}"
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == wanted
