"""Words about the cluster: its servers, its regions, and what is done to them.

Source: hbase-shell/src/main/ruby/shell/commands/{status,version,whoami,move,flush,compact,list_regions,...}.rb.
"""

from __future__ import annotations

from registry.client.data.region_map import Region
from registry.shell.arguments import Arguments, UsageError
from registry.shell.words import Shell, Word
from registry.version import HBASE_VERSION, VERSION
from registry.wire.preamble import string_binary

DETAILS = ("summary", "simple", "detailed")


async def status(shell: Shell, arguments: Arguments) -> str:
    """Masters and region servers."""
    arguments.only(0, 1)
    how = arguments.text(0, "summary")
    if how not in DETAILS:
        raise UsageError(f"status {', '.join(DETAILS)}: {how!r} is none of them")
    found = await shell.hbase.admin.cluster_status()
    regions = sum(server.regions for server in found.servers)
    average = regions / len(found.servers) if found.servers else 0.0
    if shell.as_json:
        shell.output.record(
            {
                "cluster_id": found.cluster_id,
                "hbase_version": found.hbase_version,
                "active_master": str(found.master or ""),
                "backup_masters": [str(each) for each in found.backup_masters],
                "servers": [
                    {"name": str(each.server_name), "regions": each.regions, "requests": each.requests}
                    for each in found.servers
                ],
                "dead_servers": [str(each) for each in found.dead_servers],
                "regions_in_transition": found.regions_in_transition,
                "average_load": round(average, 4),
            }
        )
        return ""
    shell.output.line(
        f"{1 if found.master else 'no'} active master, {len(found.backup_masters)} backup masters, "
        f"{len(found.servers)} servers, {len(found.dead_servers)} dead, {average:.4f} average load"
    )
    if how != "summary":
        shell.output.line(f"hbase {found.hbase_version}, cluster {found.cluster_id}")
        shell.output.line(f"{found.regions_in_transition} regions in transition")
        shell.output.line(f"active master:  {found.master or 'none'}")
        shell.output.line(f"{len(found.backup_masters)} backup masters")
        for each in found.backup_masters:
            shell.output.line(f"    {each}")
        shell.output.line(f"{len(found.servers)} live servers")
        for server in found.servers:
            shell.output.line(
                f"    {server.server_name}  regions={server.regions}, requests={server.requests}, "
                f"usedHeapMB={server.used_heap_mib}, maxHeapMB={server.max_heap_mib}"
            )
        shell.output.line(f"{len(found.dead_servers)} dead servers")
        for each in found.dead_servers:
            shell.output.line(f"    {each}")
    return ""


async def version(shell: Shell, arguments: Arguments) -> str:
    """Of this program, and of the protocol that it speaks."""
    arguments.only(0, 0)
    shell.say({"hbeacon": VERSION, "hbase": HBASE_VERSION}, f"hbeacon {VERSION}, speaks HBase {HBASE_VERSION}")
    return ""


async def whoami(shell: Shell, arguments: Arguments) -> str:
    """Who servers are told that this is."""
    arguments.only(0, 0)
    user = shell.hbase.settings.user
    shell.say({"user": user, "auth": "SIMPLE"}, f"{user} (auth:SIMPLE)")
    return ""


async def list_regions(shell: Shell, arguments: Arguments) -> str:
    """Regions of a table and their servers."""
    arguments.only(1, 1)
    regions = await shell.hbase.admin.regions(arguments.table())
    shell.output.headings("SERVER_NAME", "REGION_NAME", "START_KEY", "END_KEY")
    for region in regions:
        shell.output.record(_region(region))
    return f"{len(regions)} row(s)"


async def locate_region(shell: Shell, arguments: Arguments) -> str:
    """The region of a row."""
    arguments.only(2, 2)
    region = await shell.table(arguments.table()).region_of(arguments.key(1))
    shell.output.headings("SERVER_NAME", "REGION_NAME", "START_KEY", "END_KEY")
    shell.output.record(_region(region))
    return "1 row(s)"


async def get_splits(shell: Shell, arguments: Arguments) -> str:
    """First rows of all regions of a table but the first."""
    arguments.only(1, 1)
    regions = await shell.hbase.admin.regions(arguments.table())
    keys = [string_binary(region.start_key) for region in regions if region.start_key]
    shell.say({"splits": keys}, f"Total number of splits = {len(regions)}\n[{', '.join(keys)}]")
    return ""


async def move(shell: Shell, arguments: Arguments) -> str:
    """Move a region."""
    arguments.only(1, 2)
    server = arguments.text(1) if len(arguments.values) > 1 else None
    await shell.hbase.admin.move(arguments.key(0), server)
    return ""


async def assign(shell: Shell, arguments: Arguments) -> str:
    """Have a region opened."""
    arguments.only(1, 1)
    await shell.hbase.admin.assign(arguments.key(0))
    return ""


async def unassign(shell: Shell, arguments: Arguments) -> str:
    """Have a region closed."""
    arguments.only(1, 2)
    await shell.hbase.admin.unassign(arguments.key(0))
    return ""


async def flush(shell: Shell, arguments: Arguments) -> str:
    """Have what is in memory written to files."""
    arguments.only(1, 1)
    regions = await shell.hbase.admin.flush(arguments.table())
    return f"{regions} region(s)"


async def compact(shell: Shell, arguments: Arguments) -> str:
    """Have files put together."""
    return await _compact(shell, arguments, major=False)


async def major_compact(shell: Shell, arguments: Arguments) -> str:
    """Have all files put together, and what is dead left out."""
    return await _compact(shell, arguments, major=True)


async def _compact(shell: Shell, arguments: Arguments, *, major: bool) -> str:
    arguments.only(1, 2)
    family = arguments.text(1, "")
    regions = await shell.hbase.admin.compact(arguments.table(), major=major, family=family)
    return f"{regions} region(s)"


async def balance_switch(shell: Shell, arguments: Arguments) -> str:
    """Switch the balancer on or off."""
    arguments.only(1, 1)
    word = arguments.text(0)
    if word not in ("true", "false"):
        raise UsageError(f"true or false, not {word!r}")
    before = await shell.hbase.admin.set_balancer(on=word == "true")
    shell.say({"previous": before}, f"Previous balancer state : {str(before).lower()}")
    return ""


async def balancer_enabled(shell: Shell, arguments: Arguments) -> str:
    """Whether the balancer is on."""
    arguments.only(0, 0)
    found = await shell.hbase.admin.is_balancer_enabled()
    shell.say({"enabled": found}, str(found).lower())
    return ""


async def balancer(shell: Shell, arguments: Arguments) -> str:
    """Have the balancer run now."""
    arguments.only(0, 0)
    ran = await shell.hbase.admin.balance()
    shell.say({"ran": ran}, str(ran).lower())
    return ""


def _region(region: Region) -> dict[str, str]:
    return {
        "SERVER_NAME": str(region.server or ""),
        "REGION_NAME": string_binary(region.name),
        "START_KEY": string_binary(region.start_key),
        "END_KEY": string_binary(region.end_key),
    }


WORDS = (
    Word("status", "cluster", "masters and region servers", ("status", "status 'simple'", "status 'detailed'"), status),
    Word("version", "cluster", "of this program and of its protocol", ("version",), version),
    Word("whoami", "cluster", "who servers are told that this is", ("whoami",), whoami),
    Word("list_regions", "regions", "regions of a table", ("list_regions 'TABLE'",), list_regions, takes_table=True),
    Word(
        "locate_region",
        "regions",
        "the region of a row",
        ("locate_region 'TABLE', 'ROW'",),
        locate_region,
        takes_table=True,
    ),
    Word("get_splits", "regions", "where regions begin", ("get_splits 'TABLE'",), get_splits, takes_table=True),
    Word("move", "regions", "move a region", ("move 'REGION'", "move 'REGION', 'HOST,PORT,STARTCODE'"), move),
    Word("assign", "regions", "have a region opened", ("assign 'REGION'",), assign),
    Word("unassign", "regions", "have a region closed", ("unassign 'REGION'",), unassign),
    Word("flush", "regions", "write what is in memory to files", ("flush 'TABLE'",), flush, takes_table=True),
    Word(
        "compact",
        "regions",
        "put files together",
        ("compact 'TABLE'", "compact 'TABLE', 'cf'"),
        compact,
        takes_table=True,
    ),
    Word(
        "major_compact",
        "regions",
        "put all files together, without what is dead",
        ("major_compact 'TABLE'", "major_compact 'TABLE', 'cf'"),
        major_compact,
        takes_table=True,
    ),
    Word("balance_switch", "cluster", "switch the balancer", ("balance_switch true",), balance_switch),
    Word("balancer_enabled", "cluster", "whether the balancer is on", ("balancer_enabled",), balancer_enabled),
    Word("balancer", "cluster", "have the balancer run now", ("balancer",), balancer),
)
