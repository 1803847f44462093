"""State documents as runtimes really send them, and as nobody should."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocinet.base.errors import OcinetError, RequestError, SystemFailure
from ocinet.hooks.entry.state import State, find_bundle, parse_state
from ocinet.request.bounded_reads import read_file, read_input
from ocinet.request.config_json import has_private_sandbox

if TYPE_CHECKING:
    from pathlib import Path

# The machine may be busy with everything else; that is no fault of the code.
_ANNOTATIONS = {"ocinet.net": "bridge", "ocinet.ip": "10.1.2.3", "org.example/x": 'y z "q"'}
_PAIRS = tuple(_ANNOTATIONS.items())

RUNC_UP = (
    b'{"ociVersion":"1.0.2-dev","id":"r1","status":"creating","pid":26513,"bundle":"/srv/b/r1",'
    b'"annotations":{"ocinet.net":"bridge","ocinet.ip":"10.1.2.3","org.example/x":"y z \\"q\\""}}'
)
RUNC_DOWN = (
    b'{"ociVersion":"1.0.2-dev","id":"r1","status":"stopped","bundle":"/srv/b/r1",'
    b'"annotations":{"ocinet.net":"bridge","ocinet.ip":"10.1.2.3","org.example/x":"y z \\"q\\""}}'
)
CRUN_UP = (
    b'{"ociVersion":"1.0","id":"c1","pid":27546,"root":"rootfs","bundle":"/srv/b/c1",'
    b'"status":"created","annotations":{"ocinet.net":"bridge","ocinet.ip":"10.1.2.3",'
    b'"org.example/x":"y z \\"q\\""}}'
)
CRUN_DOWN = (
    b'{"ociVersion":"1.0","id":"c1","pid":0,"root":"rootfs",'
    b'"bundle":"/srv/b/c1","status":"stopped"}'
)
BUILDAH_UP = (
    b'{"ociVersion":"1.0","id":"buildah-buildah2673717343","pid":6838,'
    b'"root":"/var/tmp/buildah2673717343/mnt/rootfs","bundle":"/var/tmp/buildah2673717343",'
    b'"status":"created"}'
)


@pytest.mark.parametrize(
    ("data", "state"),
    [
        (RUNC_UP, State("r1", 26513, "/srv/b/r1", _PAIRS, "creating")),
        (RUNC_DOWN, State("r1", None, "/srv/b/r1", _PAIRS, "stopped")),
        (CRUN_UP, State("c1", 27546, "/srv/b/c1", _PAIRS, "created")),
        (CRUN_DOWN, State("c1", None, "/srv/b/c1", (), "stopped")),
        (b' {"id":"x","annotations":null,"bundle":"rel","extra":[{}]}\n', State("x")),
    ],
)
def test_parse_state_of_real_runtimes_keeps_what_counts(data: bytes, state: State) -> None:
    """What runc and crun send, with what they leave out."""
    assert parse_state(data) == state


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "stdin is empty"),
        (b" \n", "stdin is empty"),
        (b"{", "it is not JSON"),
        (b"[]", "it is no JSON object"),
        (b"null", "it is no JSON object"),
        (b'{"id":"\xff"}', "it is not JSON"),
        (b"{} x", "it is not JSON"),
        (b"[" * 100_000, "nests deeper than 32"),
        (b'{"id":"x","a":' + b"[" * 40 + b"]" * 40 + b"}", "nests deeper than 32"),
        (b'"' + b"x" * (1 << 20) + b'"', "longer than 1048576 bytes"),
        (b"{}", "id is missing"),
        (b'{"id":7}', "id is no text"),
        (b'{"id":""}', "'' is no container id"),
        (b'{"id":"../x"}', "'../x' is no container id"),
        (b'{"id":"a/b"}', "is no container id"),
        (b'{"id":".."}', "is no container id"),
        (b'{"id":"a\\u0000"}', "is no container id"),
        (b'{"id":"' + b"a" * 201 + b'"}', "is no container id"),
        (b'{"id":"x","pid":"7"}', "pid is '7'"),
        (b'{"id":"x","pid":true}', "pid is 'True'"),
        (b'{"id":"x","pid":false}', "pid is 'False'"),
        (b'{"id":"x","pid":7.0}', "pid is '7.0'"),
        (b'{"id":"x","pid":-1}', "pid is '-1'"),
        (b'{"id":"x","pid":4194305}', "pid is '4194305'"),
        (b'{"id":"x","pid":1}', "pid is 1: the hook runs inside the container"),
        (b'{"id":"x","bundle":7}', "bundle is no text"),
        (b'{"id":"x","bundle":"/a\\u0000b"}', "bundle is no path"),
        (b'{"id":"x","status":7}', "status is no text"),
        (b'{"id":"x","annotations":[]}', "annotations is no JSON object"),
        (b'{"id":"x","annotations":{"a":7}}', "annotation 'a' is no text"),
        (b'{"id":"x","annotations":{"a":NaN}}', "it is not JSON"),
    ],
)
def test_parse_state_of_garbage_says_what_is_wrong(data: bytes, said: str) -> None:
    """Each refusal is one line that starts with the act."""
    with pytest.raises(RequestError) as caught:
        parse_state(data)
    assert said in str(caught.value)
    assert str(caught.value).startswith("cannot read the container's state: ")
    assert "\n" not in str(caught.value)


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_parse_state_of_any_bytes_raises_nothing_else(data: bytes) -> None:
    """No input gets past as anything but a state or a RequestError."""
    try:
        assert parse_state(data).id
    except RequestError:
        return


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)  # fmt: skip


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(("id", "pid", "bundle", "status", "annotations"), _values),
    )
)
def test_parse_state_of_any_document_raises_nothing_else(document: dict[str, object]) -> None:
    """Wrong types are refused, whatever they are."""
    try:
        state = parse_state(json.dumps(document).encode())
    except RequestError:
        return
    assert state.pid is None or state.pid > 1
    assert all(isinstance(text, str) for pair in state.annotations for text in pair)


def test_read_input_stops_after_one_byte_too_many(tmp_path: Path) -> None:
    """An endless stdin is not read to its end."""
    fd = os.open("/dev/zero", os.O_RDONLY)
    try:
        assert len(read_input(fd)) == (1 << 20) + 1
    finally:
        os.close(fd)
    path = tmp_path / "state"
    path.write_bytes(RUNC_UP)
    fd = os.open(path, os.O_RDONLY)
    try:
        assert read_input(fd) == RUNC_UP
    finally:
        os.close(fd)


def test_read_file_is_bounded_by_what_there_is_to_read(tmp_path: Path) -> None:
    """What a device or procfs says of its size, which is 0, counts for nothing."""
    (tmp_path / "exact").write_bytes(b"x" * 100)
    assert read_file(str(tmp_path / "exact"), 100) == b"x" * 100
    with pytest.raises(RequestError, match="longer than 99 bytes"):
        read_file(str(tmp_path / "exact"), 99)
    with pytest.raises(RequestError, match="longer than 4096 bytes"):
        read_file("/dev/zero", 4096)
    assert read_file("/proc/self/comm", 64).endswith(b"\n")
    with pytest.raises(SystemFailure, match="directory"):
        read_file(str(tmp_path), 64)


def test_read_input_of_closed_descriptor_is_a_failure() -> None:
    """A runtime that closed stdin is told so."""
    with pytest.raises(SystemFailure, match="Bad file descriptor"):
        read_input(987)


def test_find_bundle_prefers_the_state_and_falls_back_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """crun releases that name a wrong bundle still run the hook in the right one."""
    bundle, elsewhere = tmp_path / "bundle", tmp_path / "elsewhere"
    bundle.mkdir()
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert find_bundle(State("x", bundle=str(bundle))) == str(bundle)
    assert find_bundle(State("x")) == ""
    (elsewhere / "config.json").touch()
    assert find_bundle(State("x", bundle=str(bundle))) == str(elsewhere)
    assert find_bundle(State("x")) == str(elsewhere)
    (bundle / "config.json").touch()
    assert find_bundle(State("x", bundle=str(bundle))) == str(bundle)


@pytest.mark.parametrize(
    ("config", "private"),
    [
        ('{"linux":{"namespaces":[{"type":"pid"},{"type":"network"}]}}', True),
        ('{"linux":{"namespaces":[{"type":"network","path":""}]}}', True),
        ('{"linux":{"namespaces":[{"type":"network","path":"/proc/7/ns/net"}]}}', False),
        ('{"linux":{"namespaces":[{"type":"pid"}]}}', False),
        ('{"linux":{}}', False),
        ('{"linux":{"namespaces":null}}', False),
        ('{"linux":{"namespaces":[7]}}', False),
        ("[]", False),
    ],
)
def test_has_private_sandbox_reads_the_network_entry(
    tmp_path: Path, config: str, private: bool
) -> None:
    """Only an entry without a path makes the runtime create a sandbox."""
    (tmp_path / "config.json").write_text(config)
    assert has_private_sandbox(str(tmp_path)) is private


def test_has_private_sandbox_of_unreadable_config_is_a_failure(tmp_path: Path) -> None:
    """No config and no JSON are told, with the path."""
    with pytest.raises(SystemFailure, match=r"config\.json: No such file"):
        has_private_sandbox(str(tmp_path))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(OcinetError, match="it is not JSON"):
        has_private_sandbox(str(tmp_path))
