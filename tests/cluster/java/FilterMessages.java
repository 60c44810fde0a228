import java.math.BigDecimal;
import java.util.Arrays;
import java.util.Set;
import java.util.TreeSet;
import org.apache.hadoop.hbase.CompareOperator;
import org.apache.hadoop.hbase.filter.BigDecimalComparator;
import org.apache.hadoop.hbase.filter.BinaryComparator;
import org.apache.hadoop.hbase.filter.BinaryComponentComparator;
import org.apache.hadoop.hbase.filter.BinaryPrefixComparator;
import org.apache.hadoop.hbase.filter.BitComparator;
import org.apache.hadoop.hbase.filter.ByteArrayComparable;
import org.apache.hadoop.hbase.filter.ColumnCountGetFilter;
import org.apache.hadoop.hbase.filter.ColumnPaginationFilter;
import org.apache.hadoop.hbase.filter.ColumnPrefixFilter;
import org.apache.hadoop.hbase.filter.ColumnRangeFilter;
import org.apache.hadoop.hbase.filter.ColumnValueFilter;
import org.apache.hadoop.hbase.filter.DependentColumnFilter;
import org.apache.hadoop.hbase.filter.FamilyFilter;
import org.apache.hadoop.hbase.filter.Filter;
import org.apache.hadoop.hbase.filter.FilterList;
import org.apache.hadoop.hbase.filter.FirstKeyOnlyFilter;
import org.apache.hadoop.hbase.filter.FirstKeyValueMatchingQualifiersFilter;
import org.apache.hadoop.hbase.filter.FuzzyRowFilter;
import org.apache.hadoop.hbase.filter.InclusiveStopFilter;
import org.apache.hadoop.hbase.filter.KeyOnlyFilter;
import org.apache.hadoop.hbase.filter.LongComparator;
import org.apache.hadoop.hbase.filter.MultiRowRangeFilter;
import org.apache.hadoop.hbase.filter.MultipleColumnPrefixFilter;
import org.apache.hadoop.hbase.filter.NullComparator;
import org.apache.hadoop.hbase.filter.PageFilter;
import org.apache.hadoop.hbase.filter.PrefixFilter;
import org.apache.hadoop.hbase.filter.QualifierFilter;
import org.apache.hadoop.hbase.filter.RandomRowFilter;
import org.apache.hadoop.hbase.filter.RegexStringComparator;
import org.apache.hadoop.hbase.filter.RowFilter;
import org.apache.hadoop.hbase.filter.SingleColumnValueExcludeFilter;
import org.apache.hadoop.hbase.filter.SingleColumnValueFilter;
import org.apache.hadoop.hbase.filter.SkipFilter;
import org.apache.hadoop.hbase.filter.SubstringComparator;
import org.apache.hadoop.hbase.filter.TimestampsFilter;
import org.apache.hadoop.hbase.filter.ValueFilter;
import org.apache.hadoop.hbase.filter.WhileMatchFilter;
import org.apache.hadoop.hbase.util.Bytes;
import org.apache.hadoop.hbase.util.Pair;

/** The messages of filters and comparators: a line for each, with what makes the same in Python. */
public final class FilterMessages {
  private FilterMessages() {}

  private static final byte[] F = b("f");
  private static final byte[] Q = b("q");
  private static final CompareOperator LESS = CompareOperator.LESS;

  private static byte[] b(String text) {
    return Bytes.toBytes(text);
  }

  private static void filter(String python, Filter made) throws Exception {
    line(python, made, made.toByteArray());
  }

  private static void comparator(String python, ByteArrayComparable made) {
    line(python, made, made.toByteArray());
  }

  private static void line(String python, Object made, byte[] message) {
    System.out.println("= " + python + " | " + made.getClass().getName() + " " + Bytes.toHex(message));
  }

  public static void main(String[] words) throws Exception {
    comparators();
    comparing();
    columns();
    rows();
    lists();
    System.out.println("= end");
    System.exit(0);
  }

  private static void comparators() {
    comparator("BinaryComparator('v')", new BinaryComparator(b("v")));
    comparator("BinaryComparator(b'')", new BinaryComparator(new byte[0]));
    comparator("BinaryPrefixComparator(b'\\xff\\x00')", new BinaryPrefixComparator(new byte[] {-1, 0}));
    comparator("BinaryComponentComparator('v', 300)", new BinaryComponentComparator(b("v"), 300));
    comparator("BitComparator(b'\\x01', '&')", new BitComparator(new byte[] {1}, BitComparator.BitwiseOp.AND));
    comparator("BitComparator(b'\\x01', '|')", new BitComparator(new byte[] {1}, BitComparator.BitwiseOp.OR));
    comparator("BitComparator(b'\\x01', BitwiseOp.XOR)", new BitComparator(new byte[] {1}, BitComparator.BitwiseOp.XOR));
    comparator("NullComparator()", new NullComparator());
    for (long number : new long[] {0, 7, -1, Long.MIN_VALUE, Long.MAX_VALUE}) {
      comparator("LongComparator(" + number + ")", new LongComparator(number));
    }
    for (String number : new String[] {"0", "1.50", "-1.50", "127", "128", "-128", "-129", "1E+3", "-32768", "1E-9",
      "123456789012345678901234567890.5"}) {
      comparator("BigDecimalComparator(Decimal('" + number + "'))", new BigDecimalComparator(new BigDecimal(number)));
    }
    comparator("RegexStringComparator('^a.z')", new RegexStringComparator("^a.z"));
    comparator("RegexStringComparator('ä', PatternFlag.MULTILINE | PatternFlag.CASE_INSENSITIVE)",
      new RegexStringComparator("ä", 8 | 2));
    comparator("RegexStringComparator('a', engine='JONI')",
      new RegexStringComparator("a", RegexStringComparator.EngineType.JONI));
    comparator("SubstringComparator('SubÄ')", new SubstringComparator("SubÄ"));
  }

  private static void comparing() throws Exception {
    CompareOperator[] all = CompareOperator.values();
    String[] signs = {"'<'", "'<='", "'='", "'!='", "'>='", "'>'", "CompareOp.NO_OP"};
    for (int index = 0; index < all.length; index++) {
      filter("ValueFilter(" + signs[index] + ", 'v')", new ValueFilter(all[index], new BinaryComparator(b("v"))));
    }
    filter("RowFilter('<', 'v')", new RowFilter(LESS, new BinaryComparator(b("v"))));
    filter("FamilyFilter('<', 'v')", new FamilyFilter(LESS, new BinaryComparator(b("v"))));
    filter("QualifierFilter('<', NullComparator())", new QualifierFilter(LESS, new NullComparator()));
    filter("DependentColumnFilter('f', 'q')", new DependentColumnFilter(F, Q));
    filter("DependentColumnFilter('f', 'q', True)", new DependentColumnFilter(F, Q, true));
    filter("DependentColumnFilter('f', 'q', True, '<', 'v')",
      new DependentColumnFilter(F, Q, true, LESS, new BinaryComparator(b("v"))));
    filter("ColumnValueFilter('f', 'q', '<', 'v')", new ColumnValueFilter(F, Q, LESS, b("v")));
    filter("SingleColumnValueFilter('f', 'q', '<', 'v')", new SingleColumnValueFilter(F, Q, LESS, b("v")));
    SingleColumnValueFilter single = new SingleColumnValueFilter(F, Q, LESS, new SubstringComparator("v"));
    single.setFilterIfMissing(true);
    filter("Column('f:q') < SubstringComparator('v')", single);
    single.setLatestVersionOnly(false);
    filter("SingleColumnValueFilter('f', 'q', '<', SubstringComparator('v'), True, False)", single);
    filter("SingleColumnValueExcludeFilter('f', 'q', '<', 'v')",
      new SingleColumnValueExcludeFilter(F, Q, LESS, b("v")));
  }

  private static void columns() throws Exception {
    filter("ColumnPrefixFilter('p')", new ColumnPrefixFilter(b("p")));
    filter("MultipleColumnPrefixFilter(['p', 'o'])", new MultipleColumnPrefixFilter(new byte[][] {b("p"), b("o")}));
    filter("ColumnRangeFilter('a', False, 'b', True)", new ColumnRangeFilter(b("a"), false, b("b"), true));
    filter("ColumnRangeFilter()", new ColumnRangeFilter(null, true, null, false));
    filter("ColumnCountGetFilter(3)", new ColumnCountGetFilter(3));
    filter("ColumnPaginationFilter(3, 2)", new ColumnPaginationFilter(3, 2));
    filter("ColumnPaginationFilter(3)", new ColumnPaginationFilter(3, 0));
    filter("ColumnPaginationFilter(3, 'q')", new ColumnPaginationFilter(3, Q));
    filter("FirstKeyOnlyFilter()", new FirstKeyOnlyFilter());
    Set<byte[]> qualifiers = new TreeSet<>(Bytes.BYTES_COMPARATOR);
    qualifiers.addAll(Arrays.asList(b("r"), Q));
    filter("FirstKeyValueMatchingQualifiersFilter(['r', 'q', 'r'])",
      new FirstKeyValueMatchingQualifiersFilter(qualifiers));
    filter("KeyOnlyFilter()", new KeyOnlyFilter());
    filter("KeyOnlyFilter(True)", new KeyOnlyFilter(true));
    filter("TimestampsFilter([7, 5, 7])", new TimestampsFilter(Arrays.asList(7L, 5L, 7L)));
    filter("TimestampsFilter([7], can_hint=True)", new TimestampsFilter(Arrays.asList(7L), true));
  }

  private static void rows() throws Exception {
    filter("PrefixFilter('ä')", new PrefixFilter(b("ä")));
    filter("InclusiveStopFilter('r')", new InclusiveStopFilter(b("r")));
    filter("PageFilter(3000000000)", new PageFilter(3000000000L));
    filter("RandomRowFilter(0.25)", new RandomRowFilter(0.25f));
    filter("FuzzyRowFilter([('abc', b'\\x00\\x01\\x00'), ('d', b'\\x00'), ('e', b'\\x01')])",
      new FuzzyRowFilter(Arrays.asList(new Pair<>(b("abc"), new byte[] {0, 1, 0}),
        new Pair<>(b("d"), new byte[] {0}), new Pair<>(b("e"), new byte[] {1}))));
    filter("MultiRowRangeFilter([RowRange('m', 'n', False, True), RowRange('a', 'b'), RowRange('x')])",
      new MultiRowRangeFilter(Arrays.asList(new MultiRowRangeFilter.RowRange("m", false, "n", true),
        new MultiRowRangeFilter.RowRange("a", true, "b", false),
        new MultiRowRangeFilter.RowRange("x", true, "", false))));
  }

  private static void lists() throws Exception {
    Filter a = new PrefixFilter(b("a"));
    Filter c = new PrefixFilter(b("c"));
    filter("PrefixFilter('a') & PrefixFilter('c')", new FilterList(FilterList.Operator.MUST_PASS_ALL, a, c));
    filter("PrefixFilter('a') | PrefixFilter('c')", new FilterList(FilterList.Operator.MUST_PASS_ONE, a, c));
    filter("FilterList(ListOperator.MUST_PASS_ONE, [])", new FilterList(FilterList.Operator.MUST_PASS_ONE));
    filter("SkipFilter(PrefixFilter('a'))", new SkipFilter(a));
    filter("WhileMatchFilter(PrefixFilter('a'))", new WhileMatchFilter(a));
  }
}
