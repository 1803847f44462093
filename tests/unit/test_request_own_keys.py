"""Whose word a key is, if the image carries keys as well."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocinet.base.errors import RequestError
from ocinet.request.annotations import DEFAULT_REQUEST, parse_annotations
from ocinet.request.own_keys import own_keys

# What an engine shows is what its user says over what the image carries. Told: what comes of it,
# as keys; "unasked" is what everyone gets. Each word is also what the image may say to cancel it.
TABLE = [
    # the user says            the image carries          what comes of it
    ({}, {}, "unasked"),
    ({"net": "lan"}, {}, {"net": "lan"}),
    ({"net": "lan"}, {"net": "dmz"}, {"net": "lan"}),
    ({"net": "none"}, {}, {"net": "none"}),
    ({"net": "none"}, {"net": "none"}, {"net": "none"}),
    ({"net": "none"}, {"net": "lan", "publish": "22:22"}, {"net": "none"}),
    ({"net": "none"}, {"net": "none", "gateway": "10.0.0.9"}, {"net": "none"}),
    ({}, {"net": "none"}, {"net": "none"}),
    ({"net": "vault"}, {"net": "vault"}, "refused"),
    ({}, {"net": "vault"}, "refused"),
    ({}, {"net": "host"}, "refused"),
    ({"net": "vault "}, {"net": "vault"}, {"net": "vault"}),
    ({"net": "vault", "publish": "80:80"}, {"net": "vault"}, "refused"),
    ({"net": "bridge"}, {"net": "bridge"}, "unasked"),
    ({}, {"net": "bridge:gateway=10.0.0.9"}, "refused"),
    ({"net": ""}, {"net": "vault"}, "unasked"),
    ({"net": "lan", "gateway": "10.0.0.9"}, {"gateway": "10.0.0.9"}, "refused"),
    ({"net": "lan", "gateway": "10.0.0.8"}, {"gateway": "10.0.0.9"},
     {"net": "lan", "gateway": "10.0.0.8"}),
    ({"net": "lan", "gateway": ""}, {"gateway": "10.0.0.9"}, {"net": "lan"}),
    ({"routes": "10.0.0.0/8"}, {"routes": "10.0.0.0/8"}, "refused"),
    ({"metric": "7"}, {"metric": "7"}, "refused"),
    ({"dns": "10.0.0.9"}, {"dns": "10.0.0.9"}, "refused"),
    ({}, {"dns": "10.0.0.9"}, "refused"),
    ({"dns": "10.0.0.8"}, {"dns": "10.0.0.9"}, {"dns": "10.0.0.8"}),
    ({"dns": ""}, {"dns": "10.0.0.9"}, "unasked"),
    ({}, {"add-host": "db:10.0.0.9"}, "refused"),
    ({}, {"link": "db"}, "refused"),
    ({"net": "lan"}, {"alias": "db", "hostname": "db"}, {"net": "lan"}),
    ({"net": "lan:alias=www"}, {"alias": "db"}, {"net": "lan:alias=www"}),
    ({"alias": "www"}, {"alias": "db"}, {"alias": "www"}),
    ({"net": "lan"}, {"dns-search": "evil.example", "dns-option": "ndots:9"}, {"net": "lan"}),
    ({"net": "lan"}, {"allow": "db", "expose": "22"}, {"net": "lan"}),
    ({"net": "lan", "allow": "db"}, {"allow": "db"}, {"net": "lan"}),
    ({"net": "lan", "allow": "db"}, {"egress": "none"},
     {"net": "lan", "allow": "db", "egress": "none"}),
    ({"egress": "none"}, {"egress": "none"}, {"net": "bridge", "egress": "none"}),
    ({"net": "lan", "egress": "any"}, {"egress": "none"}, {"net": "lan", "egress": "any"}),
    ({"net": "lan", "egress": ""}, {"egress": "none"}, {"net": "lan"}),
    ({"publish": "80:80"}, {"publish": "22:22"}, {"publish": "80:80"}),
    ({"publish": "22:22"}, {"publish": "22:22"}, "unasked"),
    ({"publish": ""}, {"publish": "22:22"}, "unasked"),
    ({"publish": ""}, {}, "refused"),
    ({"net": "lan", "ip": "10.9.0.5"}, {"ip": "10.9.0.5"}, {"net": "lan"}),
    ({"net": "lan"}, {"mac": "02:00:00:00:00:01", "name": "db", "mtu": "576", "x": "1"},
     {"net": "lan"}),
    ({"publish": "80:80"}, {"net": "none"}, "refused"),
]  # fmt: skip


def _keys(words: dict[str, str]) -> dict[str, str]:
    return {f"ocinet.{key}": text for key, text in words.items()}


@pytest.mark.parametrize(("says", "carries", "comes"), TABLE)
def test_own_keys_of_a_user_and_an_image_come_to_what_the_table_says(
    says: dict[str, str], carries: dict[str, str], comes: dict[str, str] | str
) -> None:
    """Never more than was asked for: what can't be told apart is less, or nothing at all."""
    image = frozenset(_keys(carries).items())
    shown = {**_keys(carries), **_keys(says)}
    own = own_keys(shown.items(), image)
    if comes == "refused":
        with pytest.raises(RequestError):
            own.request(lambda: False, lambda: DEFAULT_REQUEST)
        return
    wanted = DEFAULT_REQUEST if isinstance(comes, str) else parse_annotations(_keys(comes))
    assert own.request(lambda: False, lambda: DEFAULT_REQUEST) == wanted
    assert set(own.dropped) <= set(_keys(carries))


def test_own_keys_that_ask_for_the_default_network_are_refused_where_not_all_get_it() -> None:
    """With `select = "labelled"` its user may have asked for it, or not."""
    pair = ("ocinet.net", "bridge")
    own = own_keys([pair], frozenset([pair]))
    with pytest.raises(RequestError, match="so it may be the image's word alone"):
        own.request(lambda: False)
    assert own.request(lambda: False, lambda: DEFAULT_REQUEST) == DEFAULT_REQUEST


def test_own_keys_that_no_image_can_give_need_no_trust() -> None:
    """Docker's annotations are its user's, whatever is known of the image."""
    told = (("ocinet.net", "lan"), ("ocinet.publish", "80:80"))
    for carried in (None, frozenset(told)):
        request = own_keys(told, carried, told).request(lambda: False)
        assert request == parse_annotations(dict(told))
    mac = ("ocinet.mac", "02:00:00:00:00:01")
    with pytest.raises(RequestError, match="a MAC may be the image's wish"):
        own_keys([mac], None, told[:0]).request(lambda: False)


_WORD = st.sampled_from(["net", "publish", "gateway", "routes", "ip", "mtu", "name", "dns"])
_TEXTS = {
    "net": ["none", "vault", "lan", "bridge", "host"], "publish": ["80:80", "22:22"],
    "gateway": ["10.0.0.9"], "routes": ["10.0.0.0/8"], "ip": ["10.0.0.5"], "mtu": ["1400"],
    "name": ["db"], "dns": ["10.0.0.9"],
}  # fmt: skip
_PAIRS = st.dictionaries(_WORD, st.integers(0, 4)).map(
    lambda drawn: {key: _TEXTS[key][index % len(_TEXTS[key])] for key, index in drawn.items()}
)


@given(_PAIRS, _PAIRS)
def test_own_keys_whatever_an_image_carries_never_give_more(
    says: dict[str, str], carries: dict[str, str]
) -> None:
    """Beside an image that carries nothing: the same network, the same way out, no port more."""
    shown = {**_keys(carries), **_keys(says)}
    try:
        given_ = own_keys(shown.items(), frozenset(_keys(carries).items())).request(
            lambda: False, lambda: DEFAULT_REQUEST
        )
        asked = own_keys(_keys(says).items(), frozenset()).request(
            lambda: False, lambda: DEFAULT_REQUEST
        )
    except RequestError:
        return
    assert given_ is not None
    assert asked is not None
    if given_.mode == "none":
        return
    assert given_.mode == asked.mode
    assert [(end.network, end.gateway, end.routes) for end in given_.endpoints] == [
        (end.network, end.gateway, end.routes) for end in asked.endpoints
    ]
    assert set(given_.publish) <= set(asked.publish)
