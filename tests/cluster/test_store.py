"""The client and the fake, asked the same; and what only a real etcd does."""

from __future__ import annotations

import subprocess
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from contract import etcd as contract
from fakes.etcd import FakeEtcd
from hosts.cluster.etcd import EtcdMember
from hosts.namespace.isolation import in_namespaces
from ocinet.base.errors import OcinetError
from ocinet.cluster import gateway
from ocinet.cluster.access import Access, Endpoint
from ocinet.cluster.etcd import Etcd
from ocinet.cluster.gateway import AnswerError
from ocinet.cluster.store import Put, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_HERE = "127.0.0.1"


@contextmanager
def _etcd(directory: Path, *options: str, scheme: str = "http") -> Iterator[EtcdMember]:
    member = EtcdMember("one", _HERE, {"one": _HERE}, directory, options=options)
    member.scheme = scheme
    member.start()
    try:
        member.wait()
        yield member
    finally:
        member.stop()


@contextmanager
def _client(*urls: str, **access: Any) -> Iterator[Etcd]:
    client = Etcd(Access(tuple(map(Endpoint.parse, urls)), **access))
    try:
        yield client
    finally:
        client.close()


@in_namespaces
def test_real_etcd_answers_as_the_cluster_needs_it(tmp_path: Path) -> None:
    """All questions, one after the other, each to an empty one."""
    with _etcd(tmp_path) as member, _client(member.url) as client:
        for question in contract.QUESTIONS:
            member.ctl("del", "--prefix", "/")
            question(client)
        member.ctl("del", "--prefix", "/")
        contract.tells_of_compaction(client, member.compact)
        member.ctl("del", "--prefix", "/")
        contract.ends_leases(client, lambda lease: member.ctl("lease", "revoke", f"{lease:x}"))
        member.stop()
        contract.asks_nobody(client)


@pytest.mark.parametrize("question", contract.QUESTIONS)
def test_fake_etcd_answers_as_the_real_one(question: Callable[[object], None]) -> None:
    """Or what is tested with it were worth nothing."""
    question(FakeEtcd())


def test_fake_etcd_tells_of_leases_compaction_and_of_being_away() -> None:
    """Likewise."""
    fake = FakeEtcd()
    contract.ends_leases(fake, fake.end)
    fake = FakeEtcd()
    contract.tells_of_compaction(fake, fake.compact)
    fake.away = True
    contract.asks_nobody(fake)


@in_namespaces
def test_endpoint_that_does_not_answer_is_passed_over(tmp_path: Path) -> None:
    """And stays so: the next request goes to who answered last."""
    with _etcd(tmp_path) as member, _client(f"http://{_HERE}:1", member.url) as client:
        client.commit((), (Put("/t/a", b"v"),))
        assert client.endpoint == member.url


@in_namespaces
def test_connection_that_etcd_has_closed_is_opened_again(tmp_path: Path) -> None:
    """As a restart does; nobody is told."""
    with _etcd(tmp_path) as member, _client(member.url) as client:
        client.commit((), (Put("/t/a", b"v"),))
        member.stop()
        member.start()
        member.wait()
        assert len(client.scan("/t/").entries) == 1


@in_namespaces
def test_stream_is_broken_off_from_another_thread(tmp_path: Path) -> None:
    """Whoever waits in it goes on at once."""
    with _etcd(tmp_path) as member, _client(member.url) as client:
        began = time.monotonic()
        breaker = threading.Timer(0.3, client.break_off)
        breaker.start()
        with pytest.raises(UnreachableError), client.follow("/t/", 1) as changes:
            for _batch in changes:
                pass
        breaker.join()
        assert time.monotonic() - began < 20


@in_namespaces
def test_user_with_a_password_has_what_its_role_has(tmp_path: Path) -> None:
    """A token that has ended is another one's turn; what is not allowed is told."""
    password = tmp_path / "password"
    password.write_text("right\n")
    with _etcd(tmp_path, "--auth-token", "simple") as member:
        for words in (
            "role add ocinet", "role grant-permission ocinet readwrite --prefix=true /ocinet/v1/",
            "user add ocinet:right", "user grant-role ocinet ocinet", "user add root:root",
            "user grant-role root root", "auth enable",
        ):  # fmt: skip
            member.ctl(*words.split())
        as_whom = {"user": "ocinet", "password_file": str(password)}
        with _client(member.url, **as_whom) as client:
            client.commit((), (Put("/ocinet/v1/x", b"v"),))
            assert len(client.scan("/ocinet/v1/").entries) == 1
            with pytest.raises(AnswerError, match=r"permission denied.*below /ocinet/v1"):
                client.scan("/other/")
            client._gateway._token = str(1)  # one that etcd does not know
            assert len(client.scan("/ocinet/v1/").entries) == 1
        password.write_text("wrong\n")
        with _client(member.url, **as_whom) as client, pytest.raises(OcinetError, match="etcd"):
            client.scan("/ocinet/v1/")
        with _client(member.url) as client, pytest.raises(AnswerError, match="etcd refuses"):
            client.scan("/ocinet/v1/")


@pytest.mark.needs("openssl")
@in_namespaces
def test_tls_judges_etcd_and_shows_who_asks(tmp_path: Path) -> None:
    """By our own certificates; another one's is refused, with what helps."""
    paths = _certificates(tmp_path)
    options = ("--cert-file", paths["etcd.pem"], "--key-file", paths["etcd.key"],
               "--trusted-ca-file", paths["ca.pem"], "--client-cert-auth")  # fmt: skip
    own = {"ca": paths["ca.pem"], "cert": paths["host.pem"], "key": paths["host.key"]}
    member = EtcdMember("one", _HERE, {"one": _HERE}, tmp_path, options=options)
    member.scheme = "https"
    member.start()
    try:
        with _client(member.url, **own) as client:
            _until(lambda: client.scan("/t/").revision)
        with _client(member.url) as client, pytest.raises(UnreachableError) as failure:
            client.scan("/t/")
        assert "certificate is not accepted" in str(failure.value)
        assert "--ca names whom to trust" in failure.value.hint
        with _client(member.url, ca=paths["ca.pem"]) as client, pytest.raises(UnreachableError):
            client.scan("/t/")
        with (
            _client(member.url, ca=str(tmp_path / "none")) as client,
            pytest.raises(OcinetError, match="none: No such file"),
        ):
            client.scan("/t/")
    finally:
        member.stop()


@in_namespaces
def test_answer_that_has_no_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """In bytes, and in time: whoever stands at etcd's address."""
    monkeypatch.setattr(gateway, "ANSWER_S", 0.5)
    monkeypatch.setattr(gateway, "_LONGEST", 100_000)
    head = b"HTTP/1.1 200 OK\r\n"
    for said, why in (
        (head + b"\r\n" + b"x" * 300_000, "no end"),
        (head + b"Content-Length: 20\r\n\r\n{}", "etcd does not answer"),
        (head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "etcd does not answer"),
        (head + b"Content-Length: 2\r\n\r\n[]", "no JSON object"),
        (b"SSH-2.0-OpenSSH\r\n", "etcd does not answer"),
        (b"", "etcd does not answer"),
    ):
        with _saying(said) as port, _client(f"http://{_HERE}:{port}") as client:
            with pytest.raises(UnreachableError) as failure:
                client.scan("/t/")
            assert why in str(failure.value), said


@contextmanager
def _saying(said: bytes) -> Iterator[int]:
    """Listen, and say something to whoever comes, whatever is asked."""
    import socket

    with socket.socket() as listening:
        listening.bind((_HERE, 0))
        listening.listen()
        listening.settimeout(10)
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                try:
                    peer, _ = listening.accept()
                except OSError:
                    return
                with peer:
                    peer.settimeout(2)
                    try:
                        peer.recv(65536)
                        peer.sendall(said)
                        if said.startswith(b"HTTP/1.1 200 OK\r\nContent-Length: 20"):
                            ended.wait(2)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            ended.set()
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def _until(ask: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            ask()
        except UnreachableError:
            assert time.monotonic() < end
            time.sleep(0.1)
        else:
            return


def _certificates(directory: Path) -> dict[str, str]:
    """Make an authority, and certificates of it for etcd and for a host."""

    def openssl(words: str) -> None:
        subprocess.run(["openssl", *words.split()], check=True, capture_output=True, cwd=directory)

    new = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    openssl(f"req -x509 {new} -keyout ca.key -out ca.pem -days 3 -subj /CN=ca")
    (directory / "ext").write_text(
        f"subjectAltName=IP:{_HERE}\nextendedKeyUsage=serverAuth,clientAuth\n"
    )
    signed = "-CA ca.pem -CAkey ca.key -CAcreateserial -days 3 -extfile ext"
    for name in ("etcd", "host"):
        openssl(f"req {new} -keyout {name}.key -out {name}.csr -subj /CN={name}")
        openssl(f"x509 -req -in {name}.csr {signed} -out {name}.pem")
    return {path.name: str(path) for path in directory.iterdir()}


@in_namespaces
def test_page_that_has_no_end_is_asked_for_in_smaller_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of values that are none of ours: nobody is cut off by them, and no more of them is kept."""
    monkeypatch.setattr(gateway, "_LONGEST", 1 << 20)
    with _etcd(tmp_path) as member, _client(member.url) as client:
        for number in range(30):
            client.commit((), (Put(f"/t/{number:02}", b"x" * 200_000),))
        found = client.scan("/t/").entries
        assert [entry.key for entry in found] == [f"/t/{number:02}" for number in range(30)]
        assert {len(entry.value) for entry in found} == {(1 << 16) + 1}
        monkeypatch.setattr(gateway, "_LONGEST", 1 << 16)
        with pytest.raises(OcinetError, match="no end"):
            client.scan("/t/")
