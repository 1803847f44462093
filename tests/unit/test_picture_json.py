"""A picture as JSON: every key is what the docs say, and everything of a picture is in it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from fakes.pictures import few, hostile, linked, picture
from ocinet.picture.as_json import encode

_DOCS = Path(__file__).parents[2] / "docs" / "topology.md"


def _keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(_keys, value.values()))
    return set().union(*map(_keys, value)) if isinstance(value, list) else set()


def test_every_key_is_in_the_docs_and_none_is_there_that_is_not_written() -> None:
    """In the tables of docs/topology.md."""
    part = _DOCS.read_text().partition("\n## JSON")[2].partition("\n## ")[0]
    told = {
        key
        for row in re.findall(r"^\| (`.*?) \|", part, re.M)
        for key in re.findall(r"`(\w+)`", row)
    }
    assert told == _keys([encode(few()), encode(linked())])


def test_links_are_told_by_both_ends() -> None:
    """Each with the other's id."""
    web, db = encode(linked())["containers"]
    assert web["links"] == [
        {"link": "web-db", "name": "link0", "addresses": ["10.7.0.0/31"], "peer": "db-id"}
    ]
    assert db["links"][0]["peer"] == "web-id"


def test_containers_have_all_that_is_known_of_them() -> None:
    """What is not so is null, never an empty text."""
    told = encode(few())
    web, api, cache, tool, worker = told["containers"]
    assert [each["state"] for each in told["containers"]] == [
        "running", "running", "broken", "running", "refused",
    ]  # fmt: skip
    assert web["published"][1] == {
        "host_address": None, "host_port": 9000, "address": "10.9.0.2", "port": 9000,
        "protocol": "tcp", "network": "lan", "count": 10,
    }  # fmt: skip
    assert [each["addresses"] for each in api["interfaces"]] == [["10.9.0.3/24"], ["10.8.0.2/24"]]
    assert api["interfaces"][0]["figures"] == {
        "rx_bytes": 1500, "rx_packets": 10, "rx_dropped": 0,
        "tx_bytes": 2_000_000, "tx_packets": 20, "tx_dropped": 1, "refused": 3,
    }  # fmt: skip
    assert (web["why"], cache["hint"]) == (None, "ocinet check --repair cache")
    assert (tool["shares"], tool["interfaces"]) == ("web-id", [])
    assert (worker["mode"], worker["why"][:13]) == (None, "cannot attach")
    assert told["networks"][1]["pools"] == [
        {"family": 4, "subnet": "10.9.0.0/24", "gateway": "10.9.0.1", "size": 253, "used": 2,
         "reserved": 1}
    ]  # fmt: skip
    assert told["flaws"] == [
        {"what": "the table inet ocinet is gone", "hint": "ocinet check --repair"}
    ]


def test_any_name_comes_back_from_the_text() -> None:
    """Names are data: JSON has escapes for all of them."""
    shown = hostile()
    told = json.loads(json.dumps(encode(shown)))
    assert [each["name"] for each in told["containers"]] == [each.name for each in shown.containers]
    assert encode(picture(uplinks=()))["uplinks"] == []
