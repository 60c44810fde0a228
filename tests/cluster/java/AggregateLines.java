import java.io.IOException;
import java.math.BigDecimal;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.client.Put;
import org.apache.hadoop.hbase.client.Scan;
import org.apache.hadoop.hbase.client.Table;
import org.apache.hadoop.hbase.client.coprocessor.AggregationClient;
import org.apache.hadoop.hbase.client.coprocessor.BigDecimalColumnInterpreter;
import org.apache.hadoop.hbase.client.coprocessor.DoubleColumnInterpreter;
import org.apache.hadoop.hbase.client.coprocessor.LongColumnInterpreter;
import org.apache.hadoop.hbase.coprocessor.ColumnInterpreter;
import org.apache.hadoop.hbase.filter.FirstKeyOnlyFilter;
import org.apache.hadoop.hbase.filter.PrefixFilter;
import org.apache.hadoop.hbase.util.Bytes;

/**
 * Everything that AggregateService counts, with each interpreter. Compiles against hbase-client 1.4 to 3.0.
 *
 * <p>Types are raw: those of the messages lie in another package in HBase 3, and say nothing that is of interest here.
 */
@SuppressWarnings({"unchecked", "rawtypes"})
final class AggregateLines {
  static final String AGGREGATE = "org.apache.hadoop.hbase.coprocessor.AggregateImplementation";
  static final byte[] A = Story.b("a");
  static final byte[] LONGS = Story.b("longs");
  private static final byte[] DOUBLES = Story.b("doubles");
  private static final byte[] DECIMALS = Story.b("decimals");

  /** A client of the service; methods are its own. */
  interface Client {
    Object call(String method, ColumnInterpreter of, Scan scan) throws Throwable;
  }

  private AggregateLines() {}

  static void fill(Table table) throws IOException {
    int number = 0;
    for (String row : new String[] {"a1", "a2", "b1", "g1", "h1", "n1", "p1", "t1", "x1", "x2"}) {
      number++;
      table.put(new Put(Story.b(row)).addColumn(A, LONGS, 1, Bytes.toBytes((long) (number % 2 == 0 ? number * 1000L : -number)))
        .addColumn(A, DOUBLES, 1, Bytes.toBytes(number / 8.0 - 0.5))
        .addColumn(A, DECIMALS, 1, Bytes.toBytes(new BigDecimal(number + ".12" + number))));
    }
  }

  static Scan scan(byte[] qualifier) {
    return new Scan().addColumn(A, qualifier);
  }

  /** AggregationClient of that table. */
  static Client of(AggregationClient client, Table table) {
    return (method, of, scan) -> {
      switch (method) {
        case "max":
          return client.max(table, of, scan);
        case "min":
          return client.min(table, of, scan);
        case "sum":
          return client.sum(table, of, scan);
        case "rows":
          return client.rowCount(table, of, scan);
        case "average":
          return client.avg(table, of, scan);
        case "standard deviation":
          return client.std(table, of, scan);
        case "median":
          return client.median(table, of, scan);
        default:
          throw new IllegalArgumentException(method);
      }
    };
  }

  static void tell(String feature, Client client) {
    kind(feature, client, "longs", new LongColumnInterpreter(), LONGS);
    kind(feature, client, "doubles", new DoubleColumnInterpreter(), DOUBLES);
    kind(feature, client, "decimals", new BigDecimalColumnInterpreter(), DECIMALS);
    LongColumnInterpreter longs = new LongColumnInterpreter();
    line(feature, "longs, rows of a family", client, "rows", longs, new Scan().addFamily(A));
    line(feature, "longs, rows that pass a filter", client, "rows", longs, new Scan().addFamily(A).setFilter(new PrefixFilter(Story.b("a"))));
    line(feature, "longs, sum of what passes a filter", client, "sum", longs, scan(LONGS).setFilter(new FirstKeyOnlyFilter()));
    line(feature, "longs, sum of a column that is no long", client, "sum", longs, scan(DECIMALS));
    line(feature, "longs, max of an unknown family", client, "max", longs,
      new Scan().addColumn(Story.b("nofamily"), LONGS).withStartRow(Story.b("a")).withStopRow(Story.b("b"))); // of one region, which is told
    line(feature, "longs, two families", client, "max", longs, new Scan().addFamily(A).addFamily(Story.b("b")));
  }

  private static void kind(String feature, Client client, String kind, ColumnInterpreter of, byte[] qualifier) {
    for (String method : new String[] {"max", "min", "sum", "rows", "average", "standard deviation", "median"}) {
      line(feature, kind + ", " + method, client, method, of, scan(qualifier));
    }
    line(feature, kind + ", sum of a part", client, "sum", of, scan(qualifier).withStartRow(Story.b("b")).withStopRow(Story.b("p1")));
    line(feature, kind + ", max of nothing", client, "max", of, scan(qualifier).withStartRow(Story.b("c")).withStopRow(Story.b("d")));
  }

  static void line(String feature, String what, Client client, String method, ColumnInterpreter of, Scan scan) {
    Story.step(feature, what, () -> {
      try {
        return client.call(method, of, scan);
      } catch (Exception error) {
        throw error;
      } catch (Throwable error) {
        throw new Exception(error);
      }
    });
  }
}
