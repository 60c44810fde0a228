"""Words about tables and namespaces.

Source: hbase-shell/src/main/ruby/hbase/admin.rb, shell/commands/{create,alter,list,describe,...}.rb.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from registry.java_regex.parser import compile_pattern
from registry.shell.arguments import Arguments, UsageError, as_integer, as_keys, as_text
from registry.shell.attributes import COPROCESSOR, families_attributes, number_coprocessor, pairs, table_attributes
from registry.shell.language import Value
from registry.shell.splitting import bytes_binary, split_keys
from registry.shell.words import Shell, Word
from registry.wire.errors import DoNotRetryIOException, IOException

SPLITTING = ("SPLITS", "SPLITS_FILE", "NUMREGIONS", "SPLITALGO")
"""What a map without NAME may have besides attributes of the table."""
UNSET = ("table_att_unset", "table_conf_unset")
"""Methods of `alter` that take attributes away; HBase keeps configuration among them."""


async def list_tables(shell: Shell, arguments: Arguments) -> str:
    """Names of tables."""
    arguments.only(0, 1)
    pattern = arguments.text(0) if arguments.values else None
    _check_pattern(pattern or "")
    return _names(shell, "TABLE", await shell.hbase.admin.tables(pattern))


async def describe(shell: Shell, arguments: Arguments) -> str:
    """Attributes of a table and of its families."""
    arguments.only(1, 1)
    name = arguments.table()
    found = await shell.hbase.admin.describe(name)
    enabled = await shell.hbase.admin.is_enabled(name)
    if shell.as_json:
        shell.output.record(
            {
                "table": found.name,
                "enabled": enabled,
                "attributes": found.attributes,
                "configuration": found.configuration,
                "families": found.families,
            }
        )
        return ""
    shell.output.line(f"Table {found.name} is {'ENABLED' if enabled else 'DISABLED'}")
    shell.output.line(f"{found.name}{_shown({**found.attributes, **found.configuration})}")
    shell.output.line("COLUMN FAMILIES DESCRIPTION")
    for family, attributes in sorted(found.families.items()):
        shell.output.line(_shown({"NAME": family, **attributes}))
    return f"{len(found.families)} family(ies)"


async def create(shell: Shell, arguments: Arguments) -> str:
    """Make a table."""
    arguments.check_count(1, 1_000)
    name = arguments.table()
    families: dict[str, dict[str, str]] = {as_text(value): {} for value in arguments.values[1:]}
    options: dict[str, Value] = {}
    for each in arguments.maps:
        if "NAME" in each:
            families[as_text(each["NAME"])] = families_attributes(_without(each, "NAME"))
        else:
            options |= each
    if not families:
        raise UsageError("a table has one column family at least")
    _check_method(options, "table_att")
    attributes = table_attributes(_without(options, *SPLITTING, "METHOD"))
    number_coprocessor(attributes, {})
    await shell.hbase.admin.create_table(name, families, splits=_splits(options), attributes=attributes)
    shell.say({"created": name}, f"Created table {name}")
    return ""


async def alter(shell: Shell, arguments: Arguments) -> str:
    """Change a table."""
    arguments.check_count(1, 1_000)
    name, admin = arguments.table(), shell.hbase.admin
    families: dict[str, dict[str, str]] = {as_text(value): {} for value in arguments.values[1:]}
    removed: list[str] = []
    unset: list[str] = []
    attributes: dict[str, str] = {}
    for each in arguments.maps:
        _check_method(each, "delete", "table_att", *UNSET)
        if "delete" in each:
            removed += map(as_text, as_keys(each["delete"]))
            attributes |= table_attributes(_without(each, "delete"))
        elif each.get("METHOD") == b"delete":
            removed.append(as_text(each.get("NAME")))
        elif "METHOD" in each and as_text(each["METHOD"]) in UNSET:
            unset += map(as_text, as_keys(each.get("NAME")))
        elif "NAME" in each and "METHOD" not in each:
            families[as_text(each["NAME"])] = families_attributes(_without(each, "NAME"))
        else:
            attributes |= table_attributes(_without(each, "METHOD"))
    if not (families or removed or attributes or unset):
        raise UsageError("there is nothing to change")
    if COPROCESSOR in attributes:
        number_coprocessor(attributes, (await admin.describe(name)).attributes)
    await admin.alter_table(name, families, delete_families=removed, attributes=attributes, delete_attributes=unset)
    shell.say({"altered": name}, "All regions updated.")
    return ""


async def exists(shell: Shell, arguments: Arguments) -> str:
    """Whether there is such a table."""
    arguments.only(1, 1)
    name = arguments.table()
    found = await shell.hbase.admin.table_exists(name)
    shell.say({"exists": found}, f"Table {name} does {'' if found else 'not '}exist")
    return ""


async def is_enabled(shell: Shell, arguments: Arguments) -> str:
    """Whether a table is enabled."""
    arguments.only(1, 1)
    found = await shell.hbase.admin.is_enabled(arguments.table())
    shell.say({"enabled": found}, str(found).lower())
    return ""


async def is_disabled(shell: Shell, arguments: Arguments) -> str:
    """Whether a table is disabled."""
    arguments.only(1, 1)
    found = await shell.hbase.admin.is_disabled(arguments.table())
    shell.say({"disabled": found}, str(found).lower())
    return ""


async def truncate(shell: Shell, arguments: Arguments) -> str:
    """Delete all rows, regions become one."""
    return await _truncate(shell, arguments, preserve_splits=False)


async def truncate_preserve(shell: Shell, arguments: Arguments) -> str:
    """Delete all rows, regions stay."""
    return await _truncate(shell, arguments, preserve_splits=True)


async def _truncate(shell: Shell, arguments: Arguments, *, preserve_splits: bool) -> str:
    arguments.only(1, 1)
    name, admin = arguments.table(), shell.hbase.admin
    if await admin.is_enabled(name):
        shell.progress("disabling table...")
        await admin.disable_table(name)
    shell.progress("truncating table...")
    await admin.truncate_table(name, preserve_splits=preserve_splits)
    shell.say({"truncated": name}, f"Truncated table {name}")
    return ""


async def list_namespace(shell: Shell, arguments: Arguments) -> str:
    """Names of namespaces."""
    arguments.only(0, 0)
    return _names(shell, "NAMESPACE", sorted(await shell.hbase.admin.namespaces()))


async def list_namespace_tables(shell: Shell, arguments: Arguments) -> str:
    """Tables of a namespace."""
    arguments.only(1, 1)
    return _names(shell, "TABLE", await shell.hbase.admin.tables(namespace=arguments.text(0)))


async def describe_namespace(shell: Shell, arguments: Arguments) -> str:
    """What a namespace is configured with."""
    arguments.only(1, 1)
    name = arguments.text(0)
    found = await shell.hbase.admin.describe_namespace(name)
    shell.say({"namespace": name, "configuration": found}, _shown({"NAME": name, **found}))
    return ""


async def create_namespace(shell: Shell, arguments: Arguments) -> str:
    """Make a namespace."""
    arguments.check_count(1, 1)
    await shell.hbase.admin.create_namespace(arguments.text(0), pairs(_merged(arguments), "the configuration"))
    return ""


async def alter_namespace(shell: Shell, arguments: Arguments) -> str:
    """Set or unset what a namespace is configured with; what is not named stays."""
    arguments.check_count(1, 1)
    name, given = arguments.text(0), _merged(arguments)
    _check_method(given, "set", "unset")
    configuration = await shell.hbase.admin.describe_namespace(name)
    if given.get("METHOD") == b"unset":
        for key in map(as_text, as_keys(given.get("NAME"))):
            if configuration.pop(key, None) is None:
                raise UsageError(f"namespace {name} is not configured with {key}")
    else:
        configuration |= pairs(_without(given, "METHOD"), "the configuration")
    await shell.hbase.admin.alter_namespace(name, configuration)
    return ""


async def drop_namespace(shell: Shell, arguments: Arguments) -> str:
    """Delete an empty namespace."""
    arguments.only(1, 1)
    await shell.hbase.admin.delete_namespace(arguments.text(0))
    return ""


def _on_table(
    do: Callable[[Shell, str], Awaitable[None]],
) -> Callable[[Shell, Arguments], Awaitable[str]]:
    async def run(shell: Shell, arguments: Arguments) -> str:
        arguments.only(1, 1)
        await do(shell, arguments.table())
        return ""

    return run


async def _enable(shell: Shell, name: str) -> None:
    await shell.hbase.admin.enable_table(name)


async def _disable(shell: Shell, name: str) -> None:
    await shell.hbase.admin.disable_table(name)


async def _drop(shell: Shell, name: str) -> None:
    await shell.hbase.admin.delete_table(name)


def _merged(arguments: Arguments) -> dict[str, Value]:
    merged: dict[str, Value] = {}
    for each in arguments.maps:
        merged |= each
    return merged


def _check_pattern(pattern: str) -> None:
    """Raises UsageError for what is none, of which the master would be asked again and again."""
    try:
        compile_pattern(pattern)
    except DoNotRetryIOException:
        return  # more than is understood here: HBase itself may
    except IOException as error:
        raise UsageError(f"a pattern of Java is expected, such as abc.*: {error.message}") from None


def _names(shell: Shell, heading: str, names: Sequence[str]) -> str:
    shell.output.headings(heading)
    for name in names:
        shell.output.record({heading: name})
    return f"{len(names)} row(s)"


def _without(values: Mapping[str, Value], *names: str) -> dict[str, Value]:
    return {name: value for name, value in values.items() if name not in names}


def _check_method(values: Mapping[str, Value], *known: str) -> None:
    """Raises UsageError for what would be taken for something else."""
    method = values.get("METHOD")
    if method is not None and as_text(method) not in known:
        raise UsageError(f"METHOD is {' or '.join(known)} here, not {as_text(method)!r}")


def _splits(options: Mapping[str, Value]) -> list[bytes]:
    r"""Where the regions begin; \xHH is a byte, in any quotes. Reads SPLITS_FILE, a key on each line."""
    keys = as_keys(options.get("SPLITS"))
    if (file := options.get("SPLITS_FILE")) is not None:
        try:
            keys += Path(as_text(file)).read_bytes().splitlines()
        except OSError as error:
            raise UsageError(f"SPLITS_FILE {as_text(file)}: {error.strerror}") from None
    return split_keys(
        [bytes_binary(key) for key in keys],
        None if options.get("NUMREGIONS") is None else as_integer(options["NUMREGIONS"], "NUMREGIONS"),
        "" if options.get("SPLITALGO") is None else as_text(options["SPLITALGO"]),
    )


def _shown(values: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{name} => '{value}'" for name, value in values.items()) + "}" if values else ""


WORDS = (
    Word("list", "tables", "names of tables", ("list", "list 'abc.*'"), list_tables),
    Word(
        "describe",
        "tables",
        "attributes of a table and of its families",
        ("describe 'TABLE'",),
        describe,
        takes_table=True,
    ),
    Word(
        "create",
        "tables",
        "make a table",
        (
            "create 'TABLE', 'cf1', 'cf2'",
            "create 'TABLE', {NAME => 'cf', VERSIONS => 3, TTL => 86400}",
            "create 'TABLE', 'cf', SPLITS => ['10', '20', '30']",
            "create 'TABLE', 'cf', {NUMREGIONS => 15, SPLITALGO => 'HexStringSplit'}",
        ),
        create,
    ),
    Word(
        "alter",
        "tables",
        "change a table: add or change families, delete some, set attributes",
        (
            "alter 'TABLE', {NAME => 'cf', VERSIONS => 5}",
            "alter 'TABLE', 'delete' => 'cf'",
            "alter 'TABLE', DURABILITY => 'ASYNC_WAL'",
            "alter 'TABLE', CONFIGURATION => {'KEY' => 'VALUE'}",
            "alter 'TABLE', METHOD => 'table_att_unset', NAME => 'KEY'",
        ),
        alter,
        takes_table=True,
    ),
    Word("enable", "tables", "open a disabled table", ("enable 'TABLE'",), _on_table(_enable), takes_table=True),
    Word("disable", "tables", "close a table", ("disable 'TABLE'",), _on_table(_disable), takes_table=True),
    Word("drop", "tables", "delete a disabled table", ("drop 'TABLE'",), _on_table(_drop), takes_table=True),
    Word("exists", "tables", "whether there is such a table", ("exists 'TABLE'",), exists),
    Word("is_enabled", "tables", "whether a table is enabled", ("is_enabled 'TABLE'",), is_enabled, takes_table=True),
    Word(
        "is_disabled",
        "tables",
        "whether a table is disabled",
        ("is_disabled 'TABLE'",),
        is_disabled,
        takes_table=True,
    ),
    Word(
        "truncate",
        "tables",
        "delete all rows; one region is left",
        ("truncate 'TABLE'",),
        truncate,
        takes_table=True,
    ),
    Word(
        "truncate_preserve",
        "tables",
        "delete all rows; regions stay",
        ("truncate_preserve 'TABLE'",),
        truncate_preserve,
        takes_table=True,
    ),
    Word("list_namespace", "namespaces", "names of namespaces", ("list_namespace",), list_namespace),
    Word(
        "list_namespace_tables",
        "namespaces",
        "tables of a namespace",
        ("list_namespace_tables 'NS'",),
        list_namespace_tables,
    ),
    Word(
        "describe_namespace",
        "namespaces",
        "what it is configured with",
        ("describe_namespace 'NS'",),
        describe_namespace,
    ),
    Word(
        "create_namespace",
        "namespaces",
        "make a namespace",
        ("create_namespace 'NS', {'KEY' => 'VALUE'}",),
        create_namespace,
    ),
    Word(
        "alter_namespace",
        "namespaces",
        "configure a namespace",
        ("alter_namespace 'NS', {'KEY' => 'VALUE'}", "alter_namespace 'NS', METHOD => 'unset', NAME => 'KEY'"),
        alter_namespace,
    ),
    Word("drop_namespace", "namespaces", "delete an empty namespace", ("drop_namespace 'NS'",), drop_namespace),
)
