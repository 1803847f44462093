"""The operator's settings: what files say, who wins, and when they are parsed again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ocinet.base.address import Subnet
from ocinet.base.errors import RequestError, SystemFailure, UntrustedError
from ocinet.base.paths import Paths
from ocinet.engine.model.settings import Settings
from ocinet.engine.records.settings import COMPILED, load, load_or_defaults


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Return directories of our own; the configuration is empty."""
    (tmp_path / "etc").mkdir()
    return Paths(config=f"{tmp_path}/etc", state=f"{tmp_path}/var", run=f"{tmp_path}/run")


def write(paths: Paths, text: str, name: str = "ocinet.toml", *, settled: bool = True) -> str:
    """Write a source and wait until the kernel's clock has moved on from it."""
    path = f"{paths.config}/{name}"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    deadline = time.monotonic() + 2
    while settled and time.time_ns() - os.stat(path).st_ctime_ns < 30_000_000:
        assert time.monotonic() < deadline
    return path


def compiled(paths: Paths) -> dict[str, Any] | None:
    """Return the compiled settings as they are on disk."""
    try:
        with open(f"{paths.run}/{COMPILED}", encoding="utf-8") as file:
            content: dict[str, Any] = json.load(file)
    except FileNotFoundError:
        return None
    return content


def test_load_without_files_gives_the_defaults(paths: Paths) -> None:
    """No file means the defaults, and they are compiled all the same."""
    assert load(paths) == Settings()
    assert compiled(paths) is not None


def test_load_without_a_configuration_directory_gives_the_defaults(tmp_path: Path) -> None:
    """A machine without /etc/ocinet works."""
    paths = Paths(config=f"{tmp_path}/none", run=f"{tmp_path}/run")
    assert load(paths) == Settings()
    assert load(paths) == Settings()


@pytest.mark.parametrize("place", ["ocinet.toml", "ocinet.toml.d/10-site.toml"])
def test_load_refuses_a_link_to_nothing_and_a_directory(paths: Paths, place: str) -> None:
    """What is meant to be in force must not get lost without a word, compiled or not."""
    path = Path(paths.config, place)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to("nowhere")
    for _again in range(2):
        with pytest.raises(RequestError, match=f"{place}: it is a link to nothing"):
            load(paths)
    path.unlink()
    path.mkdir()
    with pytest.raises(RequestError, match=f"{place}: it is a directory"):
        load(paths)
    path.rmdir()
    assert load(paths) == Settings()


def test_default_pools_avoid_what_engines_and_clusters_take() -> None:
    """The default pools overlap none of the neighbours' defaults, but Docker's very last."""
    others = ("172.17.0.0/16", "172.18.0.0/15", "172.20.0.0/14", "172.24.0.0/13",
              "192.168.0.0/17", "10.88.0.0/15", "10.90.0.0/15", "10.96.0.0/12",
              "10.244.0.0/16", "10.42.0.0/15", "10.128.0.0/9", "10.0.0.0/16")  # fmt: skip
    for pool in Settings().pools:
        assert not any(pool.overlaps(Subnet.parse(other)) for other in others)


def test_load_reads_every_key(paths: Paths) -> None:
    """Each field can be set."""
    write(paths, """
        pools = ["10.9.0.0/16", "fd00:9::/48"]
        ipv6 = true
        select = "labelled"
        trust_annotations = true
        forward_accept = false
        manage_sysctls = false
        lock_timeout_s = 3
        web = "localhost:4900"
        metrics = "unix:/run/at/metrics.sock"
        metrics_group = "monitors"
    """)  # fmt: skip
    wanted = Settings(
        pools=(Subnet.parse("10.9.0.0/16"), Subnet.parse("fd00:9::/48")),
        ipv6=True,
        select="labelled",
        trust_annotations=True,
        forward_accept=False,
        manage_sysctls=False,
        lock_timeout_s=3.0,
        web="127.0.0.1:4900",
        metrics="unix:/run/at/metrics.sock",
        metrics_group="monitors",
    )
    assert load(paths) == wanted
    assert load(paths) == wanted, "the compiled form says something else"


def test_load_lets_the_later_file_win(paths: Paths) -> None:
    """Drop-ins come after the main file, by their names; others are not read."""
    write(paths, 'ipv6 = true\nselect = "labelled"\nlock_timeout_s = 1', settled=False)
    write(paths, "lock_timeout_s = 3", "ocinet.toml.d/20-b.toml", settled=False)
    write(paths, "lock_timeout_s = 2\nipv6 = false", "ocinet.toml.d/10-a.toml", settled=False)
    write(paths, "lock_timeout_s = 4", "ocinet.toml.d/30-c.toml.bak", settled=False)
    write(paths, "lock_timeout_s = 5", "ocinet.toml.d/.40-d.toml", settled=False)
    assert load(paths) == Settings(ipv6=False, select="labelled", lock_timeout_s=3.0)


def test_load_parses_once_while_the_sources_stay(paths: Paths) -> None:
    """The second time, what counts is the compiled file."""
    write(paths, "ipv6 = true")
    load(paths)
    content = compiled(paths)
    assert content is not None
    content["given"] = {"lock_timeout_s": 7}
    with open(f"{paths.run}/{COMPILED}", "w", encoding="utf-8") as file:
        json.dump(content, file)
    assert load(paths) == Settings(lock_timeout_s=7.0)


@pytest.mark.parametrize("name", ["ocinet.toml", "ocinet.toml.d/1.toml", "ocinet.toml.d/2.toml"])
def test_load_parses_again_when_a_source_changes(paths: Paths, name: str) -> None:
    """A changed, a new and a removed file are all seen."""
    write(paths, "lock_timeout_s = 1", "ocinet.toml.d/1.toml")
    assert load(paths).lock_timeout_s == 1
    path = write(paths, "ipv6 = true", name)
    assert load(paths).ipv6
    os.unlink(path)
    assert not load(paths).ipv6


def test_load_sees_a_change_of_the_same_size_and_modification_time(paths: Paths) -> None:
    """Not even a copy that keeps size and mtime passes for the old file."""
    path = write(paths, "lock_timeout_s = 1")
    before = os.stat(path)
    load(paths)
    write(paths, "lock_timeout_s = 2")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert load(paths).lock_timeout_s == 2


def test_load_does_not_compile_a_file_that_changed_just_now(paths: Paths) -> None:
    """Two changes within one tick of the clock can't be told apart by its times."""
    write(paths, "lock_timeout_s = 1")
    load(paths)
    os.unlink(f"{paths.run}/{COMPILED}")
    write(paths, "lock_timeout_s = 2", settled=False)
    assert load(paths).lock_timeout_s == 2
    assert compiled(paths) is None


@pytest.mark.parametrize("set_by_s", [-86400, -3600, 3600, 86400])
def test_load_compiles_what_was_written_before_the_clock_was_set(
    paths: Paths, set_by_s: int
) -> None:
    """Else each hook would parse the sources, for as long as the clock was set back by."""
    write(paths, "lock_timeout_s = 1")
    load(paths, lambda: time.time_ns() + set_by_s * 1_000_000_000)
    assert compiled(paths) is not None
    write(paths, "lock_timeout_s = 2", settled=False)
    assert load(paths, lambda: time.time_ns() + set_by_s * 1_000_000_000).lock_timeout_s == 2


@pytest.mark.parametrize(
    "content",
    ["", "no json", "[]", "{}", '{"sources": [], "given": {}}', '{"sources": [[1]], "given": {}}'],
)
def test_load_parses_again_when_the_compiled_file_is_damaged(paths: Paths, content: str) -> None:
    """A compiled file that makes no sense is written anew."""
    write(paths, "ipv6 = true")
    load(paths)
    with open(f"{paths.run}/{COMPILED}", "w", encoding="utf-8") as file:
        file.write(content)
    assert load(paths).ipv6
    assert compiled(paths) is not None
    assert load(paths).ipv6


def test_load_parses_again_when_the_compiled_file_has_an_unknown_key(paths: Paths) -> None:
    """What a newer release compiled is no error after a downgrade."""
    write(paths, "ipv6 = true")
    load(paths)
    content = compiled(paths)
    assert content is not None
    content["given"]["speed"] = "high"
    with open(f"{paths.run}/{COMPILED}", "w", encoding="utf-8") as file:
        json.dump(content, file)
    assert load(paths) == Settings(ipv6=True)


def test_load_ignores_what_another_configuration_was_compiled_to(paths: Paths) -> None:
    """One run directory with two configuration directories does not mix them up."""
    write(paths, "ipv6 = true")
    load(paths)
    assert load(paths.replace(config=f"{paths.config}2")) == Settings()


def test_load_works_where_nothing_can_be_written(paths: Paths) -> None:
    """Without a usable run directory the sources are parsed each time."""
    write(paths, "ipv6 = true")
    with open(paths.run, "w", encoding="utf-8") as file:
        file.write("in the way")
    assert load(paths).ipv6
    assert load(paths).ipv6


@pytest.mark.parametrize(
    ("text", "why", "hint"),
    [
        ("ipv = true", "unknown key 'ipv'", "did you mean ipv6?"),
        ("zzz = 1", "unknown key 'zzz'", "known are: pools, ipv6"),
        ("ipv6 = 1", "ipv6 must be true or false, not 1", ""),
        ('ipv6 = "yes"', "ipv6 must be true or false, not 'yes'", ""),
        ('select = "some"', 'select must be "all" or "labelled", not \'some\'', ""),
        ("select = []", 'select must be "all" or "labelled", not []', ""),
        ("lock_timeout_s = true", "lock_timeout_s must be seconds", ""),
        ("lock_timeout_s = 0", "lock_timeout_s must be seconds, above 0 and at most 600", ""),
        ("lock_timeout_s = nan", "lock_timeout_s must be seconds", ""),
        ("lock_timeout_s = inf", "lock_timeout_s must be seconds", ""),
        ('lock_timeout_s = "9"', "lock_timeout_s must be seconds", ""),
        ('pools = "10.0.0.0/8"', "pools must be a list of subnets as text", ""),
        ("pools = [10]", "pools must be a list of subnets as text", ""),
        ('pools = ["10.0.0.1/8"]', "pools: '10.0.0.1/8' has host bits set", ""),
        ('pools = ["10.0.0.0/25"]', "pools: 10.0.0.0/25 is too small to take a /24 from", ""),
        ('pools = ["10.0.0.0/8", "fd00::/65"]', "pools: fd00::/65 is too small", ""),
        ('pools = ["10.0.0.0/8", "10.9.0.0/16"]', "10.9.0.0/16 overlaps 10.0.0.0/8", ""),
        ('pools = ["fd00::/48"]', "pools: there is no IPv4 subnet among them", ""),
        ("pools = []", "pools: there is no IPv4 subnet among them", ""),
        ("web = 4900", "web must be an address of this machine with a port, as text", ""),
        ("metrics = 9690", "metrics must be a socket or an address of this machine", ""),
        ('metrics = "0.0.0.0:9690"', "metrics: '0.0.0.0:9690' is not of this machine", "say 127."),
        ('metrics = "unix:metrics.sock"', "names no socket", "write unix:/run"),
        (f'metrics = "unix:/{"x" * 108}"', "is longer than a socket's path may be", ""),
        ("metrics_group = 0", "metrics_group must be a group's name, as text", ""),
        ('web = "0.0.0.0:4900"', "web: '0.0.0.0:4900' is not of this machine", "say 127.0.0.1"),
        ("ipv6", "it is not TOML: ", ""),
        ("ipv6 = true\nipv6 = false", "it is not TOML: ", ""),
        ("[net]\nipv6 = true", "unknown key 'net'", ""),
    ],
)
def test_load_of_a_wrong_file_says_where_and_what(
    paths: Paths, text: str, why: str, hint: str
) -> None:
    """An error names the file and the key, and the key that was meant."""
    path = write(paths, text, "ocinet.toml.d/10-mine.toml", settled=False)
    with pytest.raises(RequestError) as caught:
        load(paths)
    assert caught.value.what == f"cannot read {path}"
    assert why in caught.value.why
    assert caught.value.hint.startswith(hint)
    assert compiled(paths) is None


def test_load_of_a_file_that_is_not_text_fails(paths: Paths) -> None:
    """Bytes that are not UTF-8 are no TOML."""
    with open(f"{paths.config}/ocinet.toml", "wb") as file:
        file.write(b"ipv6 = \xff")
    with pytest.raises(RequestError, match="it is not TOML"):
        load(paths)


def test_load_of_a_huge_file_fails(paths: Paths) -> None:
    """What is read is capped."""
    write(paths, "#" * ((1 << 20) + 1), settled=False)
    with pytest.raises(RequestError, match="longer than"):
        load(paths)


def test_load_of_an_unreadable_file_fails(paths: Paths) -> None:
    """A file that is there and can't be read is not taken for a missing one."""
    os.symlink("ocinet.toml", f"{paths.config}/ocinet.toml")  # a loop
    with pytest.raises(SystemFailure, match=r"cannot read .*/ocinet\.toml"):
        load(paths)


@pytest.mark.parametrize("mode", [0o666, 0o646, 0o664])
@pytest.mark.parametrize("name", ["ocinet.toml", "ocinet.toml.d/10-site.toml"])
def test_load_of_a_file_that_others_can_write_fails(paths: Paths, name: str, mode: int) -> None:
    """They could have images trusted; what was compiled of it before does not count either."""
    path = write(paths, "ipv6 = true\n", name)
    assert load(paths).ipv6
    os.chmod(path, mode)
    with pytest.raises(UntrustedError, match=f"cannot trust {path}: owner .* others may write"):
        load(paths)
    settings, error = load_or_defaults(paths)
    assert settings == Settings()
    assert isinstance(error, UntrustedError)
    os.chmod(path, 0o644)
    assert load(paths).ipv6


@pytest.mark.parametrize("place", ["config", "run"])
def test_load_beside_what_others_can_replace_fails(paths: Paths, place: str) -> None:
    """A directory that is open to all may have had another file in it a moment ago."""
    write(paths, "ipv6 = true\n")
    load(paths)
    directory = getattr(paths, place)
    os.chmod(directory, 0o777)  # noqa: S103  # that is the test
    write(paths, "ipv6 = false\n")
    with pytest.raises(UntrustedError, match=f"cannot trust {directory}: "):
        load(paths)


def test_load_or_defaults_of_a_broken_file_gives_both(paths: Paths) -> None:
    """The defaults to take down by, and the error for who would make something."""
    assert load_or_defaults(paths) == (Settings(), None)
    path = write(paths, "lock_timeout_s = 3\nipv = true")
    settings, flaw = load_or_defaults(paths)
    assert settings == Settings()
    assert isinstance(flaw, RequestError)
    assert flaw.what == f"cannot read {path}"
    write(paths, "lock_timeout_s = 3")
    assert load_or_defaults(paths) == (Settings(lock_timeout_s=3.0), None)


def test_load_of_compiled_settings_imports_no_toml(paths: Paths) -> None:
    """The hook's reading imports nothing that costs: neither tomllib nor re."""
    write(paths, "ipv6 = true")
    load(paths)
    code = (
        "import sys; sys.path.append(sys.argv[1]); "
        "from ocinet.base.paths import Paths; from ocinet.engine.records.settings import load; "
        "assert load(Paths(config=sys.argv[2], run=sys.argv[3])).ipv6; "
        "bad = {'tomllib', 're', 'json', 'enum', 'typing', 'dataclasses'} & set(sys.modules); "
        "sys.exit(f'imported: {bad}' if bad else 0)"
    )
    root = next(path for path in sys.path if os.path.isdir(f"{path}/ocinet/engine"))
    subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, root, paths.config, paths.run], check=True
    )
