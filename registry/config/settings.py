"""All settings of one process with the place each came from: flag > environment > files > default."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from registry.config import hadoop_xml
from registry.config.keys import DEPRECATED, KEYS, OWN_PREFIX, Key, Kind
from registry.config.values import (
    OFF,
    BadSetting,
    parse_addresses,
    parse_bool,
    parse_bytes,
    parse_int,
    parse_ms,
    problem_with,
)
from registry.names import Address

__all__ = ["FILE_NAMES", "BadSetting", "Settings", "Value", "conf_dir_of", "load_settings"]

FILE_NAMES = ("core-site.xml", "hbase-site.xml")
"""In the order in which Hadoop loads them: the later wins."""

CONF_DIR_VARIABLE = "HBASE_CONF_DIR"
DEFAULT_ORIGIN = "default"
REDACTED = "******"
SECRET_WORDS = ("password", "secret", "credential")
"""What an unknown key must not contain for its value to be shown."""

_VARIABLES_NOT_KEYS = frozenset({"HBEACON_GUARD_LINK"})


@dataclass(frozen=True, slots=True)
class Value:
    """The text of a setting and where it was found."""

    text: str
    origin: str
    """For people: `--rpc`, `environment HBASE_MASTERS`, `/etc/hbase/conf/hbase-site.xml:12` or `default`."""


class Settings:
    """Immutable; every value of a known key has been checked, so getters of the right kind do not fail."""

    __slots__ = ("_values", "conf_dir", "warnings")

    def __init__(self, values: Mapping[str, Value], conf_dir: Path | None, warnings: tuple[str, ...]) -> None:
        self._values = values
        self.conf_dir = conf_dir
        """The directory that was read, None where there is none."""
        self.warnings = warnings
        """For the log: unknown and deprecated keys, overridden finals."""

    def __iter__(self) -> Iterator[str]:
        """Names of all keys: the known ones first, then what else the files hold."""
        yield from KEYS
        yield from sorted(name for name in self._values if name not in KEYS)

    def str_(self, key: str) -> str:
        """The text; empty where an unknown key is not set."""
        return self._value(key).text

    def int_(self, key: str) -> int:
        """A number."""
        return parse_int(self._value(key).text)

    def bool_(self, key: str) -> bool:
        """On or off."""
        return parse_bool(self._value(key).text)

    def choice(self, key: str) -> str:
        """One of the key's words, in lower case."""
        return self._value(key).text.strip().lower()

    def ms(self, key: str) -> int:
        """A duration in milliseconds."""
        text = self._value(key).text
        return parse_int(text) if KEYS[key].kind is Kind.MS_PLAIN else parse_ms(text)

    def bytes_(self, key: str) -> int:
        """A size in bytes."""
        return parse_bytes(self._value(key).text)

    def address(self, key: str) -> Address | None:
        """An address; None where the value is `off`."""
        text = self._value(key).text
        return None if text.strip().lower() == OFF else Address.parse(text)

    def addresses(self, key: str) -> tuple[Address, ...]:
        """A list of addresses; those without a port get hbase.master.port."""
        return parse_addresses(self._value(key).text, self.int_("hbase.master.port"))

    def origin(self, key: str) -> str:
        """Where the value came from, for people."""
        return self._value(key).origin

    def is_set(self, key: str) -> bool:
        """Whether anybody set the key: its value is not the default of the table."""
        return key in self._values

    def shown(self, key: str) -> str:
        """The text for pages and logs: credentials are stars."""
        known = KEYS.get(key)
        text = self._value(key).text
        secret = known.secret if known else any(word in key.lower() for word in SECRET_WORDS)
        return REDACTED if secret and text else text

    def changed_keys(self, other: Settings) -> frozenset[str]:
        """Names of the keys whose text differs."""
        names = set(self._values) | set(other._values)
        return frozenset(name for name in names if self.str_(name) != other.str_(name))

    def with_defaults(self, defaults: Mapping[str, str]) -> Settings:
        """The same, with other values for keys that nobody has set."""
        values = {name: Value(text, DEFAULT_ORIGIN) for name, text in defaults.items()}
        return Settings({**values, **self._values}, self.conf_dir, self.warnings)

    def bad(self, key: str, cure: str) -> BadSetting:
        """The error for a value that is well-formed but cannot be used, for the caller to raise."""
        return BadSetting(key, self.shown(key), self.origin(key), cure)

    def _value(self, key: str) -> Value:
        value = self._values.get(key)
        if value is not None:
            return value
        known = KEYS.get(key)
        return Value(known.default if known else "", DEFAULT_ORIGIN)


def conf_dir_of(environ: Mapping[str, str], flag: str | None) -> Path | None:
    """The directory of the configuration files: `--conf`, else HBASE_CONF_DIR, else none.

    Raises BadSetting where a directory is named that is not there.
    """
    text = flag if flag is not None else environ.get(CONF_DIR_VARIABLE, "")
    if not text:
        return None
    path = Path(text)
    if not path.is_dir():
        origin = "--conf" if flag is not None else f"environment {CONF_DIR_VARIABLE}"
        raise BadSetting(origin.split()[-1], text, origin, "no such directory: name the one that holds hbase-site.xml")
    return path.absolute()


def load_settings(
    flags: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    conf_dir: Path | str | None = None,
    flag_names: Mapping[str, str] | None = None,
) -> Settings:
    """Read and check everything.

    `flags` maps keys to the texts given on the command line, `flag_names` keys to the flag that set them. Without
    `conf_dir` HBASE_CONF_DIR is used. Reads files: not for the loop. Raises BadSetting, one line, for the
    first bad value.
    """
    environ = os.environ if environ is None else environ
    directory = conf_dir_of(environ, None if conf_dir is None else str(conf_dir))
    values, warnings = _from_files(directory, environ)
    _add_environment(values, warnings, environ)
    for name, text in (flags or {}).items():
        values[name] = Value(text, (flag_names or {}).get(name, "command line"))
    _rename_deprecated(values, warnings)
    for name, value in values.items():
        if (key := KEYS.get(name)) is not None:
            _check(key, value)
        elif name.startswith(OWN_PREFIX):
            warnings.append(_unknown(name, value.origin))
    return Settings(values, directory, tuple(warnings))


def system_properties(environ: Mapping[str, str]) -> dict[str, str]:
    """The Java system properties that configuration files use, as a JVM in our place would have them."""
    user = environ.get("USER") or environ.get("LOGNAME")
    home = environ.get("HOME")
    if not user or not home:
        import pwd

        try:
            entry = pwd.getpwuid(os.getuid())
        except KeyError:
            entry = None
        user = user or (entry.pw_name if entry else str(os.getuid()))
        home = home or (entry.pw_dir if entry else "/")
    # Java's name for the place is /tmp on Linux, whatever TMPDIR says.
    return {
        "user.name": user,
        "user.home": home,
        "user.dir": str(Path.cwd()),
        "java.io.tmpdir": "/tmp",
        "file.separator": "/",
        "os.name": "Linux",
    }


def _from_files(directory: Path | None, environ: Mapping[str, str]) -> tuple[dict[str, Value], list[str]]:
    if directory is None:
        return {}, []
    paths = [path for name in FILE_NAMES if (path := directory / name).exists()]
    warnings = [] if paths else [f"{directory} holds neither core-site.xml nor hbase-site.xml"]
    merged, finals = hadoop_xml.merge([hadoop_xml.read_properties(path) for path in paths])
    system = system_properties(environ) if merged else {}
    values: dict[str, Value] = {}
    for name, item in merged.items():
        text = hadoop_xml.expand(name, merged, environ, system)
        if name in KEYS and (variable := hadoop_xml.unbound_variable(text)) is not None:
            cure = f"${{{variable}}} is set nowhere: define {variable}, or write the value itself"
            raise BadSetting(name, item.value, item.origin, cure)
        values[name] = Value(text, item.origin)
    return values, warnings + finals


def _add_environment(values: dict[str, Value], warnings: list[str], environ: Mapping[str, str]) -> None:
    known: set[str] = set()
    for key in KEYS.values():
        variable = key.environment_name
        known.add(variable)
        text = environ.get(variable)
        if text is None or _is_service_link(variable, text):
            continue
        values[key.name] = Value(text, f"environment {variable}")
    own = (name for name in environ if name.startswith("HBEACON_") and name not in known)
    warnings.extend(
        _unknown(name, "the environment", known)
        for name in own
        if name not in _VARIABLES_NOT_KEYS and not _is_service_variable(name, environ)
    )


def _is_service_link(variable: str, text: str) -> bool:
    # Kubernetes gives every pod HBASE_MASTER_PORT=tcp://10.0.0.1:16000 when a service is called hbase-master.
    return variable.endswith("_PORT") and text.startswith(("tcp://", "udp://"))


def _is_service_variable(name: str, environ: Mapping[str, str]) -> bool:
    # The other variables of such a link: HBEACON_SERVICE_HOST, HBEACON_PORT_16000_TCP_ADDR, ...
    prefix = name
    while prefix:
        if _is_service_link(prefix + "_PORT", environ.get(prefix + "_PORT", "")):
            return True
        prefix = prefix.rpartition("_")[0]
    return False


def _rename_deprecated(values: dict[str, Value], warnings: list[str]) -> None:
    for old, new in DEPRECATED.items():
        value = values.get(old)
        if value is None:
            continue
        if new not in values:
            values[new] = Value(value.text, f"{value.origin}, as {old}")
        warnings.append(f"{old} (from {value.origin}) is deprecated: write {new}")


def _check(key: Key, value: Value) -> None:
    if not value.text.strip() and not key.default and key.kind is not Kind.ZNODE:
        return
    cure = problem_with(key, value.text)
    if cure:
        raise BadSetting(key.name, REDACTED if key.secret else value.text, value.origin, cure)


def _unknown(name: str, origin: str, candidates: set[str] | None = None) -> str:
    import difflib

    near = difflib.get_close_matches(name, list(candidates or KEYS), n=1, cutoff=0.6)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{name} (from {origin}) is not a setting of this version and is ignored{hint}"
