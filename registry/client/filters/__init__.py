"""Filters of HBase built in Python, under the names of Java's classes. Pure.

    from hbeacon import filters

    filters.PrefixFilter("user-") & (filters.Column("cf:age") >= b"18")
    filters.ValueFilter("=", filters.RegexStringComparator("^a.*z$")) | filters.RowFilter("<", b"m")

What is wrong with an argument is said at once, by a ValueError; what is given as str is taken as UTF-8.
"""

from registry.client.filters.columns import (
    ColumnCountGetFilter,
    ColumnPaginationFilter,
    ColumnPrefixFilter,
    ColumnRangeFilter,
    FirstKeyOnlyFilter,
    FirstKeyValueMatchingQualifiersFilter,
    KeyOnlyFilter,
    MultipleColumnPrefixFilter,
    TimestampsFilter,
)
from registry.client.filters.comparators import (
    BigDecimalComparator,
    BinaryComparator,
    BinaryComponentComparator,
    BinaryPrefixComparator,
    BitComparator,
    BitwiseOp,
    Comparator,
    LongComparator,
    NullComparator,
    PatternFlag,
    RegexStringComparator,
    SubstringComparator,
)
from registry.client.filters.comparing import (
    Column,
    ColumnValueFilter,
    DependentColumnFilter,
    FamilyFilter,
    QualifierFilter,
    RowFilter,
    SingleColumnValueExcludeFilter,
    SingleColumnValueFilter,
    ValueFilter,
)
from registry.client.filters.filter import Filter, FilterList, ListOperator, SkipFilter, WhileMatchFilter
from registry.client.filters.rows import (
    FuzzyRowFilter,
    InclusiveStopFilter,
    MultiRowRangeFilter,
    PageFilter,
    PrefixFilter,
    RandomRowFilter,
    RowRange,
)
from registry.client.filters.values import CompareOp

__all__ = [
    "BigDecimalComparator",
    "BinaryComparator",
    "BinaryComponentComparator",
    "BinaryPrefixComparator",
    "BitComparator",
    "BitwiseOp",
    "Column",
    "ColumnCountGetFilter",
    "ColumnPaginationFilter",
    "ColumnPrefixFilter",
    "ColumnRangeFilter",
    "ColumnValueFilter",
    "Comparator",
    "CompareOp",
    "DependentColumnFilter",
    "FamilyFilter",
    "Filter",
    "FilterList",
    "FirstKeyOnlyFilter",
    "FirstKeyValueMatchingQualifiersFilter",
    "FuzzyRowFilter",
    "InclusiveStopFilter",
    "KeyOnlyFilter",
    "ListOperator",
    "LongComparator",
    "MultiRowRangeFilter",
    "MultipleColumnPrefixFilter",
    "NullComparator",
    "PageFilter",
    "PatternFlag",
    "PrefixFilter",
    "QualifierFilter",
    "RandomRowFilter",
    "RegexStringComparator",
    "RowFilter",
    "RowRange",
    "SingleColumnValueExcludeFilter",
    "SingleColumnValueFilter",
    "SkipFilter",
    "SubstringComparator",
    "TimestampsFilter",
    "ValueFilter",
    "WhileMatchFilter",
]
