"""Words about tables and namespaces.

Source: hbase-shell/src/main/ruby/hbase/admin.rb, shell/commands/{create,alter,list,describe,...}.rb.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from registry.client.admin.schema import AttributeValue, TableDescriptor
from registry.shell.arguments import Arguments, UsageError, as_integer, as_key, as_keys
from registry.shell.language import Value
from registry.shell.splitting import split_keys
from registry.shell.words import Shell, Word

TABLE_OPTIONS = ("SPLITS", "NUMREGIONS", "SPLITALGO", "METHOD", "METADATA", "CONFIGURATION", "OWNER")
"""What a map without NAME may have besides attributes of the table."""
DELETE_METHODS = ("delete",)
UNSET_METHODS = ("table_att_unset",)


async def list_tables(shell: Shell, arguments: Arguments) -> str:
    """Names of tables."""
    arguments.check_count(0, 1)
    arguments.options()
    names = await shell.hbase.admin.tables(arguments.text(0) if arguments.values else None)
    shell.output.headings("TABLE")
    for name in names:
        shell.output.record({"TABLE": name})
    return f"{len(names)} row(s)"


async def describe(shell: Shell, arguments: Arguments) -> str:
    """Attributes of a table and of its families."""
    arguments.check_count(1, 1)
    name = arguments.text(0)
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
    shell.output.line(f"{found.name}{_shown({**found.attributes, **_configuration(found)})}")
    shell.output.line("COLUMN FAMILIES DESCRIPTION")
    for family, attributes in sorted(found.families.items()):
        shell.output.line(_shown({"NAME": family, **attributes}))
    return f"{len(found.families)} family(ies)"


async def create(shell: Shell, arguments: Arguments) -> str:
    """Make a table."""
    arguments.check_count(1, 1_000)
    name = arguments.text(0)
    families: dict[str, dict[str, AttributeValue]] = {as_key(value).decode(): {} for value in arguments.values[1:]}
    options: dict[str, Value] = {}
    for each in arguments.maps:
        if "NAME" in each:
            family = as_key(each["NAME"]).decode()
            families[family] = _attributes({key: value for key, value in each.items() if key != "NAME"})
        else:
            options.update(each)
    if not families:
        raise UsageError("a table has one column family at least")
    splits = split_keys(
        as_keys(options.get("SPLITS")),
        None if options.get("NUMREGIONS") is None else as_integer(options["NUMREGIONS"], "NUMREGIONS"),
        "" if options.get("SPLITALGO") is None else as_key(options["SPLITALGO"]).decode(),
    )
    await shell.hbase.admin.create_table(name, families, splits=splits, attributes=_table_attributes(options))
    shell.say({"created": name}, f"Created table {name}")
    return ""


async def alter(shell: Shell, arguments: Arguments) -> str:
    """Change a table."""
    arguments.check_count(1, 1_000)
    name = arguments.text(0)
    families: dict[str, dict[str, AttributeValue]] = {as_key(value).decode(): {} for value in arguments.values[1:]}
    removed: list[str] = []
    attributes: dict[str, AttributeValue] = {}
    for each in arguments.maps:
        method = as_key(each.get("METHOD") or b"").decode()
        if "delete" in each:
            removed += [key.decode() for key in as_keys(each["delete"])]
        elif method in DELETE_METHODS:
            removed.append(as_key(each.get("NAME")).decode())
        elif method in UNSET_METHODS:
            raise UsageError("attributes of tables cannot be unset here: set them to what they are by default")
        elif "NAME" in each and method != "table_att":
            family = as_key(each["NAME"]).decode()
            families[family] = _attributes({key: value for key, value in each.items() if key != "NAME"})
        else:
            attributes |= _table_attributes(each)
    if not (families or removed or attributes):
        raise UsageError("there is nothing to change")
    await shell.hbase.admin.alter_table(name, families, delete_families=removed, attributes=attributes)
    shell.say({"altered": name}, "All regions updated.")
    return ""


async def exists(shell: Shell, arguments: Arguments) -> str:
    """Whether there is such a table."""
    arguments.check_count(1, 1)
    name = arguments.text(0)
    found = await shell.hbase.admin.table_exists(name)
    shell.say({"exists": found}, f"Table {name} does {'' if found else 'not '}exist")
    return ""


async def is_enabled(shell: Shell, arguments: Arguments) -> str:
    """Whether a table is enabled."""
    arguments.check_count(1, 1)
    found = await shell.hbase.admin.is_enabled(arguments.text(0))
    shell.say({"enabled": found}, str(found).lower())
    return ""


async def is_disabled(shell: Shell, arguments: Arguments) -> str:
    """Whether a table is disabled."""
    arguments.check_count(1, 1)
    found = await shell.hbase.admin.is_disabled(arguments.text(0))
    shell.say({"disabled": found}, str(found).lower())
    return ""


async def truncate(shell: Shell, arguments: Arguments) -> str:
    """Delete all rows, regions become one."""
    return await _truncate(shell, arguments, preserve_splits=False)


async def truncate_preserve(shell: Shell, arguments: Arguments) -> str:
    """Delete all rows, regions stay."""
    return await _truncate(shell, arguments, preserve_splits=True)


async def _truncate(shell: Shell, arguments: Arguments, *, preserve_splits: bool) -> str:
    arguments.check_count(1, 1)
    name, admin = arguments.text(0), shell.hbase.admin
    if await admin.is_enabled(name):
        shell.progress("disabling table...")
        await admin.disable_table(name)
    shell.progress("truncating table...")
    await admin.truncate_table(name, preserve_splits=preserve_splits)
    shell.say({"truncated": name}, f"Truncated table {name}")
    return ""


async def list_namespace(shell: Shell, arguments: Arguments) -> str:
    """Names of namespaces."""
    arguments.check_count(0, 0)
    names = sorted(await shell.hbase.admin.namespaces())
    shell.output.headings("NAMESPACE")
    for name in names:
        shell.output.record({"NAMESPACE": name})
    return f"{len(names)} row(s)"


async def list_namespace_tables(shell: Shell, arguments: Arguments) -> str:
    """Tables of a namespace."""
    arguments.check_count(1, 1)
    names = await shell.hbase.admin.tables(namespace=arguments.text(0))
    shell.output.headings("TABLE")
    for name in names:
        shell.output.record({"TABLE": name})
    return f"{len(names)} row(s)"


async def describe_namespace(shell: Shell, arguments: Arguments) -> str:
    """What a namespace is configured with."""
    arguments.check_count(1, 1)
    name = arguments.text(0)
    found = await shell.hbase.admin.describe_namespace(name)
    shell.say({"namespace": name, "configuration": found}, _shown({"NAME": name, **found}))
    return ""


async def create_namespace(shell: Shell, arguments: Arguments) -> str:
    """Make a namespace."""
    arguments.check_count(1, 1)
    await shell.hbase.admin.create_namespace(arguments.text(0), _attributes(_merged(arguments)))
    return ""


async def alter_namespace(shell: Shell, arguments: Arguments) -> str:
    """Set what a namespace is configured with; what is not named stays."""
    arguments.check_count(1, 1)
    name = arguments.text(0)
    given = _attributes({key: value for key, value in _merged(arguments).items() if key != "METHOD"})
    now = await shell.hbase.admin.describe_namespace(name)
    await shell.hbase.admin.alter_namespace(name, {**now, **given})
    return ""


async def drop_namespace(shell: Shell, arguments: Arguments) -> str:
    """Delete an empty namespace."""
    arguments.check_count(1, 1)
    await shell.hbase.admin.delete_namespace(arguments.text(0))
    return ""


def _on_table(
    do: Callable[[Shell, str], Awaitable[None]],
) -> Callable[[Shell, Arguments], Awaitable[str]]:
    async def run(shell: Shell, arguments: Arguments) -> str:
        arguments.check_count(1, 1)
        arguments.options()
        await do(shell, arguments.text(0))
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


def _table_attributes(options: Mapping[str, Value]) -> dict[str, AttributeValue]:
    plain = _attributes({key: value for key, value in options.items() if key not in TABLE_OPTIONS})
    return plain | _pairs(options.get("METADATA"), "METADATA") | _pairs(options.get("CONFIGURATION"), "CONFIGURATION")


def _attributes(options: Mapping[str, Value]) -> dict[str, AttributeValue]:
    """Attributes with their values as text; maps within, such as CONFIGURATION, are attributes too."""
    found: dict[str, AttributeValue] = {}
    for key, value in options.items():
        if isinstance(value, dict):
            found |= _pairs(value, key)
        else:
            found[key] = as_key(value).decode()
    return found


def _pairs(value: Value, name: str) -> dict[str, AttributeValue]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UsageError(f"{name} is {{'KEY' => 'VALUE'}}")
    return {key: as_key(each).decode() for key, each in value.items()}


def _configuration(table: TableDescriptor) -> dict[str, str]:
    return dict(table.configuration)


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
        ("alter_namespace 'NS', {'KEY' => 'VALUE'}",),
        alter_namespace,
    ),
    Word("drop_namespace", "namespaces", "delete an empty namespace", ("drop_namespace 'NS'",), drop_namespace),
)
