"""The operator's settings: one TOML file, drop-ins, and their compiled form.

    /etc/ocinet/ocinet.toml
    /etc/ocinet/ocinet.toml.d/*.toml     in the order of their names; the later wins
    /run/ocinet/settings.json            what they say, and which files said it

Parsing TOML costs more than wiring a container, so the hook reads the compiled
form. It counts only while every source is as it was: inode, size, change time.
A source that changed a moment ago is not compiled yet, for it could change
again within the same tick of the kernel's clock and look the same.
"""

from __future__ import annotations

import posix
from time import time_ns

from ocinet.base.address import Subnet
from ocinet.base.errors import OcinetError, RequestError, SystemFailure, UntrustedError
from ocinet.base.files import Directory, check_directory, check_file
from ocinet.base.jsontext import MAX_BYTES, dumps, loads
from ocinet.base.names import did_you_mean
from ocinet.engine.model.settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from ocinet.base.paths import Paths

    Source = list[str | int]

COMPILED = "settings.json"
_MAIN = "ocinet.toml"
_DROP_INS = "ocinet.toml.d"
_LONGEST_LOCK_TIMEOUT_S = 600
_LONGEST_INTERVAL_S = 86_400
_MOST = 65_535  # of what one container may have
_UNIX = "unix://"
_TICK_NS = 20_000_000  # longer than the coarsest kernel clock's, 10 ms at HZ=100


def load(paths: Paths, clock_ns: Callable[[], int] = time_ns) -> Settings:
    """Return the settings in force; the defaults where no file says otherwise.

    Args:
        paths: of the installation.
        clock_ns: the time of day.

    Raises:
        RequestError: a file is not TOML, or has an unknown key or a wrong
            value; names file and key.
        SystemFailure: a file is there and can't be read.
        UntrustedError: others than root may write to a file, to the directories that they
            are in, or to the run directory.

    Effects:
        Writes `RUN/settings.json` if it is missing or stale. Where that can't
        be written, the sources are parsed each time.
    """
    compiled = _read_compiled(paths)
    if compiled is not None:
        return compiled
    started_ns = clock_ns()
    sources = _sources(paths)
    given: dict[str, Any] = {}
    for directory in (paths.config, f"{paths.config}/{_DROP_INS}"):
        _check_directory(directory)
    main, _drop_ins, *shown = sources
    for source in (main, *shown):
        given.update(_read_toml(str(source[0])))
    settings = Settings(**_convert(given, paths.config))
    # One that is of later on was written before the clock was set back: the next change gets
    # another time all the same.
    if all(abs(started_ns - int(source[3])) > _TICK_NS for source in sources):
        _write_compiled(paths, sources, given)
    return settings


def load_or_defaults(paths: Paths) -> tuple[Settings, OcinetError | None]:
    """Return the settings in force, or the defaults and why the others can't be read.

    For who looks, or takes down what is recorded: a typo must not keep a
    container's address and ports from being given back.
    """
    try:
        return load(paths), None
    except OcinetError as error:
        return Settings(), error


def _check_directory(path: str) -> None:
    try:
        check_directory(path, posix.stat(path))
    except OSError:
        return  # it is not there; what else is wrong with it, reading tells


def _identify(path: str) -> Source:
    """Return what tells one state of a file or directory from another."""
    try:
        status = posix.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        # Not being there is a state as well, which ends when somebody writes the file.
        return [path, 0, 0, 0]
    except OSError as error:
        raise SystemFailure(f"cannot read {path}", error.strerror or str(error)) from error
    # The time of change: `cp -p` brings size and time of modification along.
    return [path, status.st_ino, status.st_size, status.st_ctime_ns]


def _sources(paths: Paths) -> list[Source]:
    """Identify the main file, the drop-ins' directory and the drop-ins, in their order."""
    directory = f"{paths.config}/{_DROP_INS}"
    # The directory's time of change tells of drop-ins that come and go.
    sources = [_identify(f"{paths.config}/{_MAIN}"), _identify(directory)]
    try:
        names = posix.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        names = []
    except OSError as error:
        raise SystemFailure(f"cannot read {directory}", error.strerror or str(error)) from error
    shown = [name for name in sorted(names) if name.endswith(".toml") and name[0] != "."]
    return sources + [_identify(f"{directory}/{name}") for name in shown]


def _read_compiled(paths: Paths) -> Settings | None:
    """Return the compiled settings, or None if there are none or they do not hold."""
    try:
        with Directory(paths.run) as run:
            data = run.read(COMPILED)
    except UntrustedError:
        raise  # whoever could write these could write all that is on record there
    except (OcinetError, OSError):
        return None  # whatever is wrong with it, the sources are the truth
    try:
        if data is None:
            return None
        compiled = loads(data, "cannot read the compiled settings")
        sources = compiled["sources"]
        # Two configurations (OCINET_CONFIG_DIR) may share one run directory.
        if sources[0][0] != f"{paths.config}/{_MAIN}":
            return None
        if any(_identify(source[0]) != source for source in sources):
            return None
        return Settings(**_convert(compiled["given"], COMPILED))
    except (OcinetError, OSError, KeyError, TypeError, IndexError):
        return None  # as above


def _write_compiled(paths: Paths, sources: list[Source], given: dict[str, Any]) -> None:
    try:
        with Directory(paths.run) as run:
            run.replace(COMPILED, dumps({"sources": sources, "given": given}))
    except OcinetError:
        return  # it saves time, no more


def _read_toml(path: str) -> dict[str, Any]:
    """Parse and check one file; a missing one says nothing."""
    what = f"cannot read {path}"
    try:
        with open(path, "rb") as file:
            check_file(path, posix.fstat(file.fileno()))
            data = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        if _is_link(path):  # what is meant to be in force must not get lost without a word
            raise RequestError(what, "it is a link to nothing", f"ls -l {path}") from None
        return {}
    except IsADirectoryError:  # as engines make it of a bind mount whose source is not there
        raise RequestError(what, "it is a directory", f"rmdir {path}") from None
    except OSError as error:
        raise SystemFailure(what, error.strerror or str(error)) from error
    if len(data) > MAX_BYTES:
        raise RequestError(what, f"it is longer than {MAX_BYTES} bytes")
    from tomllib import loads as parse  # 14 ms: only when a source has changed

    try:
        table = parse(data.decode())
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, UnicodeDecodeError
        raise RequestError(what, f"it is not TOML: {error}") from error
    _convert(table, path)
    return table


def _is_link(path: str) -> bool:
    try:
        return bool(posix.readlink(path))
    except OSError:
        return False


def _convert(table: dict[str, Any], path: str) -> dict[str, Any]:
    """Turn plain values into those of the fields.

    Raises:
        RequestError: a key is unknown or its value is of the wrong kind.
    """
    what = f"cannot read {path}"
    converted = {}
    for key, value in table.items():
        if key not in _KINDS:
            hint = did_you_mean(key, _KINDS) or f"known are: {', '.join(_KINDS)}"
            raise RequestError(what, f"unknown key {key!r}", hint)
        convert, kind = _KINDS[key]
        try:
            converted[key] = convert(value)
        except RequestError as error:
            raise RequestError(what, f"{key}: {error.why}", error.hint) from error
        except (TypeError, ValueError):
            raise RequestError(what, f"{key} must be {kind}, not {value!r}") from None
    return converted


def _boolean(value: Any) -> bool:
    if value is not True and value is not False:
        raise TypeError
    return value


def _selection(value: Any) -> str:
    if value not in ("all", "labelled"):
        raise ValueError
    return str(value)


def _seconds(longest: int) -> Callable[[Any], float]:
    def convert(value: Any) -> float:
        if isinstance(value, bool) or not 0 < value <= longest:
            raise ValueError
        return float(value)

    return convert


def socket_path(text: str) -> str:
    """Return the path of an engine's socket, given as it is or as `unix://PATH`.

    Raises:
        RequestError: it is no absolute path.
    """
    path = text.removeprefix(_UNIX)
    if not path.startswith("/"):
        raise RequestError("", f"{text!r} is no absolute path of a UNIX socket",
                           "a container must be on this machine to be wired")  # fmt: skip
    return path


def engine_sockets(settings: Settings, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the engines' sockets; `DOCKER_HOST` takes the place of Docker's.

    Raises:
        RequestError: `DOCKER_HOST` is no socket of this machine.
    """
    host = environment.get("DOCKER_HOST", "")
    if not host:
        return settings.engines
    try:
        dockers = socket_path(host)
    except RequestError as error:
        raise error.within("cannot use DOCKER_HOST") from error
    others = [path for path in settings.engines if not path.endswith("/docker.sock")]
    return tuple(dict.fromkeys((dockers, *others)))


def _sockets(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise TypeError
    return tuple(dict.fromkeys(socket_path(text) for text in value))


def _web(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    if not value:
        return ""
    from ocinet.engine.model.loopback import LoopbackPlace  # for the watcher's page alone

    return str(LoopbackPlace.parse(value))


def _metrics(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    if not value:
        return ""
    from ocinet.engine.model.metrics_place import MetricsPlace  # for the watcher alone

    return str(MetricsPlace.parse(value))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _pools(value: Any) -> tuple[Subnet, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise TypeError
    pools = tuple(Subnet.parse(text) for text in value)
    for index, pool in enumerate(pools):
        longest = 24 if pool.family == 4 else 64
        if pool.prefixlen > longest:
            raise RequestError("", f"{pool} is too small to take a /{longest} from")
        for other in pools[:index]:
            if pool.overlaps(other):
                raise RequestError("", f"{pool} overlaps {other}")
    if not any(pool.family == 4 for pool in pools):
        raise RequestError("", "there is no IPv4 subnet among them")
    return pools


def _count(most: int) -> Callable[[Any], int]:
    def convert(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError
        if not 0 < value <= most:
            raise ValueError
        return value

    return convert


_KINDS = {
    "pools": (_pools, "a list of subnets as text"),
    "ipv6": (_boolean, "true or false"),
    "select": (_selection, '"all" or "labelled"'),
    "trust_annotations": (_boolean, "true or false"),
    "forward_accept": (_boolean, "true or false"),
    "manage_sysctls": (_boolean, "true or false"),
    "guard_forwarding": (_boolean, "true or false"),
    "close_bridges": (_boolean, "true or false"),
    "names": (_boolean, "true or false"),
    "hold_ports": (_boolean, "true or false"),
    "lock_timeout_s": (
        _seconds(_LONGEST_LOCK_TIMEOUT_S),
        f"seconds, above 0 and at most {_LONGEST_LOCK_TIMEOUT_S}",
    ),
    "engines": (_sockets, "a list of sockets' paths"),
    "early_attach": (_boolean, "true or false"),
    "rejoin": (_boolean, "true or false"),
    "reconcile_interval_s": (
        _seconds(_LONGEST_INTERVAL_S),
        f"seconds, above 0 and at most {_LONGEST_INTERVAL_S}",
    ),
    "web": (_web, "an address of this machine with a port, as text"),
    "metrics": (_metrics, "a socket or an address of this machine with a port, as text"),
    "metrics_group": (_text, "a group's name, as text"),
    "max_networks": (_count(_MOST), f"a number from 1 to {_MOST}"),
    "max_addresses": (_count(_MOST), f"a number from 1 to {_MOST}"),
    "max_ports": (_count(_MOST), f"a number from 1 to {_MOST}"),
}
