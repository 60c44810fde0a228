"""HBase's filter language, as users of its shell and of Thrift type it, made into filters. Pure.

    SingleColumnValueFilter('cf', 'q', =, 'binary:v') AND (PrefixFilter('a') OR SKIP ValueFilter(>, 'substring:x'))

SKIP and WHILE bind closest, then AND, then OR. Arguments in single quotes are bytes, in which two single quotes are
one; others are numbers, true and false, and operators. A comparator is its class and its value: binary, binaryprefix,
regexstring, regexstringnocase or substring.

Source: org.apache.hadoop.hbase.filter.ParseFilter, ParseConstants; createFilterFromArguments of each filter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from protos.hbase import Filter_pb2
from registry.client import filters
from registry.client.filters import CompareOp, Filter, FilterList, ListOperator, PatternFlag

DEPTH_MAX = 100
_SPACE = b" \t"
_OPERATORS = {each.value.encode(): each for each in CompareOp if each is not CompareOp.NO_OP}


class FilterSyntaxError(ValueError):
    """What Java's IllegalArgumentException says."""


def parse_filter_string(text: str | bytes) -> Filter_pb2.Filter:
    """The filter. Raises FilterSyntaxError."""
    parser = _Parser(text.encode() if isinstance(text, str) else text)
    filter_ = parser.either()
    if not parser.is_at_end():
        raise FilterSyntaxError("Incorrect Filter String")
    return filter_.to_proto()


class _Parser:
    def __init__(self, text: bytes) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def is_at_end(self) -> bool:
        self._pass_space()
        return self._at == len(self._text)

    def either(self) -> Filter:
        """Parts with OR between them."""
        return self._joined(b"OR", self._both, ListOperator.MUST_PASS_ONE)

    def _both(self) -> Filter:
        return self._joined(b"AND", self._wrapped, ListOperator.MUST_PASS_ALL)

    def _joined(self, word: bytes, part: Callable[[], Filter], operator: ListOperator) -> Filter:
        parts = [part()]
        while self._take_word(word):
            if self.is_at_end():
                article = "an" if word in (b"OR", b"AND") else "a"
                raise FilterSyntaxError(f"Incorrect input string - {article} {word.decode()} needs two filters")
            parts.append(part())
        return parts[0] if len(parts) == 1 else FilterList(operator, parts)

    def _wrapped(self) -> Filter:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise FilterSyntaxError(f"filters may be {DEPTH_MAX} deep within each other")
        try:
            if self._take_word(b"SKIP"):
                return filters.SkipFilter(self._wrapped())
            if self._take_word(b"WHILE"):
                return filters.WhileMatchFilter(self._wrapped())
            if self._peek() == b"(":
                self._at += 1
                inner = self.either()
                if self._peek() != b")":
                    raise FilterSyntaxError("Mismatched parenthesis")
                self._at += 1
                return inner
            return self._simple()
        finally:
            self._depth -= 1

    def _simple(self) -> Filter:
        if not self._peek():
            raise FilterSyntaxError("Incorrect Filter String")
        begin, end = self._at, _end_of_simple(self._text, self._at)
        self._at = end
        opened = self._text.find(b"(", begin, end)
        name = self._text[begin : max(begin, opened)].rstrip(_SPACE)
        if not name:
            raise FilterSyntaxError("Incorrect Filter Name")
        make = _FILTERS.get(name.decode("utf-8", "replace"))
        if make is None:
            raise FilterSyntaxError(f"Filter Name {name.decode('utf-8', 'replace')} not supported")
        try:
            return make(_arguments(self._text[opened + 1 : end - 1]))
        except FilterSyntaxError:
            raise
        except ValueError as error:  # what the class says, such as of a number that is too large
            raise FilterSyntaxError(str(error)) from None

    def _take_word(self, word: bytes) -> bool:
        self._pass_space()
        end = self._at + len(word)
        if self._text[self._at : end] == word and self._text[end : end + 1] in (b" ", b"\t", b"(", b""):
            self._at = end
            return True
        return False

    def _peek(self) -> bytes:
        self._pass_space()
        return self._text[self._at : self._at + 1]

    def _pass_space(self) -> None:
        while self._at < len(self._text) and self._text[self._at] in _SPACE:
            self._at += 1


def _end_of_simple(text: bytes, begin: int) -> int:
    """Behind the parenthesis that closes the arguments, of which some may be quoted."""
    quoted = False
    at = begin
    while at < len(text):
        if text[at : at + 2] == b"''" and quoted:
            at += 1
        elif text[at] == ord("'"):
            quoted = not quoted
        elif text[at] == ord(")") and not quoted:
            return at + 1
        at += 1
    raise FilterSyntaxError("Incorrect Filter String")


def _arguments(text: bytes) -> list[bytes]:
    """Between the parentheses, quotes and all."""
    found: list[bytes] = []
    at = 0
    while at < len(text):
        if text[at] in b" \t,":
            at += 1
            continue
        if text[at] == ord("'"):
            match = re.compile(rb"'(?:[^']|'')*'").match(text, at)
        else:
            match = re.compile(rb"[^ \t,]+").match(text, at)
        if match is None:
            raise FilterSyntaxError("Incorrect argument list")
        found.append(match.group())
        at = match.end()
    return found


# --- arguments --------------------------------------------------------------------------------------------------------


def _count(arguments: Sequence[bytes], *counts: int) -> None:
    if len(arguments) not in counts:
        raise FilterSyntaxError(f"Expected {' or '.join(map(str, counts))} but got: {len(arguments)}")


def _quoted(argument: bytes) -> bytes:
    if len(argument) < 2 or argument[:1] != b"'" or argument[-1:] != b"'":
        raise FilterSyntaxError("removeQuotesFromByteArray needs a quoted byte array")
    return argument[1:-1].replace(b"''", b"'")


def _number(argument: bytes) -> int:
    if not re.fullmatch(rb"-?[0-9]+", argument):
        raise FilterSyntaxError("Byte Array should only contain digits")
    if argument.startswith(b"-"):
        raise FilterSyntaxError(f"must be positive {argument.decode()}")
    return int(argument)


def _boolean(argument: bytes) -> bool:
    if argument.lower() not in (b"true", b"false"):
        raise FilterSyntaxError("Incorrect Boolean Expression")
    return argument.lower() == b"true"


def _compare(arguments: Sequence[bytes]) -> tuple[CompareOp, filters.Comparator]:
    """An operator and a comparator."""
    operator = _OPERATORS.get(arguments[0])
    if operator is None:
        raise FilterSyntaxError(f"Invalid compare operator: {arguments[0].decode('utf-8', 'replace')}")
    kind, colon, value = _quoted(arguments[1]).partition(b":")
    if not colon:
        raise FilterSyntaxError("Incorrect comparator")
    comparator = _comparator(kind, value)
    if kind not in (b"binary", b"binaryprefix") and operator not in (CompareOp.EQUAL, CompareOp.NOT_EQUAL):
        raise FilterSyntaxError(
            "A regexstring comparator and substring comparator can only be used with EQUAL and NOT_EQUAL"
        )
    return operator, comparator


def _comparator(kind: bytes, value: bytes) -> filters.Comparator:
    text = value.decode("utf-8", "replace")
    match kind:
        case b"binary":
            return filters.BinaryComparator(value)
        case b"binaryprefix":
            return filters.BinaryPrefixComparator(value)
        case b"regexstring":
            return filters.RegexStringComparator(text)
        case b"regexstringnocase":
            return filters.RegexStringComparator(text, PatternFlag.DOTALL | PatternFlag.CASE_INSENSITIVE)
        case b"substring":
            return filters.SubstringComparator(text)
        case _:
            raise FilterSyntaxError("Incorrect comparator")


# --- filters ----------------------------------------------------------------------------------------------------------


def _first_key_only(arguments: Sequence[bytes]) -> Filter:
    _count(arguments, 0)
    return filters.FirstKeyOnlyFilter()


def _key_only(arguments: Sequence[bytes]) -> Filter:
    _count(arguments, 0, 1)
    return filters.KeyOnlyFilter(len_as_val=bool(arguments) and _boolean(arguments[0]))


def _one(made: Callable[[bytes], Filter]) -> Callable[[Sequence[bytes]], Filter]:
    def make(arguments: Sequence[bytes]) -> Filter:
        _count(arguments, 1)
        return made(arguments[0])

    return make


def _comparing(made: Callable[[CompareOp, filters.Comparator], Filter]) -> Callable[[Sequence[bytes]], Filter]:
    def make(arguments: Sequence[bytes]) -> Filter:
        _count(arguments, 2)
        return made(*_compare(arguments))

    return make


def _pagination(arguments: Sequence[bytes]) -> Filter:
    _count(arguments, 2)
    return filters.ColumnPaginationFilter(*map(_number, arguments))


def _column_range(arguments: Sequence[bytes]) -> Filter:
    _count(arguments, 4)
    return filters.ColumnRangeFilter(
        _quoted(arguments[0]) or None,
        _boolean(arguments[1]),
        _quoted(arguments[2]) or None,
        _boolean(arguments[3]),
    )


def _column_value(arguments: Sequence[bytes]) -> Filter:
    _count(arguments, 4)
    family, qualifier = map(_quoted, arguments[:2])
    return filters.ColumnValueFilter(family, qualifier, *_compare(arguments[2:]))


def _single_column_value(made: type[filters.SingleColumnValueFilter]) -> Callable[[Sequence[bytes]], Filter]:
    def make(arguments: Sequence[bytes]) -> Filter:
        _count(arguments, 4, 6)
        family, qualifier = map(_quoted, arguments[:2])
        return made(family, qualifier, *_compare(arguments[2:]), *map(_boolean, arguments[4:]))

    return make


def _dependent(arguments: Sequence[bytes]) -> Filter:
    _count(arguments, 2, 3, 5)
    family, qualifier = map(_quoted, arguments[:2])
    drops = len(arguments) > 2 and _boolean(arguments[2])
    operator, comparator = _compare(arguments[3:]) if len(arguments) > 3 else (None, None)
    return filters.DependentColumnFilter(family, qualifier, drops, operator, comparator)


_FILTERS: dict[str, Callable[[Sequence[bytes]], Filter]] = {
    "ColumnCountGetFilter": _one(lambda limit: filters.ColumnCountGetFilter(_number(limit))),
    "ColumnPaginationFilter": _pagination,
    "ColumnPrefixFilter": _one(lambda prefix: filters.ColumnPrefixFilter(_quoted(prefix))),
    "ColumnRangeFilter": _column_range,
    "ColumnValueFilter": _column_value,
    "DependentColumnFilter": _dependent,
    "FamilyFilter": _comparing(filters.FamilyFilter),
    "FirstKeyOnlyFilter": _first_key_only,
    "InclusiveStopFilter": _one(lambda row: filters.InclusiveStopFilter(_quoted(row))),
    "KeyOnlyFilter": _key_only,
    "MultipleColumnPrefixFilter": lambda arguments: filters.MultipleColumnPrefixFilter(map(_quoted, arguments)),
    "PageFilter": _one(lambda size: filters.PageFilter(_number(size))),
    "PrefixFilter": _one(lambda prefix: filters.PrefixFilter(_quoted(prefix))),
    "QualifierFilter": _comparing(filters.QualifierFilter),
    "RowFilter": _comparing(filters.RowFilter),
    "SingleColumnValueExcludeFilter": _single_column_value(filters.SingleColumnValueExcludeFilter),
    "SingleColumnValueFilter": _single_column_value(filters.SingleColumnValueFilter),
    "TimestampsFilter": lambda arguments: filters.TimestampsFilter(map(_number, arguments)),
    "ValueFilter": _comparing(filters.ValueFilter),
}
