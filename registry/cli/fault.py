"""`hbeacon fault`: tell running servers to do wrong, for tests of clients, and to stop it; over HTTP."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from registry.cli.flags import Formatter, add_common_flags, flags_of, parser, positive
from registry.cli.servers import HttpAsker, base_of, own_base, sentence_of
from registry.config.settings import BadSetting
from registry.config.values import parse_ms
from registry.exits import BAD_SETTING, FAILED, STOPPED
from registry.faults.control import TOKEN_KEY
from registry.faults.rules import BadFault, FaultKind, parse_rule

PATH = "/api/v1/faults"
AT_ONCE = 32
"""Servers asked at the same time: one that is silent must not hold up the others."""

KINDS = """\
kinds:
  delay             the answer comes --delay later, others on the connection do not wait
  hang              the call (or preamble) is read and never answered
  hang-accept       the connection is taken, and nothing on it is ever answered
  half              some bytes of the answer, then silence on that connection
  reset             the connection is reset (RST) when the call has been read, and the call is not run
  drop              the call is run, and the connection reset instead of its answer
  refuse            the connection is closed as soon as it is taken
  stale             look-ups are answered as they were when the fault was set
  wrong-cluster-id  the cluster id of another cluster
methods are those of the calls (GetClusterId, 'Get*', ...), and Regist and Securi, the preambles before any call.
hang-accept and refuse act before a method is known. Of several faults the first that fires is applied.
"""

EPILOG = f"""\
A server takes faults only where hbeacon.faults.enabled is true: it is for tests of clients. Without an address the
server of these settings is asked (hbeacon.http.address, 127.0.0.1:16010); several are told at the same time.

{KINDS}
examples:
  hbeacon fault set hang-accept beacon1                              no client of beacon1 gets an answer
  hbeacon fault set hang beacon1 --method Regist --duration 30s      the cluster-id preamble hangs for half a minute
  hbeacon fault set delay beacon1 beacon2 --delay 50-200 --probability 0.05 --seed 7
  hbeacon fault set reset beacon1 --method 'GetMeta*' --peer 10.1.0.0/16 --count 3
  hbeacon fault list beacon1 beacon2 beacon3:16010
  hbeacon fault remove 3 beacon1
  hbeacon fault clear beacon1 beacon2                                all of them; what hangs is reset

token: where a server has one ({TOKEN_KEY}), it is taken from --token-file FILE, HBEACON_FAULTS_TOKEN in the
  environment, or --conf DIR; the words of a command line can be read by everybody on the machine.
exit codes: 0 every server did it, 1 one is not enabled for it, refused it or does not answer, 2 bad command line.
"""


@dataclass(frozen=True, slots=True)
class Question:
    """One HTTP request, the same for all servers."""

    method: str
    path: str
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server said: its JSON, or why there is none."""

    answer: dict[str, Any]
    error: str = ""


def run(argv: Sequence[str]) -> int:
    """Ask or tell each server and print what came of it."""
    arguments = _parser().parse_args(argv)
    try:
        question = _QUESTIONS[arguments.verb](arguments)
    except BadFault as error:
        print(f"hbeacon fault: {error}", file=sys.stderr)
        return BAD_SETTING
    settings = flags_of(arguments).load()
    bases = [base_of(text) for text in arguments.servers] or [own_base(settings.str_("hbeacon.http.address"))]
    if not bases[0]:
        print("hbeacon fault: hbeacon.http.address is off; name a server", file=sys.stderr)
        return BAD_SETTING
    token = _token(arguments.token_file) if arguments.token_file else settings.str_(TOKEN_KEY).strip()
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    asker = HttpAsker(arguments.timeout, "hbeacon-fault", redirects=False)
    bases = list(dict.fromkeys(bases))

    def ask(base: str) -> Reply:
        return _ask(asker, base, question, headers)

    with ThreadPoolExecutor(min(len(bases), AT_ONCE)) as pool:
        replies = dict(zip(bases, pool.map(ask, bases), strict=True))
    if arguments.json:
        print(json.dumps({base: reply.answer or {"error": reply.error} for base, reply in replies.items()}, indent=2))
    else:
        for base, reply in replies.items():
            lines = [f"{base}: {reply.error}"] if reply.error else _LINES[arguments.verb](base, reply.answer)
            print("\n".join(lines), file=sys.stderr if reply.error else sys.stdout)
    return FAILED if any(reply.error for reply in replies.values()) else STOPPED


# --- the command line ----------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    made = parser("fault", "Tell servers to do wrong, so that you see what your clients make of it.", EPILOG)
    verbs = made.add_subparsers(dest="verb", metavar="list|set|remove|clear", required=True)

    def verb(name: str, sentence: str, epilog: str = "") -> argparse.ArgumentParser:
        return verbs.add_parser(
            name, help=sentence, description=sentence, epilog=epilog, formatter_class=Formatter, allow_abbrev=False
        )

    listed = verb("list", "show the faults that are set, and how often each was applied")
    set_ = verb("set", "set a fault", KINDS)
    set_.add_argument("kind", metavar="KIND", help="see below")
    removed = verb("remove", "take one fault away; what it left hanging goes on hanging")
    removed.add_argument("number", metavar="NUMBER", type=_number(1), help="as list shows it")
    cleared = verb("clear", "take all faults away, and reset the connections that hang")
    for each in (listed, set_, removed, cleared):
        each.add_argument("servers", metavar="HOST[:PORT]|URL", nargs="*")
    _add_fields(set_)
    for each in (listed, set_, removed, cleared):
        each.add_argument("--json", action="store_true", help="the servers' own JSON, one object by server")
        each.add_argument("--timeout", metavar="SECONDS", type=positive, default=3.0, help="for each server (3)")
        each.add_argument("--token-file", metavar="FILE", type=Path, help="its first line is the token; - is stdin")
        add_common_flags(each, zookeeper=False)
    return made


def _add_fields(to: argparse.ArgumentParser) -> None:
    group = to.add_argument_group("what it meets, and how; --method and --peer may repeat")
    group.add_argument("--method", metavar="NAME", action="append", help="calls of this name; * and ? fit any (all)")
    group.add_argument("--peer", metavar="NETWORK", action="append", help="clients from there (all)")
    group.add_argument("--probability", metavar="P", type=float, help="from 0 to 1 (1)")
    group.add_argument("--count", metavar="N", type=_number(1), help="so often, then it is gone (without end)")
    group.add_argument("--seed", metavar="N", type=_number(0), help="the same seed decides the same (one is chosen)")
    group.add_argument("--duration", metavar="TIME", type=_time, help="such as 30s, then it is gone (without end)")
    group.add_argument("--delay", metavar="TIME[-TIME]", type=_times, help="of delay: 200ms, or drawn from 50-200")
    group.add_argument("--bytes", metavar="N", type=_number(1), help="of half: so many are sent (half of them)")
    group.add_argument("--cluster-id", metavar="ID", help="of wrong-cluster-id (one that is made from the seed)")


def _number(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"write a whole number from {least} on")
        return int(text)

    return number


def _time(text: str) -> int:
    try:
        return parse_ms(text)
    except ValueError:
        raise argparse.ArgumentTypeError("write milliseconds, or a number with ms, s, m or h") from None


def _times(text: str) -> list[int]:
    least, dash, most = text.partition("-")
    return [_time(least), _time(most)] if dash else [_time(text)]


def _token(path: Path) -> str:
    try:
        text = sys.stdin.readline() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting("--token-file", str(path), "command line", f"it cannot be read: {error}") from None
    token = text.strip().partition("\n")[0].strip()
    if not token or not token.isascii() or not token.isprintable():
        raise BadSetting("--token-file", str(path), "command line", "its first line is no token")
    return token


# --- questions and answers -----------------------------------------------------------------------------------------


def _set_question(arguments: argparse.Namespace) -> Question:
    """Raises BadFault for what no server would take."""
    given: dict[str, object] = {
        "kind": arguments.kind,
        "methods": arguments.method,
        "peers": arguments.peer,
        "probability": arguments.probability,
        "count": arguments.count,
        "seed": arguments.seed,
        "duration_ms": arguments.duration,
        "delay_ms": arguments.delay,
        "bytes": arguments.bytes,
        "cluster_id": arguments.cluster_id,
    }
    document = {name: value for name, value in given.items() if value is not None}
    if document["kind"] == FaultKind.DELAY.value and "delay_ms" not in document:
        raise BadFault("how long is the delay? write --delay 200, or --delay 50-200 to have it drawn")
    parse_rule(document)
    return Question("POST", PATH, json.dumps(document).encode())


_QUESTIONS: dict[str, Callable[[argparse.Namespace], Question]] = {
    "list": lambda _: Question("GET", PATH),
    "set": _set_question,
    "remove": lambda arguments: Question("DELETE", f"{PATH}/{arguments.number}"),
    "clear": lambda _: Question("DELETE", PATH),
}


def _ask(asker: HttpAsker, base: str, question: Question, headers: dict[str, str]) -> Reply:
    try:
        status, body = asker.ask(base + question.path, headers, question.method, question.body)
    except (OSError, ValueError) as error:
        return Reply({}, sentence_of(error))
    try:
        answer = cast("object", json.loads(body))
    except ValueError:
        answer = None
    told = cast("dict[str, Any]", answer) if isinstance(answer, dict) else {}
    if status in (200, 201) and told:
        return Reply(told)
    if status in (404, 405) and "fault" not in str(told.get("error", "")):
        return Reply({}, "has no faults: it is no hbeacon server, or one of an earlier version")
    return Reply({}, str(told.get("error") or f"answered {status}"))


def _listed(base: str, answer: dict[str, Any]) -> list[str]:
    faults = cast("list[dict[str, Any]]", answer.get("faults") or [])
    if not answer.get("enabled"):
        return [f"{base}: faults are not enabled"]
    lines = [f"{base}: {len(faults)} fault{'s' if len(faults) != 1 else ''}" if faults else f"{base}: no faults"]
    for fault in faults:
        left_ms = fault.get("left_ms")
        left = f", {left_ms / 1000:.0f} s left" if left_ms is not None else ""
        lines.append(f"  {fault['id']}: {fault['sentence']} (applied {fault['applied']} of {fault['matched']}{left})")
    return lines


_LINES: dict[str, Callable[[str, dict[str, Any]], list[str]]] = {
    "list": _listed,
    "set": lambda base, answer: [f"{base}: fault {answer['id']} is set: {answer['sentence']}"],
    "remove": lambda base, _: [f"{base}: removed"],
    "clear": lambda base, answer: [f"{base}: {answer['cleared']} cleared"],
}
