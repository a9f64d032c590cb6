"""The vendors that are installed: the entry points of the group `batchstatus.vendors`.

Each file beside this one is a vendor of this package; a package of a third party registers its own. Only vendors import
generated clients.
"""

from __future__ import annotations

import functools
import inspect
import logging
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from batchstatus._core.account import Account, AccountOptions, variable_of
from batchstatus._core.errors import ConfigurationError
from batchstatus._core.values import VENDOR
from batchstatus._lazy import loading

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["VENDORS", "Vendors"]

GROUP = "batchstatus.vendors"

log = logging.getLogger("batchstatus")


def installed() -> list[EntryPoint]:
    """Return the entry points of all vendors; in a checkout that is not installed, those of the files beside this."""
    from importlib.metadata import EntryPoint, entry_points  # noqa: PLC0415 (15 ms, and few programs need it)

    found = [*entry_points(group=GROUP)]
    if not any(map(_is_ours, found)):
        names = [module.name for module in pkgutil.iter_modules(__path__)]
        found += [EntryPoint(name, f"{__name__}.{name}:{name.capitalize()}", GROUP) for name in names]
    return found


class Vendors(Mapping[str, type[Account]]):
    """The account class of each vendor, by the vendor's name in refs.

    Names are known without loading a class; a class is loaded when it is first asked for. One that cannot be used
    raises ConfigurationError, and leaves the others as they are.

    Args:
        find: Returns the entry points; called once, when they are first needed.
    """

    def __init__(self, find: Callable[[], Iterable[EntryPoint]] = installed) -> None:
        self._find = find
        self._classes: dict[str, type[Account]] = {}
        self._told: set[str] = set()

    def __getitem__(self, name: str) -> type[Account]:
        """Return a vendor's class.

        Raises:
            KeyError: There is no such vendor.
            ConfigurationError: It is registered, but cannot be used.
        """
        if name not in self._classes:
            self._classes[name] = _load(name, self._points[name])
        return self._classes[name]

    def __contains__(self, name: object) -> bool:
        return name in self._points

    def __iter__(self) -> Iterator[str]:
        return iter(self._points)

    def __len__(self) -> int:
        return len(self._points)

    def usable(self, names: Iterable[str] | None = None) -> dict[str, type[Account]]:
        """Return the classes that can be used, of these vendors or all; a warning tells of each of the others, once."""
        found = {}
        for name in self if names is None else names:
            try:
                found[name] = self[name]
            except ConfigurationError as error:
                if name not in self._told:
                    self._told.add(name)
                    log.warning("%s", error)
        return found

    def named_in(self, variables: Iterable[str]) -> list[str]:
        """Return the vendors of which there are environment variables; this loads no class."""
        there = [*variables]
        return [name for name in self if any(variable.startswith(variable_of(name, "")) for variable in there)]

    def variables(self) -> str:
        """Return, for people, the environment variables with the keys of each vendor."""
        return ", or ".join(" and ".join(vendor.environment_variables().values()) for vendor in self.usable().values())

    def problems(self) -> list[str]:
        """Return, for people, all that is wrong with registrations; this loads every class."""
        problems = []
        for name, points in self._points.items():
            try:
                self[name]
            except ConfigurationError as error:
                problems.append(str(error))
            else:
                problems += [
                    f"{name!r} is a vendor of batchstatus: that of {_package(point)} is not used; rename it there"
                    for point in points
                    if not _is_ours(point) and any(map(_is_ours, points))
                ]
        return problems

    def package(self, name: str) -> str:
        """Return the package that registers a vendor, with its version."""
        return _package(_chosen(self._points[name])[0])

    @functools.cached_property
    def _points(self) -> dict[str, list[EntryPoint]]:
        with loading():
            found = sorted(self._find(), key=lambda point: (point.name, point.value))
        points: dict[str, list[EntryPoint]] = {}
        for point in found:
            points.setdefault(point.name, []).append(point)
        return points


def _is_ours(point: EntryPoint) -> bool:
    return point.value.startswith(f"{__name__}.")


def _chosen(points: list[EntryPoint]) -> list[EntryPoint]:
    """Return those of the entry points of one name that count: another package cannot take over a vendor of this one,
    to which keys are sent.
    """
    return [point for point in points if _is_ours(point)] or points


def _load(name: str, points: list[EntryPoint]) -> type[Account]:
    """Return the class of the entry points of a name; raise ConfigurationError if it cannot be used."""
    point, *others = _chosen(points)
    if any(other.value != point.value for other in others):
        both = " and ".join(dict.fromkeys(map(_package, [point, *others])))
        raise ConfigurationError(f"two packages register the vendor {name!r}: {both}; uninstall one of them")
    cause: Exception | None = None
    try:
        with loading():
            found = point.load()
        problem = _problem(name, found)
    except Exception as error:  # noqa: BLE001 (whatever a third party's module raises)
        problem, cause = f"{type(error).__name__}: {error}", error
    if problem is None:
        kind: type[Account] = found
        return kind
    raise ConfigurationError(
        f"the vendor {name!r} of {_package(point)} cannot be used: {point.value}: {problem}; "
        "repair that package, or uninstall it"
    ) from cause


def _problem(name: str, found: object) -> str | None:
    """Return why an object cannot be the account class of a vendor, or None."""
    if not isinstance(found, type) or not issubclass(found, Account):
        return "this is not a subclass of batchstatus.Account"
    if missing := sorted(found.__abstractmethods__) or [part for part in REQUIRED if not hasattr(found, part)]:
        return f"it lacks {', '.join(missing)}"
    if found.vendor != name:
        return f"it says vendor = {found.vendor!r}; the entry point has the same name"
    if not VENDOR.fullmatch(name):
        return "a vendor's name is lower-case letters, digits, '_' and '-'"
    if missing := _not_taken(found):
        return f"it does not take {', '.join(missing)}"
    return _lost_schemes(found)


def _lost_schemes(found: type[Account]) -> str | None:
    """Return which words before keys would never be sent, or None."""
    headers = dict.fromkeys(found.KEY_HEADERS.values())
    unknown = [header for header in found.KEY_SCHEMES if header not in headers]
    said = f"KEY_SCHEMES has {', '.join(unknown)}, and the headers in KEY_HEADERS are {', '.join(headers)}"
    return said if unknown else None


def _not_taken(found: type[Account]) -> list[str]:
    """Return the parameters that a class lacks, and with which the command line and others make an account."""
    taken = inspect.signature(found).parameters
    if any(one.kind is one.VAR_KEYWORD for one in taken.values()):
        return []
    return [
        name for name in (*found.KEY_HEADERS, *found.SETTINGS, *AccountOptions.__annotations__) if name not in taken
    ]


REQUIRED = ("vendor", "BASE_URL", "KEY_HEADERS", "WORDS", "ERRORS", "ADVICE", "EXAMPLE_ID", "PROBE_ID")
"""The class attributes of Account that have no default."""


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else "this checkout"


VENDORS = Vendors()
"""The vendors of this environment."""
