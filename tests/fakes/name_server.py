"""A name server in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakes.kernel import _Seam
from fakes.trace import act, look
from ocinet.base.hostname import names_of_host
from ocinet.engine.model.name_holders import settle_names
from ocinet.engine.model.served import ServerState

if TYPE_CHECKING:
    from fakes.host import FakeHost
    from ocinet.engine.model.name_holders import Contested
    from ocinet.engine.model.served import ServedContainer, ServedNetwork


class FakeNameServer(_Seam):
    """See `seams.NameServer`.

    Attributes:
        served: what it knows, by network and container's id.
        missing: why nobody can be served, if so.
        resolvers: whom the host asks.
        runs: whether it does, or was killed.
        heads: the networks that are served, by name.
    """

    seam = "name_server"

    def __init__(self, host: FakeHost) -> None:
        super().__init__(host)
        self.served: dict[str, dict[str, ServedContainer]] = {}
        self.missing = ""
        self.resolvers: tuple[str, ...] = ()
        self.runs = True
        self.heads: dict[str, ServedNetwork] = {}
        self._news: dict[str, str] = {}

    @look
    def flaw(self, network: ServedNetwork) -> str:
        """Return why nobody can be served."""
        return "" if network.name in self.served else self.missing

    @act
    def enter(
        self,
        network: ServedNetwork,
        container: ServedContainer,
        contested: list[tuple[str, Contested]] | None = None,
    ) -> bool:
        """Note a container."""
        known = self.served.setdefault(network.name, {})
        self._news.pop(network.name, None)
        self.heads[network.name] = network
        text = "\n" + "".join(each.line for each in known.values())
        holding = settle_names(text, container.id, container.names, names_of_host(container.names))
        if contested is not None:
            contested += [(network.name, each) for each in holding.contested]
        for each in holding.contested:
            if each.holder == container.id:
                loser = known[each.loser]
                names = tuple(name for name in loser.names if name != each.name)
                known[each.loser] = loser.replace(names=names)
        container = container.replace(names=holding.names)
        if known.get(container.id) == container:
            return False
        known[container.id] = container
        return True

    @act
    def leave(self, network: str, container_id: str) -> bool:
        """Forget a container."""
        known = self.served.get(network, {})
        found = known.pop(container_id, None)
        if not known:
            self.served.pop(network, None)
        return found is not None

    @look
    def host_resolvers(self) -> tuple[str, ...]:
        """Return whom the host asks."""
        return self.resolvers

    @look
    def is_news(self, network: str, why: str) -> bool:
        """Tell whether another reason was noted last."""
        news = self._news.get(network) != why
        self._news[network] = why
        return news

    @look
    def texts(self) -> dict[str, str]:
        """Return who is known, as the server's files would have it."""
        return {
            f"net-{name}": self.heads[name].head + "".join(each.line for each in known.values())
            for name, known in self.served.items()
        }

    @look
    def state(self) -> ServerState:
        """Return that it runs where anybody is served."""
        return ServerState("/aardvark-dns", pid=1 if self.served and self.runs else 0)

    @act
    def wake(self) -> None:
        """Run again."""
        self.runs = True
