"""What `hbeacon export` and `hbeacon import` have in common: the cluster, the form of a file, errors."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from pathlib import PurePath
from typing import Literal

from registry.cli.clusters import TIMEOUT
from registry.cli.flags import add_common_flags, positive
from registry.client.connect import ConnectRequest, open_connection
from registry.client.connection import Connection
from registry.config.values import BadSetting
from registry.exits import BAD_SETTING, FAILED
from registry.shell.waiting import WAIT_S, WHICH, is_nobody_there
from registry.transfer.importing import BadInput
from registry.wire.errors import HBaseError

REACH_TIMEOUT_MS = 10_000.0
FORMS = ("jsonl", "parquet")


def add_flags(to: argparse.ArgumentParser) -> None:
    """Behind the flags of the command itself."""
    to.add_argument(
        "uri", nargs="?", default="", metavar="URI", help="the cluster, such as hbase+rpc://master1,master2"
    )
    to.add_argument("--format", choices=FORMS, help="of the file (.parquet is Parquet, everything else JSON lines)")
    to.add_argument("--quiet", action="store_true", help="no bar, and no line at the end")
    to.add_argument("--timeout", type=positive, metavar="MS", help=f"of a call with all its retries ({TIMEOUT})")
    add_common_flags(to)


@asynccontextmanager
async def connected(request: ConnectRequest) -> AsyncGenerator[Connection]:
    """A cluster that is there: who has its address wrong hears it soon, whatever retries its calls are given."""
    async with await open_connection(request) as connection:
        waiting = asyncio.get_running_loop().call_later(WAIT_S, _say_who, connection.name)
        try:
            await connection.cluster_id(timeout_ms=REACH_TIMEOUT_MS)
        except HBaseError as error:
            if is_nobody_there(error):
                error.add_note(WHICH)
            raise
        finally:
            waiting.cancel()
        yield connection


def _say_who(name: str) -> None:
    if sys.stderr.isatty():
        print(f"waiting for {name} ...", file=sys.stderr)


def form_of(arguments: argparse.Namespace) -> Literal["jsonl", "parquet"]:
    """By the flag, else by the name. Raises ValueError for Parquet in a stream, which has its end first."""
    name = PurePath(arguments.file)
    form = arguments.format or ("parquet" if ".parquet" in name.suffixes else "jsonl")
    if form == "parquet" and (arguments.file == "-" or name.suffix == ".gz"):
        raise ValueError(f"{arguments.file}: Parquet is read from its end, and compresses itself: name a plain file")
    return form


def ended(command: str, work: Coroutine[None, None, int]) -> int:
    """The exit code; what went wrong is one line on standard error."""
    try:
        return asyncio.run(_until_told(work))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    except (BrokenPipeError, BadSetting):
        raise
    except ImportError as error:
        return told(command, error, BAD_SETTING)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return told(command, f"{where}{error.strerror or error}", FAILED)
    except (BadInput, HBaseError, ValueError) as error:
        return told(command, error, FAILED)


async def _until_told(work: Coroutine[None, None, int]) -> int:
    """Ended by TERM and HUP as by Ctrl-C, so that nothing is left beside the file.

    Not by way of SIGINT, which a shell's script has its background commands ignore.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup has HUP ignored
            loop.add_signal_handler(number, task.cancel)
    return await work


def told(command: str, error: object, code: int) -> int:
    """Say it and what was noted with it, and give the code."""
    for text in (error, *getattr(error, "__notes__", ())):
        print(f"hbeacon {command}: {text}", file=sys.stderr)
    return code
