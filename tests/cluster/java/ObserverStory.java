import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.Admin;
import org.apache.hadoop.hbase.client.CheckAndMutate;
import org.apache.hadoop.hbase.client.ColumnFamilyDescriptorBuilder;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.Delete;
import org.apache.hadoop.hbase.client.Get;
import org.apache.hadoop.hbase.client.Put;
import org.apache.hadoop.hbase.client.Result;
import org.apache.hadoop.hbase.client.ResultScanner;
import org.apache.hadoop.hbase.client.RetriesExhaustedWithDetailsException;
import org.apache.hadoop.hbase.client.RowMutations;
import org.apache.hadoop.hbase.client.Scan;
import org.apache.hadoop.hbase.client.Table;
import org.apache.hadoop.hbase.client.TableDescriptorBuilder;
import org.apache.hadoop.hbase.util.Bytes;

/** A table with the observer tests.endpoints.observers:OfStory, with hbase-client 2.6. */
public final class ObserverStory implements Story.Teller {
  private static final String FEATURE = "observers";
  private static final byte[] F = Story.b("f");
  private static final byte[] Q = Story.b("q");

  @Override
  public void tell(Connection connection, Configuration configuration) throws Exception {
    TableName name = TableName.valueOf("observed");
    try (Admin admin = connection.getAdmin(); Table table = connection.getTable(name)) {
      admin.createTable(
        TableDescriptorBuilder.newBuilder(name).setColumnFamily(ColumnFamilyDescriptorBuilder.of(F)).build());
      Story.step(FEATURE, "put", () -> {
        table.put(of("a", "one"));
        return value(table, "a");
      });
      Story.step(FEATURE, "put in a batch, one refused", () -> {
        try {
          table.put(Arrays.asList(of("b", "two"), of("forbidden", "x"), of("hidden1", "three")));
          return "nothing is refused";
        } catch (RetriesExhaustedWithDetailsException refused) {
          return refused.getNumExceptions() + " " + Bytes.toString(refused.getRow(0).getRow()) + " "
            + refused.getCause(0).getClass().getSimpleName() + " " + value(table, "b");
        }
      });
      Story.step(FEATURE, "refused", () -> {
        table.put(of("forbidden", "x"));
        return "nothing is refused";
      });
      Story.step(FEATURE, "raised", () -> {
        table.get(new Get(Story.b("raise")));
        return "nothing is raised";
      });
      Story.step(FEATURE, "bypassed", () -> value(table, "ping"));
      Story.step(FEATURE, "exists", () -> table.exists(new Get(Story.b("ping"))));
      Story.step(FEATURE, "increment",
        () -> table.incrementColumnValue(Story.b("n"), F, Q, 5) + table.incrementColumnValue(Story.b("n"), F, Q, 2));
      Story.step(FEATURE, "check and mutate", () -> {
        CheckAndMutate.Builder builder = CheckAndMutate.newBuilder(Story.b("a"));
        return table.checkAndMutate(builder.ifEquals(F, Q, Story.b("ONE")).build(of("a", "four"))).isSuccess() + " "
          + table.checkAndMutate(builder.ifEquals(F, Q, Story.b("ONE")).build(of("a", "five"))).isSuccess() + " "
          + value(table, "a");
      });
      Story.step(FEATURE, "mutate row", () -> {
        table.mutateRow(
          RowMutations.of(Arrays.asList(of("m", "six"), new Delete(Story.b("m")).addColumns(F, Story.b("r")))));
        return value(table, "m");
      });
      Story.step(FEATURE, "scan", () -> rows(table, new Scan()));
      Story.step(FEATURE, "scan row by row", () -> rows(table, new Scan().setCaching(1).setReversed(true)));
      Story.step(FEATURE, "scan with a limit", () -> rows(table, new Scan().withStartRow(Story.b("b")).setLimit(2)));
      Story.step(FEATURE, "hangs", () -> {
        table.get(new Get(Story.b("hang")));
        return "nothing hangs";
      });
      Story.step(FEATURE, "others then", () -> value(table, "a"));
    }
  }

  private static Put of(String row, String value) {
    return new Put(Story.b(row)).addColumn(F, Q, Story.b(value));
  }

  private static String value(Table table, String row) throws Exception {
    return Bytes.toString(table.get(new Get(Story.b(row))).getValue(F, Q));
  }

  private static List<String> rows(Table table, Scan scan) throws Exception {
    List<String> found = new ArrayList<>();
    try (ResultScanner results = table.getScanner(scan)) {
      for (Result each : results) {
        found.add(Bytes.toString(each.getRow()));
      }
    }
    return found;
  }
}
