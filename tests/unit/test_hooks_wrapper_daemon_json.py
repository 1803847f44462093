"""Naming a runtime in daemon.json: every other byte stays, and all of it comes back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocinet.base.errors import ConflictError, RequestError
from ocinet.hooks.registration.docker_daemon import is_empty, launchers, register, unregister

PATH = "/usr/local/sbin/ocinet-runtime"

GOLDEN = {
    "": """\
{
    "runtimes": {
        "ocinet": {
            "path": "/usr/local/sbin/ocinet-runtime"
        }
    }
}
""",
    '{\n  "log-driver": "journald",\n  "dns": ["1.1.1.1", "9.9.9.9"]\n}\n': """\
{
  "log-driver": "journald",
  "dns": ["1.1.1.1", "9.9.9.9"],
  "runtimes": {
    "ocinet": {
      "path": "/usr/local/sbin/ocinet-runtime"
    }
  }
}
""",
    '{\n\t"runtimes": {\n\t\t"nvidia": {"path": "x", "runtimeArgs": []}\n\t},\n\t"a": 1\n}': """\
{
\t"runtimes": {
\t\t"nvidia": {"path": "x", "runtimeArgs": []},
\t\t"ocinet": {
\t\t\t"path": "/usr/local/sbin/ocinet-runtime"
\t\t}
\t},
\t"a": 1
}""",
    '{\r\n  "a": 1\r\n}\r\n': (
        '{\r\n  "a": 1,\r\n  "runtimes": {\r\n    "ocinet": {\r\n      '
        '"path": "/usr/local/sbin/ocinet-runtime"\r\n    }\r\n  }\r\n}\r\n'
    ),
    '{"debug":true}': '{"debug":true, "runtimes": {"ocinet": {"path": "' + PATH + '"}}}',
    '{ "a,{": "}" , "runtimes" : {} }': (
        '{ "a,{": "}" , "runtimes" : {"ocinet": {"path": "' + PATH + '"}} }'
    ),
}


@pytest.mark.parametrize("before", GOLDEN)
def test_register_adds_in_the_style_of_the_file(before: str) -> None:
    """What stands around it tells how to write it."""
    assert register(before, "ocinet", PATH) == GOLDEN[before]


def test_register_default_names_it_twice() -> None:
    """And again changes nothing."""
    text = register('{"a": 1}\n', "ocinet", PATH, default=True)
    assert json.loads(text)["default-runtime"] == "ocinet"
    assert register(text, "ocinet", PATH, default=True) == text
    assert register(text, "ocinet", PATH) == text
    assert unregister(text, "ocinet", PATH) == '{"a": 1}\n'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("// Docker\n{}", "it is not JSON"),
        ('{"a": 1, /* debug */ "b": 2}', "it is not JSON"),
        ('{"a": 1,}', "it is not JSON"),
        ("\ufeff{}", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("[]", "it is no JSON object"),
        ('"x"', "it is no JSON object"),
        ('{"runtimes": []}', "its runtimes is no object"),
        ('{"runtimes": null}', "its runtimes is no object"),
        ('{"a": 1, "a": 2}', 'it has the key "a" twice'),
        ('{"runtimes": {"x": {}, "x": {}}}', 'it has the key "x" twice'),
    ],
)
def test_register_in_odd_content_is_refused(text: str, why: str) -> None:
    """One clear error, whichever way it goes."""
    for act in (register, unregister):
        with pytest.raises(RequestError) as caught:
            act(text, "ocinet", PATH)
        assert why in str(caught.value)


@pytest.mark.parametrize("entry", [{"path": "/usr/bin/other"}, {}, None, "x", {"path": 7}])
def test_register_of_a_name_of_somebody_else_is_refused(entry: Any) -> None:
    """And unregister leaves it there."""
    text = json.dumps({"runtimes": {"ocinet": entry}, "default-runtime": "ocinet"})
    if entry is not None:
        with pytest.raises(ConflictError, match="its runtime ocinet is another one"):
            register(text, "ocinet", PATH)
    assert unregister(text, "ocinet", PATH) == text


@pytest.mark.parametrize("chosen", ["nvidia", "runc", 7])
def test_register_default_over_another_one_is_refused(chosen: object) -> None:
    """What can't be put back is not taken away."""
    text = json.dumps({"default-runtime": chosen})
    with pytest.raises(ConflictError, match=f"its default-runtime is {chosen} already"):
        register(text, "ocinet", PATH, default=True)
    added = register(text, "ocinet", PATH)
    assert unregister(added, "ocinet", PATH) == text


def test_unregister_keeps_the_runtimes_of_others() -> None:
    """First, middle or last."""
    names = ("a", "ocinet", "z")
    for order in (names, names[::-1], ("ocinet", "a", "z")):
        runtimes = {name: {"path": PATH if name == "ocinet" else name} for name in order}
        text = json.dumps({"x": 1, "runtimes": runtimes}, indent=2)
        after = json.loads(unregister(text, "ocinet", PATH))
        assert after == {"x": 1, "runtimes": {"a": {"path": "a"}, "z": {"path": "z"}}}


def test_launchers_and_emptiness_are_told() -> None:
    """Whatever else stands in `runtimes`."""
    assert launchers(json.dumps({"runtimes": {"a": {"path": "/a"}, "b": {}, "c": 5}})) == ("/a",)
    assert launchers("") == launchers("{}") == ()
    assert is_empty("{ }\n")
    assert not is_empty('{"a": null}')


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
_runtimes = st.dictionaries(
    st.sampled_from(["nvidia", "a", "ocinet2"]),
    st.fixed_dictionaries({"path": st.sampled_from(["/x", "}", '",{'])}),
    min_size=1,
)
_configs = st.dictionaries(
    st.sampled_from(["debug", "a,b", 'q"', "{", "é"]), _values, max_size=4
).flatmap(
    lambda config: st.just(config) | _runtimes.map(lambda found: {**config, "runtimes": found})
)
_styles = st.sampled_from(
    [{}, {"indent": 2}, {"indent": "\t"}, {"indent": 0}, {"separators": (",", ":")},
     {"indent": 4, "ensure_ascii": False}, {"separators": (" ,\n\n ", "\t: ")}]
)  # fmt: skip


@given(_configs, _styles, st.sampled_from(["", "\n", "\r\n"]), st.booleans(), st.booleans())
def test_unregister_of_what_register_added_is_the_text(
    config: dict[str, Any], style: dict[str, Any], end: str, default: bool, windows: bool
) -> None:
    """Byte for byte, in every style; and in between, it is what it was and ours."""
    text = json.dumps(config, **style) + end
    if windows:
        text = text.replace("\n", "\r\n").replace("\r\r", "\r")
    added = register(text, "ocinet", PATH, default=default)
    wanted: dict[str, Any] = {
        **config,
        "runtimes": {**config.get("runtimes", {}), "ocinet": {"path": PATH}},
    }
    assert json.loads(added) == (wanted | {"default-runtime": "ocinet"} if default else wanted)
    assert list(json.loads(added))[: len(config)] == list(config)
    assert unregister(added, "ocinet", PATH) == text
