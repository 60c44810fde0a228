"""HBase's filter language, as users of its shell and of Thrift type it, made into the messages that servers take. Pure.

    SingleColumnValueFilter('cf', 'q', =, 'binary:v') AND (PrefixFilter('a') OR SKIP ValueFilter(>, 'substring:x'))

SKIP and WHILE bind closest, then AND, then OR. Arguments in single quotes are bytes, in which two single quotes are
one; others are numbers, true and false, and operators. A comparator is its class and its value: binary, binaryprefix,
regexstring, regexstringnocase or substring.

Source: org.apache.hadoop.hbase.filter.ParseFilter, ParseConstants; createFilterFromArguments of each filter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from google.protobuf.message import Message

from protos.hbase import Comparator_pb2, Filter_pb2, HBase_pb2

DEPTH_MAX = 100
PACKAGE = "org.apache.hadoop.hbase.filter."
_SPACE = b" \t"
_OPERATORS = {
    b"<": HBase_pb2.LESS,
    b"<=": HBase_pb2.LESS_OR_EQUAL,
    b"=": HBase_pb2.EQUAL,
    b"!=": HBase_pb2.NOT_EQUAL,
    b">": HBase_pb2.GREATER,
    b">=": HBase_pb2.GREATER_OR_EQUAL,
}
_DOTALL, _CASE_INSENSITIVE = 32, 2


class FilterSyntaxError(ValueError):
    """What Java's IllegalArgumentException says."""


def parse_filter_string(text: str | bytes) -> Filter_pb2.Filter:
    """The filter. Raises FilterSyntaxError."""
    parser = _Parser(text.encode() if isinstance(text, str) else text)
    filter_ = parser.either()
    if not parser.is_at_end():
        raise FilterSyntaxError("Incorrect Filter String")
    return filter_


def _envelope(message: Message) -> Filter_pb2.Filter:
    return Filter_pb2.Filter(name=PACKAGE + type(message).__name__, serialized_filter=message.SerializeToString())


class _Parser:
    def __init__(self, text: bytes) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def is_at_end(self) -> bool:
        self._pass_space()
        return self._at == len(self._text)

    def either(self) -> Filter_pb2.Filter:
        """Parts with OR between them."""
        return self._joined(b"OR", self._both, Filter_pb2.FilterList.MUST_PASS_ONE)

    def _both(self) -> Filter_pb2.Filter:
        return self._joined(b"AND", self._wrapped, Filter_pb2.FilterList.MUST_PASS_ALL)

    def _joined(
        self, word: bytes, part: Callable[[], Filter_pb2.Filter], operator: Filter_pb2.FilterList.Operator
    ) -> Filter_pb2.Filter:
        filters = [part()]
        while self._take_word(word):
            if self.is_at_end():
                article = "an" if word in (b"OR", b"AND") else "a"
                raise FilterSyntaxError(f"Incorrect input string - {article} {word.decode()} needs two filters")
            filters.append(part())
        return filters[0] if len(filters) == 1 else _envelope(Filter_pb2.FilterList(operator=operator, filters=filters))

    def _wrapped(self) -> Filter_pb2.Filter:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise FilterSyntaxError(f"filters may be {DEPTH_MAX} deep within each other")
        try:
            if self._take_word(b"SKIP"):
                return _envelope(Filter_pb2.SkipFilter(filter=self._wrapped()))
            if self._take_word(b"WHILE"):
                return _envelope(Filter_pb2.WhileMatchFilter(filter=self._wrapped()))
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

    def _simple(self) -> Filter_pb2.Filter:
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
            return _envelope(make(_arguments(self._text[opened + 1 : end - 1])))
        except FilterSyntaxError:
            raise
        except ValueError as error:  # a number that is too large for its field
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


def _compare(arguments: Sequence[bytes]) -> tuple[HBase_pb2.CompareType, Comparator_pb2.Comparator]:
    """An operator and a comparator."""
    operator = _OPERATORS.get(arguments[0])
    if operator is None:
        raise FilterSyntaxError(f"Invalid compare operator: {arguments[0].decode('utf-8', 'replace')}")
    kind, colon, value = _quoted(arguments[1]).partition(b":")
    if not colon:
        raise FilterSyntaxError("Incorrect comparator")
    text = value.decode("utf-8", "replace")
    comparable = Comparator_pb2.ByteArrayComparable(value=value)
    message: Message
    match kind:
        case b"binary":
            message = Comparator_pb2.BinaryComparator(comparable=comparable)
        case b"binaryprefix":
            message = Comparator_pb2.BinaryPrefixComparator(comparable=comparable)
        case b"regexstring" | b"regexstringnocase":
            flags = _DOTALL | (_CASE_INSENSITIVE if kind == b"regexstringnocase" else 0)
            message = Comparator_pb2.RegexStringComparator(
                pattern=text, pattern_flags=flags, charset="UTF-8", engine="JAVA"
            )
        case b"substring":
            message = Comparator_pb2.SubstringComparator(substr=text.lower())
        case _:
            raise FilterSyntaxError("Incorrect comparator")
    if kind not in (b"binary", b"binaryprefix") and operator not in (HBase_pb2.EQUAL, HBase_pb2.NOT_EQUAL):
        raise FilterSyntaxError(
            "A regexstring comparator and substring comparator can only be used with EQUAL and NOT_EQUAL"
        )
    name = PACKAGE + type(message).__name__
    return operator, Comparator_pb2.Comparator(name=name, serialized_comparator=message.SerializeToString())


def _compare_filter(arguments: Sequence[bytes]) -> Filter_pb2.CompareFilter:
    _count(arguments, 2)
    operator, comparator = _compare(arguments)
    return Filter_pb2.CompareFilter(compare_op=operator, comparator=comparator)


# --- filters ----------------------------------------------------------------------------------------------------------


def _none(arguments: Sequence[bytes]) -> Message:
    _count(arguments, 0)
    return Filter_pb2.FirstKeyOnlyFilter()


def _key_only(arguments: Sequence[bytes]) -> Message:
    _count(arguments, 0, 1)
    return Filter_pb2.KeyOnlyFilter(len_as_val=bool(arguments) and _boolean(arguments[0]))


def _one(made: Callable[[bytes], Message]) -> Callable[[Sequence[bytes]], Message]:
    def make(arguments: Sequence[bytes]) -> Message:
        _count(arguments, 1)
        return made(arguments[0])

    return make


def _pagination(arguments: Sequence[bytes]) -> Message:
    _count(arguments, 2)
    return Filter_pb2.ColumnPaginationFilter(limit=_number(arguments[0]), offset=_number(arguments[1]))


def _column_range(arguments: Sequence[bytes]) -> Message:
    _count(arguments, 4)
    return Filter_pb2.ColumnRangeFilter(
        min_column=_quoted(arguments[0]) or None,
        min_column_inclusive=_boolean(arguments[1]),
        max_column=_quoted(arguments[2]) or None,
        max_column_inclusive=_boolean(arguments[3]),
    )


def _column_value(arguments: Sequence[bytes]) -> Message:
    _count(arguments, 4)
    operator, comparator = _compare(arguments[2:])
    family, qualifier = map(_quoted, arguments[:2])
    return Filter_pb2.ColumnValueFilter(family=family, qualifier=qualifier, compare_op=operator, comparator=comparator)


def _single_column_value(arguments: Sequence[bytes]) -> Filter_pb2.SingleColumnValueFilter:
    _count(arguments, 4, 6)
    operator, comparator = _compare(arguments[2:])
    family, qualifier = map(_quoted, arguments[:2])
    if_missing, latest = map(_boolean, arguments[4:] or (b"false", b"true"))
    return Filter_pb2.SingleColumnValueFilter(
        column_family=family,
        column_qualifier=qualifier,
        compare_op=operator,
        comparator=comparator,
        filter_if_missing=if_missing,
        latest_version_only=latest,
    )


def _dependent(arguments: Sequence[bytes]) -> Message:
    _count(arguments, 2, 3, 5)
    compare = Filter_pb2.CompareFilter(compare_op=HBase_pb2.NO_OP)
    if len(arguments) > 3:
        compare = _compare_filter(arguments[3:])
    return Filter_pb2.DependentColumnFilter(
        column_family=_quoted(arguments[0]),
        column_qualifier=_quoted(arguments[1]),
        drop_dependent_column=len(arguments) > 2 and _boolean(arguments[2]),
        compare_filter=compare,
    )


_FILTERS: dict[str, Callable[[Sequence[bytes]], Message]] = {
    "ColumnCountGetFilter": _one(lambda limit: Filter_pb2.ColumnCountGetFilter(limit=_number(limit))),
    "ColumnPaginationFilter": _pagination,
    "ColumnPrefixFilter": _one(lambda prefix: Filter_pb2.ColumnPrefixFilter(prefix=_quoted(prefix))),
    "ColumnRangeFilter": _column_range,
    "ColumnValueFilter": _column_value,
    "DependentColumnFilter": _dependent,
    "FamilyFilter": lambda arguments: Filter_pb2.FamilyFilter(compare_filter=_compare_filter(arguments)),
    "FirstKeyOnlyFilter": _none,
    "InclusiveStopFilter": _one(lambda row: Filter_pb2.InclusiveStopFilter(stop_row_key=_quoted(row))),
    "KeyOnlyFilter": _key_only,
    "MultipleColumnPrefixFilter": lambda arguments: Filter_pb2.MultipleColumnPrefixFilter(
        sorted_prefixes=sorted(map(_quoted, arguments))
    ),
    "PageFilter": _one(lambda size: Filter_pb2.PageFilter(page_size=_number(size))),
    "PrefixFilter": _one(lambda prefix: Filter_pb2.PrefixFilter(prefix=_quoted(prefix))),
    "QualifierFilter": lambda arguments: Filter_pb2.QualifierFilter(compare_filter=_compare_filter(arguments)),
    "RowFilter": lambda arguments: Filter_pb2.RowFilter(compare_filter=_compare_filter(arguments)),
    "SingleColumnValueExcludeFilter": lambda arguments: Filter_pb2.SingleColumnValueExcludeFilter(
        single_column_value_filter=_single_column_value(arguments)
    ),
    "SingleColumnValueFilter": _single_column_value,
    "TimestampsFilter": lambda arguments: Filter_pb2.TimestampsFilter(
        timestamps=sorted(set(map(_number, arguments))), can_hint=False
    ),
    "ValueFilter": lambda arguments: Filter_pb2.ValueFilter(compare_filter=_compare_filter(arguments)),
}
