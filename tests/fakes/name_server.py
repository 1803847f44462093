"""A name server in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakes.kernel import SeamOfHost
from fakes.trace import act, look
from ocinet.base.hostname import names_of_host
from ocinet.engine.model.elsewhere import is_elsewhere, with_elsewhere
from ocinet.engine.model.name_holders import settle_names
from ocinet.engine.model.served import ServedContainer, ServerState

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.host import FakeHost
    from ocinet.engine.model.elsewhere import Elsewhere
    from ocinet.engine.model.name_holders import Contested
    from ocinet.engine.model.served import ServedNetwork


class FakeNameServer(SeamOfHost):
    """See `seams.NameServer`.

    Attributes:
        served: what it knows, by network and container's id.
        missing: why nobody can be served, if so.
        resolvers: whom the host asks.
        runs: whether it does, or was killed.
        heads: the networks that are served, by name.
        kept: who is on other hosts, by network.
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
        self.kept: dict[str, tuple[Elsewhere, ...]] = {}

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
        is_first = network.name not in self.served
        known = self.served.setdefault(network.name, {})
        self._news.pop(network.name, None)
        self.heads[network.name] = network
        if is_first:
            self.gather(network.name)
            known = self.served[network.name]
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
        if all(map(is_elsewhere, known)):
            self.served.pop(network, None)
        elif found:
            self.gather(network)
        return found is not None

    def gather(
        self, network: str, came: Callable[[str], tuple[str, str, str]] | None = None
    ) -> tuple[Contested, ...]:
        """Have those on other hosts among those here."""
        known = self.served[network]
        text = self.heads[network].head + "".join(each.line for each in known.values())
        there = self.kept.get(network, ())
        taken = names_of_host([name for each in there for name in (*each.own, *each.aliases)])
        merged = with_elsewhere(text, there, taken, came)
        named = {
            line.split(" ")[0]: tuple(line.split(" ")[3].split(","))
            for line in merged.text.splitlines()[self.heads[network].head.count("\n") :]
        }
        far = {each.key: ServedContainer(each.key, each.addresses, ()) for each in there}
        here = {key: each for key, each in known.items() if not is_elsewhere(key)}
        self.served[network] = {
            key: each.replace(names=named[key])
            for key, each in (far | here).items()
            if key in named
        }
        return merged.contested

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


class FakeNamesElsewhere(SeamOfHost):
    """See `seams.NamesElsewhere`; what it knows is the server's."""

    seam = "names_elsewhere"

    def __init__(self, host: FakeHost) -> None:
        super().__init__(host)
        self._server = host.name_server

    @look
    def there(self, network: str) -> tuple[Elsewhere, ...]:
        """Return whom it was told."""
        return self._server.kept.get(network, ())

    @look
    def networks(self) -> tuple[str, ...]:
        """List those of which it was told somebody."""
        return tuple(sorted(self._server.kept))

    @act
    def tell(
        self,
        network: str,
        there: tuple[Elsewhere, ...],
        came: Callable[[str], tuple[str, str, str]] | None,
        contested: list[tuple[str, Contested]],
    ) -> bool:
        """Note them."""
        self._server.kept[network] = there
        if not there:
            del self._server.kept[network]
        before = dict(self._server.served.get(network, {}))
        if not before:
            return False
        contested += [(network, each) for each in self._server.gather(network, came)]
        return self._server.served[network] != before
