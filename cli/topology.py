"""topology: what is there and what is wrong, as a picture."""

from __future__ import annotations

import os

from ocinet.cli.colours import paint
from ocinet.cli.command_tree import Command
from ocinet.cli.parser import Parser, add_json, add_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from ocinet.cli.console import Console
    from ocinet.picture.values import Picture

FORMATS = ("tree", "dot", "mermaid", "svg", "json")


def _configure(parser: Parser) -> None:
    says = "a container by its name, its id or the start of that (default: all)"
    parser.add_argument("names", metavar="CONTAINER", nargs="*", help=says)
    says = "show that network and who is on it (default: all)"
    add_text(parser, "--net", "--network", metavar="NETWORK", says=says)
    says = "how to print: tree, dot (graphviz's), mermaid, svg or json (default: tree)"
    parser.add_argument("--format", choices=FORMATS, default="tree", metavar="FORM", help=says)
    add_json(parser)
    parser.examples(
        "ocinet topology",
        "ocinet topology --network lan",
        "ocinet topology --format svg > host.svg",
        "ocinet topology --format dot | dot -Tpdf > host.pdf",
    )


def _topology(arguments: Namespace, console: Console) -> None:
    from ocinet.picture.grouping import chosen
    from ocinet.picture.observe import take

    with console.engine() as engine:
        picture = take(engine, console.paths.run)
    picture = chosen(picture, tuple(arguments.names), arguments.net or "")
    cluster = None if arguments.names or arguments.net else _cluster(console)
    console.write(_rendered(picture, arguments.format, console, cluster))


def _cluster(console: Console) -> dict[str, Any] | None:
    """Return the cluster that this host is in, if it is in one."""
    if not os.path.isdir(f"{console.paths.state}/cluster"):
        return None
    from ocinet.cluster.examined import shown  # a single host loads nothing of it

    return shown(console.paths)


def _rendered(picture: Picture, form: str, console: Console, cluster: dict[str, Any] | None) -> str:
    """Return a picture in a format; each is imported for who asks for it."""
    if form == "json":
        import json

        from ocinet.picture.as_json import encode

        drawn = encode(picture) | ({"cluster": cluster} if cluster else {})
        return json.dumps(drawn, indent=4) + "\n"
    if form == "dot":
        from ocinet.picture.dot import render as render_dot

        return render_dot(picture)
    if form == "mermaid":
        from ocinet.picture.mermaid import render as render_mermaid

        return render_mermaid(picture)
    if form == "svg":
        from ocinet.picture.svg import render as render_svg

        return render_svg(picture)
    return _tree(picture, console) + (_hosts(cluster) if cluster else "")


def _hosts(cluster: dict[str, Any]) -> str:
    """Return the lines of a cluster's hosts, as they stand below the tree."""
    own = ", ".join(cluster["shares"]) or "no share"
    lines = [f"cluster {cluster['name']} by {cluster['backend']}: {cluster['host']} has {own}"]
    for host in cluster["hosts"]:
        shares = ", ".join(host["shares"]) or "no share"
        heard = "" if host["heard"] else ", not heard"
        lines.append(f"  {host['name']} at {', '.join(host['underlay'])}: {shares}{heard}")
    return "\n".join(lines) + "\n"


def _tree(picture: Picture, console: Console) -> str:
    from shutil import get_terminal_size

    from ocinet.cli.colours import BAD, GOOD, HINT
    from ocinet.picture import tree

    colours = {tree.GOOD: GOOD, tree.BAD: BAD, tree.HINT: HINT}

    def painted(text: str, kind: str) -> str:
        return paint(text, colours[kind], console.stdout, console.environment)

    columns = get_terminal_size((100, 24)).columns
    look = tree.Look(columns, _has_unicode(console), painted)
    return "".join(f"{line}\n" for line in tree.render(picture, look))


def _has_unicode(console: Console) -> bool:
    """Tell whether all that is drawn can be written where it goes to."""
    try:
        "├└│→●✗⊘◌◐†↓↑…".encode(console.stdout.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


COMMANDS = {"topology": Command(_configure, _topology)}
