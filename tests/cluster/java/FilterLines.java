import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.Cell;
import org.apache.hadoop.hbase.CellUtil;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.Get;
import org.apache.hadoop.hbase.client.Put;
import org.apache.hadoop.hbase.client.Result;
import org.apache.hadoop.hbase.client.ResultScanner;
import org.apache.hadoop.hbase.client.Scan;
import org.apache.hadoop.hbase.client.Table;
import org.apache.hadoop.hbase.filter.ColumnCountGetFilter;
import org.apache.hadoop.hbase.filter.ColumnPaginationFilter;
import org.apache.hadoop.hbase.filter.ColumnPrefixFilter;
import org.apache.hadoop.hbase.filter.ColumnRangeFilter;
import org.apache.hadoop.hbase.filter.Filter;
import org.apache.hadoop.hbase.filter.FilterBase;
import org.apache.hadoop.hbase.filter.FirstKeyOnlyFilter;
import org.apache.hadoop.hbase.filter.FuzzyRowFilter;
import org.apache.hadoop.hbase.filter.InclusiveStopFilter;
import org.apache.hadoop.hbase.filter.KeyOnlyFilter;
import org.apache.hadoop.hbase.filter.MultiRowRangeFilter;
import org.apache.hadoop.hbase.filter.MultiRowRangeFilter.RowRange;
import org.apache.hadoop.hbase.filter.PageFilter;
import org.apache.hadoop.hbase.filter.ParseFilter;
import org.apache.hadoop.hbase.filter.PrefixFilter;
import org.apache.hadoop.hbase.filter.RegexStringComparator;
import org.apache.hadoop.hbase.filter.SingleColumnValueFilter;
import org.apache.hadoop.hbase.filter.SkipFilter;
import org.apache.hadoop.hbase.filter.WhileMatchFilter;
import org.apache.hadoop.hbase.util.Bytes;

/**
 * Every filter with every comparator, filters within each other, and the filter language, in scans and Gets.
 *
 * <p>What a client has no class for it does not tell. Compiles against hbase-client 1.4 to 3.0.
 *
 * <p>Cells are shown as {@code <family><qualifier><time>}, with their value only where it is not the one that was written.
 */
abstract class FilterLines implements Story.Teller {
  static final byte[] A = b("a");
  static final byte[] B = b("b");
  static final byte[] LONG_NAME = b("longname");
  static final String TABLE = "filtered";
  private static final String[] OPERATORS = {"LESS", "LESS_OR_EQUAL", "EQUAL", "NOT_EQUAL", "GREATER_OR_EQUAL", "GREATER", "NO_OP"};
  static final String[] GOT = {"a2", "h1", "h6"};
  private static final int SHOWN_ROWS = 100;

  Table table;
  /** Those that were told of. */
  final Map<String, Filter> named = new LinkedHashMap<>();
  private final Map<String, byte[]> written = new HashMap<>();

  /** A table of that name, split at g, n and t, with three families; a keeps three versions. */
  abstract void create(Connection connection, String name) throws Exception;

  abstract void drop(Connection connection, String name) throws Exception;

  abstract Scan everyVersion(Scan scan);

  abstract Get everyVersion(Get get) throws Exception;

  static byte[] b(String text) {
    return Story.b(text);
  }

  @Override
  public void tell(Connection connection, Configuration configuration) throws Exception {
    create(connection, TABLE);
    table = connection.getTable(TableName.valueOf(TABLE));
    fill();
    comparators();
    filters();
    lists();
    language();
    refused();
    more();
    table.close();
    drop(connection, TABLE);
  }

  /** What not every client has. */
  void more() throws Exception {}

  // --- what there is to read

  private void put(String row, byte[] family, String qualifier, long time, byte[] value) throws Exception {
    table.put(new Put(b(row)).addColumn(family, b(qualifier), time, value));
    written.put(row + "/" + Bytes.toString(family) + qualifier + time, value);
  }

  /** Columns: t text, l longs, d decimals, x bits. Rows before h are for filters of rows and columns. */
  private void fill() throws Exception {
    for (String row : new String[] {"a1", "a2", "b1", "b2", "n1", "n2", "p1", "t1", "x1", "x2"}) {
      put(row, A, "t", 1, b("t" + row));
      put(row, A, "t", 3, b("t" + row));
      put(row, A, "u", 2, b(row.endsWith("1") ? "odd" : "even"));
      put(row, B, "v", 3, b("w"));
    }
    put("a2", A, "", 4, b("no name"));
    put("b1", A, "tail", 5, b("z"));
    put("n2", B, "t", 1, b("tb"));
    put("h1", A, "t", 2, b("older"));
    put("h1", A, "t", 3, b("alpha"));
    put("h2", A, "t", 2, b("Beta"));
    put("h2", B, "t", 2, b("beta"));
    put("h3", A, "t", 1, b(""));
    put("h4", A, "t", 1, b("gamma\\x0Aalp"));
    put("h5", B, "t", 1, b("alpha"));
    put("h6", A, "t", 4, b("alp"));
    put("h6", A, "t", 5, b("alphabet"));
    long[] longs = {5, -7, 1000, Long.MIN_VALUE};
    BigDecimal[] decimals = {new BigDecimal("1.5"), new BigDecimal("-2.25"), new BigDecimal("1.50"), new BigDecimal("123456789012345678901234567890.1")};
    byte[] bits = {0x0F, 0x10, 0x00, (byte) 0xFF};
    for (int number = 0; number < longs.length; number++) {
      put("h" + (number + 1), A, "l", 3, Bytes.toBytes(longs[number]));
      put("h" + (number + 1), A, "d", 1, Bytes.toBytes(decimals[number]));
      put("h" + (number + 1), A, "x", 2, new byte[] {bits[number]});
    }
    put("h6", A, "l", 5, Bytes.toBytes(5L));
    for (String row : new String[] {"hhhhhhh1", "hhhhhhh2"}) {
      put(row, LONG_NAME, "qqqqqqq1", 1, Bytes.toBytes(17L));
      put(row, LONG_NAME, "qqqqqqq2", 2, Bytes.toBytes(18L));
    }
  }

  // --- how it is shown

  private String shown(Result result) {
    if (result.isEmpty()) {
      return "{}";
    }
    String row = Bytes.toStringBinary(result.getRow());
    List<String> cells = new ArrayList<>();
    for (Cell each : result.rawCells()) {
      String name = Bytes.toStringBinary(CellUtil.cloneFamily(each)) + Bytes.toStringBinary(CellUtil.cloneQualifier(each)) + each.getTimestamp();
      byte[] value = CellUtil.cloneValue(each);
      cells.add(name + (Arrays.equals(value, written.get(row + "/" + name)) ? "" : "=" + Story.text(value)));
    }
    return row + "{" + String.join(" ", cells) + "}";
  }

  List<String> scanned(Scan scan) throws Exception {
    List<String> rows = new ArrayList<>();
    try (ResultScanner scanner = table.getScanner(scan)) {
      for (Result each = scanner.next(); each != null && rows.size() < SHOWN_ROWS; each = scanner.next()) {
        rows.add(shown(each));
      }
    }
    return rows;
  }

  interface Made<T> {
    T of() throws Exception;
  }

  private interface Told {
    void tell() throws Exception;
  }

  /** What needs a class that this client has not is not told. */
  private static void whereThere(Told work) throws Exception {
    try {
      work.tell();
    } catch (Filters.NotThereException absent) {
      // its lines are missing
    }
  }

  // --- comparators

  private void comparators() throws Exception {
    String text = "t";
    compared("BinaryComparator", text, () -> Filters.of("BinaryComparator", b("h3")), () -> Filters.of("BinaryComparator", B),
      () -> Filters.of("BinaryComparator", b("l")), () -> Filters.of("BinaryComparator", b("alpha")));
    compared("BinaryPrefixComparator", text, () -> Filters.of("BinaryPrefixComparator", b("hh")), () -> Filters.of("BinaryPrefixComparator", b("lo")),
      () -> Filters.of("BinaryPrefixComparator", b("q")), () -> Filters.of("BinaryPrefixComparator", b("alp")));
    compared("BinaryComponentComparator", "l", () -> Filters.of("BinaryComponentComparator", b("2"), 1), () -> Filters.of("BinaryComponentComparator", B, 0),
      () -> Filters.of("BinaryComponentComparator", b("l"), 0), () -> Filters.of("BinaryComponentComparator", b("\\x03\\xE8"), 6));
    compared("LongComparator", "l", () -> Filters.of("LongComparator", Bytes.toLong(b("hhhhhhh1"))), () -> Filters.of("LongComparator", Bytes.toLong(LONG_NAME)),
      () -> Filters.of("LongComparator", Bytes.toLong(b("qqqqqqq2"))), () -> Filters.of("LongComparator", 5L));
    compared("BigDecimalComparator", "d", () -> Filters.of("BigDecimalComparator", Bytes.toBigDecimal(b("hhhhhhh1"))),
      () -> Filters.of("BigDecimalComparator", Bytes.toBigDecimal(LONG_NAME)), () -> Filters.of("BigDecimalComparator", Bytes.toBigDecimal(b("qqqqqqq2"))),
      () -> Filters.of("BigDecimalComparator", new BigDecimal("1.5")));
    for (String operation : new String[] {"AND", "OR", "XOR"}) {
      compared("BitComparator " + operation, "x", () -> Filters.of("BitComparator", b("\\x00\\x01"), operation),
        () -> Filters.of("BitComparator", b("\\x02"), operation), () -> Filters.of("BitComparator", b("\\x04"), operation),
        () -> Filters.of("BitComparator", b("\\x0F"), operation));
    }
    compared("NullComparator", text, () -> Filters.of("NullComparator"), () -> Filters.of("NullComparator"), () -> Filters.of("NullComparator"), () -> Filters.of("NullComparator"));
    compared("SubstringComparator", text, () -> Filters.of("SubstringComparator", "H3"), () -> Filters.of("SubstringComparator", "Am"),
      () -> Filters.of("SubstringComparator", "Q2"), () -> Filters.of("SubstringComparator", "ALP"));
    compared("RegexStringComparator", text, () -> Filters.of("RegexStringComparator", "^h[24]$"), () -> Filters.of("RegexStringComparator", "^(a|long.*)$"),
      () -> Filters.of("RegexStringComparator", "q{3}\\d|x"), () -> Filters.of("RegexStringComparator", "a.+p"));
    compared("RegexStringComparator with flags", text, () -> Filters.of("RegexStringComparator", "H\\d$", 2), () -> Filters.of("RegexStringComparator", "B | Z # one", 2 | 4),
      () -> Filters.of("RegexStringComparator", ".q2", 0), () -> Filters.of("RegexStringComparator", "^ALP", 2 | 8));
    compared("RegexStringComparator by JONI", text, () -> Filters.regex("h[^1-5h]"), () -> Filters.regex("^[^l]"), () -> Filters.regex("[a-z]{2}\\d"), () -> Filters.regex("a$"));
  }

  /** Every filter that takes a comparator, with every operator; the last comparator is for values of that column. */
  private void compared(
    String name, String column, Made<Object> row, Made<Object> family, Made<Object> qualifier, Made<Object> value) throws Exception {
    boolean ofEightBytes = name.startsWith("Long") || name.startsWith("Big");
    byte[] q = b(column);
    operators(name, "RowFilter", () -> ofEightBytes ? rows("hh", "i") : rows("h", "i"), each -> Filters.of("RowFilter", each, row.of()));
    operators(name, "FamilyFilter", () -> ofEightBytes ? rows("hh", "i") : rows("h4", "i"), each -> Filters.of("FamilyFilter", each, family.of()));
    operators(name, "QualifierFilter", () -> ofEightBytes ? rows("hh", "i") : rows("h4", "i"), each -> Filters.of("QualifierFilter", each, qualifier.of()));
    operators(name, "ValueFilter", () -> everyVersion(rows("h", "hh")).addColumn(A, q), each -> Filters.of("ValueFilter", each, value.of()));
    for (String filter : new String[] {"SingleColumnValueFilter", "SingleColumnValueExcludeFilter", "ColumnValueFilter"}) {
      operators(name, filter, () -> rows("h", "hh").addFamily(A), each -> Filters.of(filter, A, q, each, value.of()));
    }
    operators(name, "DependentColumnFilter", () -> everyVersion(rows("h", "hh")), each -> Filters.of("DependentColumnFilter", A, q, false, each, value.of()));
  }

  private interface ByOperator {
    Filter of(String operator) throws Exception;
  }

  private void operators(String comparator, String name, Made<Scan> scan, ByOperator made) throws Exception {
    boolean noOp = !name.startsWith("SingleColumn"); // a server does not read them with it
    whereThere(() -> {
      made.of("LESS");
      Story.step("comparators", comparator + ", " + name, () -> {
        Map<String, String> operators = new LinkedHashMap<>();
        for (String each : OPERATORS) {
          if (noOp || !each.equals("NO_OP")) {
            operators.merge(String.join(" ", scanned(scan.of().setFilter(made.of(each)))), each, (one, other) -> one + " " + other);
          }
        }
        List<String> parts = new ArrayList<>();
        operators.forEach((seen, these) -> parts.add(these + ": " + seen));
        return String.join("; ", parts);
      });
    });
  }

  private static Scan rows(String start, String stop) {
    return new Scan().withStartRow(b(start)).withStopRow(b(stop));
  }

  // --- filters

  /** Scans upwards and downwards, in other shapes, and Gets; what is as in the scan upwards is only said to be so. */
  private void filter(String feature, String name, Made<Filter> made) throws Exception {
    whereThere(() -> {
      Filter filter = made.of();
      List<String> upwards = new ArrayList<>();
      Story.step(feature, name, () -> {
        upwards.addAll(scanned(everyVersion(new Scan()).setFilter(filter)));
        return String.join(" ", upwards);
      });
      if (!name.contains("Fuzzy")) { // on a real server such a scan downwards may never end
        List<String> downwards = new ArrayList<>(upwards);
        Collections.reverse(downwards);
        shape(feature, name + ", reversed", downwards, () -> everyVersion(new Scan()).setFilter(filter).setReversed(true));
      }
      shape(feature, name + ", families on demand", upwards, () -> {
        Scan scan = everyVersion(new Scan()).setFilter(filter);
        scan.setLoadColumnFamiliesOnDemand(true);
        return scan;
      });
      shape(feature, name + ", a cell in an answer", upwards, () -> everyVersion(new Scan()).setFilter(filter).setMaxResultSize(1));
      shape(feature, name + ", two rows in an answer", upwards, () -> everyVersion(new Scan()).setFilter(filter).setCaching(2));
      shape(feature, name + ", two cells in a result", upwards, () -> everyVersion(new Scan()).setFilter(filter).setBatch(2));
      shape(feature, name + ", a limit of five", upwards, () -> everyVersion(new Scan()).setFilter(filter).setLimit(5));
      Story.step(feature, name + ", the newest, one family, from a2 to n2",
        () -> String.join(" ", scanned(rows("a2", "n2").addFamily(A).setFilter(filter))));
      Story.step(feature, name + ", Gets", () -> {
        List<String> seen = new ArrayList<>();
        for (String row : GOT) {
          seen.add(shown(table.get(everyVersion(new Get(b(row))).setFilter(filter))));
        }
        return String.join(" ", seen);
      });
      named.put(feature + ", " + name, filter);
    });
  }

  private void shape(String feature, String what, List<String> expected, Made<Scan> scan) {
    Story.step(feature, what, () -> {
      List<String> seen = scanned(scan.of());
      return seen.equals(expected) ? "the same" : String.join(" ", seen);
    });
  }

  private void filters() throws Exception {
    simple("PrefixFilter", b("a"));
    simple("InclusiveStopFilter", b("h2"));
    simple("PageFilter", 2L);
    simple("RandomRowFilter", 2.0f);
    simple("RandomRowFilter", -1.0f);
    simple("ColumnCountGetFilter", 2);
    simple("ColumnPaginationFilter", 2, 1);
    simple("ColumnPaginationFilter", 2, b("l"));
    simple("ColumnPrefixFilter", b("t"));
    filter("filters", "MultipleColumnPrefixFilter", () -> Filters.of("MultipleColumnPrefixFilter", (Object) new byte[][] {b("u"), b("ta"), b("d")}));
    simple("ColumnRangeFilter", b("l"), true, b("t"), false);
    simple("ColumnRangeFilter", b("l"), false, b("t"), true);
    filter("filters", "ColumnRangeFilter, no end", () -> new ColumnRangeFilter(b("t"), false, null, false));
    filter("filters", "ColumnRangeFilter, no start", () -> new ColumnRangeFilter(null, false, b("t"), false));
    simple("FirstKeyOnlyFilter");
    Set<byte[]> columns = new TreeSet<>(Bytes.BYTES_COMPARATOR);
    columns.add(b("u"));
    columns.add(b("v"));
    filter("filters", "FirstKeyValueMatchingQualifiersFilter", () -> Filters.of("FirstKeyValueMatchingQualifiersFilter", columns));
    simple("KeyOnlyFilter");
    simple("KeyOnlyFilter", true);
    filter("filters", "TimestampsFilter", () -> Filters.of("TimestampsFilter", Arrays.asList(3L, 1L)));
    filter("filters", "TimestampsFilter with hints", () -> Filters.of("TimestampsFilter", Arrays.asList(2L, 5L), true));
    filter("filters", "FuzzyRowFilter", () -> Filters.fuzzy("?1"));
    filter("filters", "FuzzyRowFilter of two", () -> Filters.fuzzy("b?", "hhhhhh??"));
    filter("filters", "MultiRowRangeFilter", () -> new MultiRowRangeFilter(new ArrayList<>(Arrays.asList(
      new RowRange(b("h3"), false, b("h5"), true), new RowRange(b("a2"), true, b("b2"), false), new RowRange(b("x1"), true, b("z"), false)))));
    filter("filters", "MultiRowRangeFilter without an end", () -> new MultiRowRangeFilter(new ArrayList<>(Arrays.asList(
      new RowRange(b("h3"), true, b("h5"), true), new RowRange(b("x1"), true, b(""), false)))));
    filter("filters", "MultiRowRangeFilter of prefixes", () -> new MultiRowRangeFilter(new byte[][] {b("hh"), b("b"), b("n1")}));
    filter("filters", "SkipFilter", () -> new SkipFilter(Filters.of("ValueFilter", "NOT_EQUAL", Filters.of("BinaryComparator", b("odd")))));
    filter("filters", "WhileMatchFilter", () -> new WhileMatchFilter(Filters.of("RowFilter", "NOT_EQUAL", Filters.of("BinaryComparator", b("h3")))));
    filter("filters", "WhileMatchFilter of a column", () -> new WhileMatchFilter(Filters.of("QualifierFilter", "NOT_EQUAL", Filters.of("BinaryComparator", b("u")))));
    filter("filters", "DependentColumnFilter", () -> Filters.of("DependentColumnFilter", A, b("t")));
    filter("filters", "DependentColumnFilter without its column", () -> Filters.of("DependentColumnFilter", A, b("t"), true));
    for (boolean missing : new boolean[] {false, true}) {
      for (boolean latest : new boolean[] {false, true}) {
        filter("filters", "SingleColumnValueFilter, if missing " + missing + ", latest only " + latest, () -> {
          SingleColumnValueFilter made = Filters.of("SingleColumnValueFilter", A, b("t"), "EQUAL", Filters.of("BinaryComparator", b("alp")));
          made.setFilterIfMissing(missing);
          made.setLatestVersionOnly(latest);
          return made;
        });
      }
    }
    filter("filters", "SingleColumnValueExcludeFilter", () -> Filters.of("SingleColumnValueExcludeFilter", A, b("u"), "EQUAL", b("even")));
  }

  private void simple(String name, Object... words) throws Exception {
    List<String> shown = new ArrayList<>();
    for (Object each : words) {
      shown.add(Story.text(each));
    }
    filter("filters", name + "(" + String.join(", ", shown) + ")", () -> Filters.of(name, words));
  }

  private void list(String name, Made<Filter> made) throws Exception {
    filter("filters in lists", name, made);
  }

  private void lists() throws Exception {
    list("none, all must pass", Filters::all);
    list("none, one must pass", Filters::one);
    list("all: prefix, column", () -> Filters.all(Filters.prefix("h"), Filters.qualifier("EQUAL", "t")));
    list("one: prefix, column", () -> Filters.one(Filters.prefix("h"), Filters.qualifier("EQUAL", "u")));
    list("all: column, page", () -> Filters.all(Filters.qualifier("EQUAL", "u"), new PageFilter(1)));
    list("all: page, rows that are not there", () -> Filters.all(new PageFilter(1), Filters.one(Filters.prefix("a2"), Filters.prefix("x2"))));
    list("one: page, prefix", () -> Filters.one(new PageFilter(1), Filters.prefix("h")));
    list("all: hints of columns", () -> Filters.all(new ColumnPrefixFilter(b("t")), new ColumnRangeFilter(b("tail"), true, b("u"), true)));
    list("one: hints of columns", () -> Filters.one(new ColumnPrefixFilter(b("ta")), new ColumnRangeFilter(b("u"), true, b("v"), true)));
    list("one: ranges of rows, a column", () -> Filters.one(new MultiRowRangeFilter(new byte[][] {b("hh"), b("x")}), Filters.qualifier("EQUAL", "u")));
    list("all: ranges of rows, a column", () -> Filters.all(new MultiRowRangeFilter(new byte[][] {b("a"), b("x")}), Filters.qualifier("EQUAL", "u")));
    list("one: hints of rows, FuzzyRowFilter", () -> Filters.one(Filters.fuzzy("?2"), new MultiRowRangeFilter(new byte[][] {b("hh"), b("x")})));
    list("all: hints of rows and columns, FuzzyRowFilter", () -> Filters.all(Filters.fuzzy("?2"), new ColumnPrefixFilter(b("t")), Filters.of("TimestampsFilter", Arrays.asList(1L, 2L))));
    list("all: only the first, a value", () -> Filters.all(new FirstKeyOnlyFilter(), Filters.value("NOT_EQUAL", "no name")));
    list("all: a value, only the first", () -> Filters.all(Filters.value("NOT_EQUAL", "no name"), new FirstKeyOnlyFilter()));
    list("all: only keys, a value", () -> Filters.all(new KeyOnlyFilter(true), Filters.value("EQUAL", "w")));
    list("one: only keys, a value", () -> Filters.one(new KeyOnlyFilter(), Filters.value("EQUAL", "w")));
    list("all within one", () -> Filters.one(Filters.all(Filters.prefix("a"), Filters.qualifier("EQUAL", "t")), Filters.all(Filters.prefix("n"), Filters.qualifier("EQUAL", "u"))));
    list("one within all", () -> Filters.all(Filters.one(Filters.prefix("a"), Filters.prefix("h")), Filters.one(Filters.qualifier("EQUAL", "u"), Filters.qualifier("EQUAL", "l"))));
    list("four deep", () -> Filters.all(Filters.one(Filters.all(Filters.one(Filters.prefix("a"), Filters.prefix("b")), Filters.qualifier("GREATER", "t")), Filters.all(Filters.prefix("x"))), new KeyOnlyFilter()));
    list("skip within one", () -> Filters.one(new SkipFilter(Filters.value("NOT_EQUAL", "odd")), Filters.prefix("x")));
    list("while within all", () -> Filters.all(new WhileMatchFilter(Filters.of("RowFilter", "LESS", Filters.of("BinaryComparator", b("b2")))), Filters.qualifier("EQUAL", "t")));
    list("a list that is skipped", () -> new SkipFilter(Filters.all(Filters.value("NOT_EQUAL", "even"), Filters.qualifier("NOT_EQUAL", "d"))));
    list("all: columns that two filters have read", () -> Filters.all(Filters.single("u", "even"), Filters.single("t", "tb2")));
    list("one: columns that two filters have read", () -> Filters.one(Filters.single("u", "even"), Filters.single("t", "alphabet")));
    list("all: pages of columns", () -> Filters.all(new ColumnPaginationFilter(1, 1), Filters.qualifier("GREATER_OR_EQUAL", "t")));
    list("one: pages of columns", () -> Filters.one(new ColumnPaginationFilter(1, 1), new ColumnCountGetFilter(1)));
    list("one: what an inclusive stop lets through", () -> Filters.one(new InclusiveStopFilter(b("a2")), Filters.qualifier("EQUAL", "x")));
  }

  // --- what users type

  private static final String[] TYPED = {
    "PrefixFilter('a')", "KeyOnlyFilter()", "KeyOnlyFilter(true)", "KeyOnlyFilter (false)", "FirstKeyOnlyFilter()", "ColumnPrefixFilter('t')",
    "MultipleColumnPrefixFilter('t', 'a', 'u')", "ColumnCountGetFilter(4)", "PageFilter(4)", "ColumnPaginationFilter(4, 6)",
    "InclusiveStopFilter('h2')", "TimestampsFilter(9223372036854775806, 6)", "TimestampsFilter(5)", "RowFilter(=, 'binary:h1')",
    "RowFilter(!=, 'binaryprefix:h')", "FamilyFilter(>=, 'binary:a')", "QualifierFilter(<, 'regexstring:^t.*$')",
    "QualifierFilter(=, 'regexstringnocase:^T')", "ValueFilter(=, 'substring:ALP')", "ValueFilter(<=, 'binary:')",
    "ColumnRangeFilter('a', true, 't', false)", "ColumnRangeFilter('', true, '', false)", "RandomRowFilter(0.5)",
    "DependentColumnFilter('a', 't')", "DependentColumnFilter('a', 't', true)", "DependentColumnFilter('a', 't', false, >, 'binary:v')",
    "SingleColumnValueFilter('a', 't', =, 'binary:x')", "SingleColumnValueFilter('a', 't', !=, 'regexstring:x', true, false)",
    "SingleColumnValueExcludeFilter('a', 't', <, 'binaryprefix:x')", "SingleColumnValueExcludeFilter('a', 't', <, 'substring:x', false, true)",
    "ColumnValueFilter('a', 't', =, 'binary:x')", "FuzzyRowFilter('a?')", "MultiRowRangeFilter('a', 'b')",
    "FirstKeyValueMatchingQualifiersFilter('a', 'b')", "RowFilter(=, 'null:')", "RowFilter(=, 'long:5')", "RowFilter(=, 'bigdecimal:5')",
    "PrefixFilter('a') AND QualifierFilter(=, 'binary:t')", "PrefixFilter('a') OR PrefixFilter('b') AND PageFilter(1)",
    "(PrefixFilter('a') OR PrefixFilter('b')) AND PageFilter(1)", "PrefixFilter('a') AND PrefixFilter('b') AND PrefixFilter('c') OR PageFilter(2)",
    "SKIP ValueFilter(!=, 'binary:odd')", "WHILE RowFilter(!=, 'binary:h3')", "SKIP WHILE PrefixFilter('a')",
    "SKIP PrefixFilter('a') AND WHILE PrefixFilter('b')", "SKIP (PrefixFilter('a') AND PageFilter(3))", "((PrefixFilter('a')))",
    "  PrefixFilter  (  'a'  )  ", "PrefixFilter('it''s')", "PrefixFilter('a) AND (b')", "PrefixFilter('\u00e9')", "PrefixFilter('')",
    "(PrefixFilter('a') AND (PageFilter(1) OR (SKIP KeyOnlyFilter() AND FirstKeyOnlyFilter())))",
    // what is none
    "", "Prefix", "PrefixFilter", "PrefixFilter(", "PrefixFilter('a'", "PrefixFilter('a", "PrefixFilter(a)", "PrefixFilter('a', 'b')", "PrefixFilter()",
    "NoFilter('a')", "('a')", "PrefixFilter('a') AND", "AND PrefixFilter('a')", "PrefixFilter('a') PrefixFilter('b')", "PrefixFilter('a') XOR PrefixFilter('b')",
    "(PrefixFilter('a')", "PrefixFilter('a'))", "PageFilter(x)", "PageFilter('1')", "PageFilter(-1)", "PageFilter(99999999999999999999)",
    "ColumnPaginationFilter(1)", "KeyOnlyFilter(maybe)", "RowFilter(~, 'binary:a')", "RowFilter(=, 'a')", "RowFilter(=, 'none:a')", "RowFilter('binary:a', =)",
    "ValueFilter(<, 'substring:a')", "ValueFilter(>, 'regexstring:a')", "ValueFilter(=, 'regexstring:(')", "SKIP", "WHILE (", "TimestampsFilter()",
    "SingleColumnValueFilter('a', 't')", "SingleColumnValueFilter('a', 't', =, 'binary:x', true)", "DependentColumnFilter('a')",
    "prefixfilter('a')", "PrefixFilter('a') and PrefixFilter('b')",
  };

  private void language() {
    for (String each : TYPED) {
      Story.step("filter language", each, () -> {
        Filter filter = new ParseFilter().parseFilterString(each);
        return filter.getClass().getSimpleName() + " " + Bytes.toHex(filter.toByteArray());
      });
    }
    for (String each : new String[] {"PrefixFilter('h') AND (QualifierFilter(=, 'binary:l') OR SKIP ValueFilter(!=, 'substring:BETA'))",
      "(FamilyFilter(=, 'binary:b') AND PageFilter(1)) OR RowFilter(=, 'regexstringnocase:^X')"}) {
      Story.step("filter language", "scan with " + each,
        () -> String.join(" ", scanned(everyVersion(new Scan()).setFilter(new ParseFilter().parseFilterString(each)))));
    }
  }

  // --- what no server knows

  /** A class of the user's own that is not among the server's. */
  public static final class Own extends FilterBase {
    public ReturnCode filterKeyValue(Cell cell) { // which HBase 3 has no more
      return ReturnCode.INCLUDE;
    }
  }

  private void refused() {
    Story.step("filters refused", "a class that no server has, scan", () -> scanned(new Scan().setFilter(new Own())));
    Story.step("filters refused", "a class that no server has, Get", () -> table.get(new Get(b("a1")).setFilter(new Own())));
    Story.step("filters refused", "a class that no server has, in a list", () -> scanned(new Scan().setFilter(Filters.all(Filters.prefix("a"), new Own()))));
    Story.step("patterns that refer back or look ahead", "ahead",
      () -> table.get(new Get(b("h6")).setFilter(Filters.of("RowFilter", "EQUAL", Filters.of("RegexStringComparator", "h(?=6)")))));
    Story.step("patterns that refer back or look ahead", "back",
      () -> table.get(new Get(b("hhhhhhh1")).setFilter(Filters.of("RowFilter", "EQUAL", Filters.of("RegexStringComparator", "(h)\\1")))));
    Story.step("JONI's own classes of characters", "letters and digits",
      () -> table.get(new Get(b("h6")).setFilter(Filters.of("RowFilter", "EQUAL", Filters.regex("[[:alpha:]][[:digit:]]")))));
  }
}
