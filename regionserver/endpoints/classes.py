"""Users' classes, endpoints and observers, by the names that tables and settings give them, and their instances.

Each region has one of each class, from its first call on. Importing and making them is users' code too: it is done in
threads, and for a limited time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import NamedTuple
from weakref import WeakKeyDictionary

from regionserver.endpoints.api import Endpoint
from regionserver.endpoints.observer import Observer
from regionserver.region.region import Region
from registry import coprocessors

logger = logging.getLogger("regionserver.endpoints")

Made = Endpoint | Observer
LOADING = "(loading)"
"""What loading counts as."""


class HostSettings(NamedTuple):
    """What the server says of coprocessors."""

    classes: Sequence[str] = ()
    """hbase.coprocessor.region.classes: of all regions."""
    user_classes: Sequence[str] = ()
    """hbase.coprocessor.user.region.classes: of all but those of the system."""
    timeout_ms: float = 30_000.0
    """hbeacon.endpoints.timeout: how long a user's endpoint may take."""
    observer_timeout_ms: float = 5_000.0
    """hbeacon.observers.timeout: how long the observers of a call may take, before it and again behind it."""
    of_tables: bool = True
    """hbase.coprocessor.user.enabled: classes that tables name are heeded, that of hbase:meta too."""


class Classes:
    """Those of one server. `load` and `make` are for threads."""

    def __init__(self, settings: HostSettings) -> None:
        self._from_settings = frozenset((*settings.classes, *settings.user_classes))
        self._known: dict[str, type[Made] | None] = {}
        """Those that were asked for; None where loading failed."""
        self._instances: WeakKeyDictionary[Region, dict[str, Made]] = WeakKeyDictionary()

    def unknown_of(self, names: Iterable[str]) -> list[str]:
        """Those that were not asked for yet."""
        return [name for name in names if name not in self._known]

    def get(self, name: str) -> type[Made] | None:
        """A class that `load` was asked for; None where it could not be loaded."""
        return self._known[name]

    def load(self, names: Iterable[str]) -> None:
        """Have them known."""
        for name in names:
            self._known[name] = _loaded(name, from_settings=name in self._from_settings)

    def instances(self, region: Region) -> dict[str, Made]:
        """What `make` fills; on the loop."""
        return self._instances.setdefault(region, {})

    def make(self, name: str, instances: dict[str, Made]) -> Made:
        """The region's instance of a class that is known. Raises what its constructor does."""
        made = instances.get(name)
        if made is None:
            kind = self._known[name]
            assert kind is not None, "who asks has looked"
            made = instances.setdefault(name, kind())
        return made


def _loaded(name: str, *, from_settings: bool) -> type[Made] | None:
    """A class that is installed under that name, or named as `module:Class` by the server's settings."""
    entry = coprocessors.installed().get(name)
    try:
        if entry is not None:
            made = entry.load()
        elif from_settings and ":" in name:
            module, _, attribute = name.partition(":")
            made = getattr(import_module(module), attribute)
        else:
            logger.warning("coprocessor %s is not installed", name)
            return None
        if not isinstance(made, type) or not (
            (issubclass(made, Endpoint) and made.service) or issubclass(made, Observer)
        ):
            raise TypeError(f"{name} is neither an Endpoint with a service nor an Observer")
    except Exception:
        logger.exception("coprocessor %s cannot be loaded", name)
        return None
    return made
