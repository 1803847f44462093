"""Words of docker, podman and ip that we have not got: the error names ours."""

from __future__ import annotations

import io
import re
from importlib import import_module
from pathlib import Path

import pytest

from fakes.shell import Shell
from hosts.waiting import wait_until
from ocinet.cli.colours import GOOD, paint
from ocinet.cli.command_tree import ALIASES, ENTRIES, GROUPS, Entry, resolve
from ocinet.cli.console import Console, Streams
from ocinet.cli.parser import Parser
from ocinet.cli.progress import Progress
from ocinet.cli.version import built_from
from ocinet.cli.words import DRIVERS, FLAGS, VERBS


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Return a shell on an installation of its own."""
    return Shell(tmp_path)


def _flags() -> dict[str, set[str]]:
    """Return the flags of each command."""
    found = {}
    for entry in ENTRIES:
        parser = Parser(entry.words, entry.summary)
        import_module(f"ocinet.cli.{entry.module}").COMMANDS[entry.words].configure(parser)
        found[entry.words] = set(parser._option_string_actions)
    return found


def test_every_word_of_the_table_is_none_of_ours() -> None:
    """Else it would never be looked up, and stand there for what is not so any more."""
    commands = {entry.words for entry in ENTRIES}
    assert not set(VERBS) & (commands | set(GROUPS) | set(ALIASES))
    everywhere = set.intersection(*_flags().values())
    assert not set(FLAGS) & everywhere


def test_every_flag_that_is_named_instead_is_some_commands() -> None:
    """A hint to what is not there is worse than none."""
    known = set().union(*_flags().values())
    for flag, (ours, otherwise) in FLAGS.items():
        assert ours or otherwise, flag
        assert set(ours) <= known, flag


@pytest.mark.parametrize("hint", [*VERBS.values(), *(told for _, told in FLAGS.values()),
                                  *DRIVERS.values()])  # fmt: skip
def test_every_command_that_a_hint_names_is_there(hint: str) -> None:
    """With the flags that it is named with."""
    flags = _flags()
    for text in re.findall(r"\bocinet ([a-z][^,;:]*)", hint):
        words = text.split()
        if words[0] in ("gives", "starts", "has"):
            continue  # a sentence about ocinet
        entry, _ = resolve(words)
        assert isinstance(entry, Entry), text
        for flag in re.findall(r"(?<!\S)-{1,2}[a-z][\w-]*", text):
            assert flag in flags[entry.words], text


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("attach", "web", "--mac", "02:00:00:00:00:05"), "here it is --mac-address"),
        (("hooks", "add", "bundle", "--publish-all"), "here it is --publish; ocinet attach -P"),
        (("hooks", "add", "bundle", "--hosts", "db:192.0.2.7"), "here it is --add-host"),
        (("network", "connect", "lan", "web", "--net-alias", "db"), "here it is --network-alias"),
        (("network", "create", "--attachable", "lan"), "this host's alone"),
        (("network", "create", "--iface=br0", "lan"), "here it is --bridge"),
        (("network", "create", "-d", "ipvlan", "lan"), "-d macvlan -o parent=eth0"),
        (("ps", "--fliter", "x=y"), "did you mean --filter"),
        (("hook", "add", "bundle"), "ocinet hooks add bundle"),
        (("run", "web"), "ocinet starts no containers"),
        (("network", "update", "lan"), "ocinet network create it anew"),
        (("container", "ls"), "ocinet ps"),
        (("addr", "show"), "ocinet exec NAME -- ip addr"),
        (("atach", "web"), "did you mean attach"),
    ],
)
def test_word_of_others_is_answered_by_ours(
    shell: Shell, words: tuple[str, ...], hint: str
) -> None:
    """Not by what is spelled alike; a typo still is."""
    outcome = shell.run(*words)
    assert outcome.code == 2
    assert f"{hint}" in outcome.err.partition("hint: ")[2]


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (("ls",), "ps"),
        (("info",), "status"),
        (("network", "delete", "lan"), "network rm"),
        (("-v",), "version"),
    ],
)
def test_alias_is_the_command(shell: Shell, words: tuple[str, ...], command: str) -> None:
    """As docker, podman and ip have it."""
    if words == ("-v",):
        assert shell.run("-v").out == shell.run("version").out
    else:
        entry, _ = resolve(list(words))
        assert isinstance(entry, Entry)
        assert entry.words == command


def test_bundle_may_be_named_by_its_config(shell: Shell, tmp_path: Path) -> None:
    """`hooks add web/config.json` is what completion offers."""
    (tmp_path / "config.json").write_text(
        '{"ociVersion": "1.0.2", "linux": {"namespaces": [{"type": "network"}]}}'
    )
    for path in (f"{tmp_path}/config.json", str(tmp_path)):
        assert shell.run("hooks", "add", path, "--net", "bridge").code == 0
    assert "ocinet.net" in (tmp_path / "config.json").read_text()
    assert shell.run("hooks", "remove", f"{tmp_path}/config.json").code == 0
    assert "ocinet.net" not in (tmp_path / "config.json").read_text()


def test_version_tells_the_commit_of_a_tree_and_the_build_of_an_installation(
    tmp_path: Path,
) -> None:
    """A branch by its file or packed, a work tree beside, a commit alone; nothing where none is."""
    site, tree = tmp_path / "site", tmp_path / "tree"
    (tree / "cli").mkdir(parents=True)
    (site / "ocinet").mkdir(parents=True)
    (site / "ocinet/cli").symlink_to(tree / "cli")
    assert built_from(str(site)) == ""
    git = tree / ".git"
    (git / "refs/heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "packed-refs").write_text(f"# packed\n{'a' * 40} refs/heads/main\n")
    assert built_from(str(site)) == "commit aaaaaaaaaa"
    (git / "refs/heads/main").write_text("b" * 40)
    assert built_from(str(site)) == "commit bbbbbbbbbb"
    (git / "HEAD").write_text("c" * 40)
    assert built_from(str(site)) == "commit cccccccccc"
    (site / "VERSION").write_text("0.1.0-5f3a\n")
    assert built_from(str(site)) == "build 5f3a"


class Terminal(io.StringIO):
    """A stream that a person looks at."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "coloured"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": ""}, True),  # no-color.org: only if it is not empty
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
    ],
)
def test_colours_are_for_terminals_that_have_them(
    stream: io.StringIO, environment: dict[str, str], coloured: bool
) -> None:
    """A file and a pipe get none."""
    assert (paint("ok", GOOD, stream, environment) != "ok") is coloured


def test_progress_is_told_after_its_time_and_leaves_no_line() -> None:
    """What takes long says what it is at; what it prints meanwhile stands in lines of its own."""
    screen = Terminal()
    with Progress(screen, "looking", after_s=0.01) as progress:
        wait_until(lambda: screen.getvalue() == "looking", "it is told")
        progress.tell("unwiring web")
        progress.tell("unwiring web")
        progress.clear()
    assert screen.getvalue() == "looking\r\033[Kunwiring web\r\033[K\r\033[K"


@pytest.mark.parametrize(
    ("stream", "environment"),
    [(Terminal(), {}), (Terminal(), {"TERM": "dumb"}), (io.StringIO(), {})],
)
def test_progress_of_what_is_done_at_once_is_not_told(
    stream: io.StringIO, environment: dict[str, str]
) -> None:
    """Nor is anything else than data written to a pipe, or to who knows no cursor."""
    console = Console(environment, streams=Streams(io.StringIO(), stream, stream))
    with console.progress("looking"):
        console.tell("still looking")
        console.print("web")
    assert stream.getvalue() == "web\n"


def test_papers_words_are_the_tables() -> None:
    """Whatever flag has an answer in the code stands in the paper as well, but for spellings."""
    paper = (Path(__file__).parents[2] / "docs/words.md").read_text()
    argued = [flag for flag, (ours, _) in FLAGS.items() if not ours]
    spellings = {"--net-alias", "--time", "--pid", "--netns", "--verbose", "--debug", "--dry-run",
                 "--no-stream", "--parent"}  # fmt: skip
    assert [flag for flag in argued if flag not in paper and flag not in spellings] == []
