"""What holds for every request and every text, by generation and by fuzzing."""

from __future__ import annotations

import random
from time import thread_time

from hypothesis import given, settings
from hypothesis import strategies as st

from ocinet.base.address import Address, Subnet
from ocinet.base.errors import RequestError
from ocinet.engine.model.request import (
    REFUSING,
    EndpointRequest,
    Publish,
    Request,
    Route,
    metric_of,
)
from ocinet.engine.model.resolution import AddedHost, Alias, LinkedName, Resolution
from ocinet.request.annotations import KEYS, parse_annotations
from ocinet.request.spelling import to_annotations

# The machine may be busy with everything else; that is no fault of the code.
_names = st.from_regex(r"\A[a-z0-9][a-z0-9_.-]{0,20}\Z").filter(
    lambda name: name not in ("host", "none", "container", "default")
)
_ids = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9_.+-]{0,199}\Z")
_ifnames = st.from_regex(r"\A[A-Za-z][A-Za-z0-9_.-]{0,14}\Z").filter(
    lambda name: name not in ("lo", "all", "default")
)
_own4 = st.integers(1 << 24, (127 << 24) - 1).map(lambda value: Address(4, value))
_own6 = st.integers(0xFD << 120, (0xFE << 120) - 1).map(lambda value: Address(6, value))
_macs = st.integers(1, (1 << 48) - 1).filter(lambda value: not value >> 40 & 1).map(
    lambda value: ":".join(f"{value:012x}"[index : index + 2] for index in range(0, 12, 2))
)  # fmt: skip


@st.composite
def _routes(draw: st.DrawFn) -> Route:
    family = draw(st.sampled_from((4, 6)))
    bits = 32 if family == 4 else 128
    prefixlen = draw(st.integers(1, bits))
    value = draw(st.integers(0, (1 << prefixlen) - 1)) << (bits - prefixlen)
    kind = draw(st.sampled_from(("unicast", *REFUSING)))
    gateway = draw(st.none() | (_own4 if family == 4 else _own6)) if kind == "unicast" else None
    metric = metric_of(family, draw(st.integers(0, (1 << 32) - 1)))
    return Route(Subnet(family, value, prefixlen), gateway, metric, kind)


@st.composite
def _endpoints(draw: st.DrawFn) -> EndpointRequest:
    addresses = draw(st.lists(_own4, max_size=3, unique=True))
    addresses += draw(st.lists(_own6, max_size=3, unique=True))
    routes = draw(st.lists(_routes(), max_size=3, unique_by=lambda route: route.destination))
    default_route = draw(st.booleans())
    return EndpointRequest(
        draw(_names),
        tuple(addresses),
        draw(st.just("") | _macs),
        draw(st.just("") | _ifnames),
        draw(st.just(0) | st.integers(68, 65535)),
        draw(st.none() | _own4 | _own6) if default_route else None,
        tuple(routes),
        default_route,
        draw(st.integers(0, (1 << 32) - 1)),
    )


_protocols = st.sampled_from(("tcp", "udp", "sctp"))
_hosts_own = st.none() | _own4 | _own6 | st.just(Address(4, 0)) | st.just(Address(6, 0))
_ports = st.integers(1, 65535)
_ranges = st.tuples(_ports, _ports).filter(lambda ends: ends[0] < ends[1])
_publishes = st.builds(Publish, _protocols, _hosts_own, st.just(0) | _ports, _ports) | st.builds(
    Publish, _protocols, _hosts_own, st.just(0), _ports, _ranges
)


def _distinct(endpoints: list[EndpointRequest]) -> bool:
    for values in (
        [endpoint.network for endpoint in endpoints],
        [endpoint.ifname for endpoint in endpoints if endpoint.ifname],
        [endpoint.mac for endpoint in endpoints if endpoint.mac],
        [address for endpoint in endpoints for address in endpoint.addresses],
    ):
        if len(set(values)) < len(values):
            return False
    return True


_hosts = st.from_regex(r"\A[A-Za-z0-9_][A-Za-z0-9_-]{0,20}(\.[a-z0-9]{1,9}){0,3}\Z")
_dns_names = st.from_regex(r"\A[a-z_][a-z0-9_-]{0,20}(\.[a-z][a-z0-9]{0,8}){0,3}\Z")
_options = st.from_regex(r"\A[a-z][a-z0-9-]{0,9}(:[0-9]{1,5})?\Z")
_resolutions = st.builds(
    Resolution,
    st.lists(_own4 | _own6, max_size=3, unique=True).map(tuple),
    st.just((".",)) | st.lists(_hosts, max_size=4, unique=True).map(tuple),
    st.lists(_options, max_size=4, unique=True).map(tuple),
    st.lists(st.builds(AddedHost, _hosts, st.none() | _own4 | _own6), max_size=4, unique=True).map(
        tuple
    ),
    st.just("") | _dns_names,
    st.lists(st.builds(Alias, _dns_names), max_size=3, unique=True).map(tuple),
    st.lists(
        st.builds(LinkedName, _ids, _dns_names), max_size=3, unique_by=lambda linked: linked.name
    ).map(tuple),
).filter(lambda wishes: wishes != Resolution())


_bridged = st.builds(
    Request,
    st.just("bridge"),
    st.just(""),
    st.lists(_endpoints(), min_size=1, max_size=4).filter(_distinct).map(tuple),
    st.lists(
        _publishes,
        max_size=5,
        unique_by=lambda publish: (publish.protocol, publish.host_port or -publish.container_port),
    ).map(tuple),
    st.just("") | _ids,
    st.booleans(),
    st.none() | _resolutions,
    exposed=st.lists(st.sampled_from(("80/tcp", "53/udp", "9000/sctp")), unique=True).map(tuple),
)


@st.composite
def _with_aliases(draw: st.DrawFn) -> Request:
    """A request that has aliases on some of its networks."""
    request_ = draw(_bridged)
    names = st.lists(_dns_names, max_size=2, unique=True)
    aliases = [
        Alias(name, endpoint.network) for endpoint in request_.endpoints for name in draw(names)
    ]
    if not aliases:
        return request_
    wishes = request_.resolution or Resolution()
    flat = tuple(alias for alias in wishes.aliases if not alias.network)
    return request_.replace(resolution=wishes.replace(aliases=(*flat, *aliases)))


_others = st.builds(Request, st.sampled_from(("host", "none")), name=st.just("") | _ids)
_members = st.builds(Request, st.just("container"), _ids, name=st.just("") | _ids)


@given(_bridged | _with_aliases() | _others | _members)
def test_parse_of_spelled_request_is_that_request(request_: Request) -> None:
    """`to_annotations` and `parse_annotations` are each other's inverse."""
    assert parse_annotations(to_annotations(request_)) == request_


def _outcome(annotations: dict[str, str]) -> tuple[RequestError | None, Request | None]:
    try:
        return None, parse_annotations(annotations)
    except RequestError as error:
        return error, None


_pieces = st.sampled_from(
    ["ip=", "ip6=", "mac=", "lan", "dmz", "host", "container:", "db:", "10.0.0.1", "fd00::1", "::1"]
    + ["80", "0", "65536", "/udp", " via ", "\x00", "é", "\ud800", "%d"]
    + list("[]:;,-/ =.")
)
_texts = st.text(max_size=60) | st.lists(_pieces, max_size=12).map("".join)


@settings(max_examples=400)
@given(st.dictionaries(st.sampled_from(KEYS), _texts, max_size=4))
def test_parse_of_any_text_gives_a_request_or_one_line(annotations: dict[str, str]) -> None:
    """Whatever is written, the answer is a request that can be spelled, or a RequestError."""
    error, parsed = _outcome(annotations)
    if error:
        assert "\n" not in str(error)
        assert error.what
    if parsed:
        assert parse_annotations(to_annotations(parsed)) == parsed


@given(st.text(max_size=30).map(lambda text: f"ocinet.{text}"), _texts)
def test_parse_of_any_key_takes_the_known_ones_only(key: str, text: str) -> None:
    """A key with our prefix is one of the known ones, or refused."""
    try:
        parse_annotations({key: text})
    except RequestError:
        return
    assert key in KEYS


def _huge_texts() -> list[str]:
    dice = random.Random(7)  # noqa: S311  # no secret hangs on it
    noise = "".join(dice.choice("lan:ip=;,[]-/80. ") for _ in range(1 << 20))
    return [
        ";" * (1 << 20),
        "," * (1 << 20),
        ":" * (1 << 20),
        "9" * (1 << 20),
        "lan:" + "ip=10.0.0.1," * 80_000,
        ";".join(f"n{number}:" + ",".join(f"ip=10.{number}.0.{host}" for host in range(1, 65))
                 for number in range(32)),
        ",".join(f"10.0.{number >> 8}.{number & 255}:80:80" for number in range(1024)),
        "1-65535," * 100_000,
        noise,
    ]  # fmt: skip


def test_parse_of_huge_text_ends_in_time() -> None:
    """No text that fits a state makes the parser slow: hooks have a deadline."""
    # Its own time: that it did not get the processor is no fault of the parser's.
    for text in _huge_texts():
        for key in KEYS:
            started = thread_time()
            assert len(str(_outcome({key: text})[0])) < 500
            assert thread_time() - started < 1.0, (key, text[:40])
    started = thread_time()
    error, _ = _outcome({"ocinet." + "n" * (1 << 20): ""})
    assert error
    assert len(str(error)) < 500
    assert thread_time() - started < 1.0
