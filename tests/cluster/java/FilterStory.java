import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.Admin;
import org.apache.hadoop.hbase.client.CheckAndMutate;
import org.apache.hadoop.hbase.client.CheckAndMutateResult;
import org.apache.hadoop.hbase.client.ColumnFamilyDescriptorBuilder;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.Delete;
import org.apache.hadoop.hbase.client.Get;
import org.apache.hadoop.hbase.client.Increment;
import org.apache.hadoop.hbase.client.Put;
import org.apache.hadoop.hbase.client.RowMutations;
import org.apache.hadoop.hbase.client.Scan;
import org.apache.hadoop.hbase.client.TableDescriptorBuilder;
import org.apache.hadoop.hbase.filter.Filter;
import org.apache.hadoop.hbase.io.TimeRange;

/** Filters with hbase-client 2.4 and later, where conditions may have them too. */
public final class FilterStory extends FilterLines {
  @Override
  void create(Connection connection, String name) throws Exception {
    try (Admin admin = connection.getAdmin()) {
      admin.createTable(TableDescriptorBuilder.newBuilder(TableName.valueOf(name))
        .setColumnFamily(ColumnFamilyDescriptorBuilder.newBuilder(A).setMaxVersions(3).build())
        .setColumnFamily(ColumnFamilyDescriptorBuilder.of(B)).setColumnFamily(ColumnFamilyDescriptorBuilder.of(LONG_NAME)).build(),
        new byte[][] {b("g"), b("n"), b("t")});
    }
  }

  @Override
  void drop(Connection connection, String name) throws Exception {
    TableStory.drop(connection, name);
  }

  @Override
  Scan everyVersion(Scan scan) {
    return scan.readAllVersions();
  }

  @Override
  Get everyVersion(Get get) {
    return get.readAllVersions();
  }

  /** One that changes nothing: where there is no such cell there is none to delete. */
  private static CheckAndMutate asked(String row, Filter filter) {
    return CheckAndMutate.newBuilder(b(row)).ifMatches(filter).build(new Delete(b(row)).addColumn(B, b("none"), 1));
  }

  @Override
  void more() {
    for (Map.Entry<String, Filter> each : named.entrySet()) {
      Story.step("filters in conditions", each.getKey(), () -> {
        List<String> held = new ArrayList<>();
        for (String row : GOT) {
          held.add(row + " " + table.checkAndMutate(asked(row, each.getValue())).isSuccess());
        }
        return String.join(", ", held);
      });
    }
    Filter even = Filters.of("SingleColumnValueFilter", A, b("u"), "EQUAL", b("even"));
    Story.step("filters in conditions", "a list of conditions", () -> {
      List<Boolean> held = new ArrayList<>();
      for (CheckAndMutateResult each : table.checkAndMutate(Arrays.asList(asked("a1", even), asked("a2", even), asked("none", even)))) {
        held.add(each.isSuccess());
      }
      return held;
    });
    Story.step("filters in conditions", "within a range of times", () -> {
      CheckAndMutate.Builder condition = CheckAndMutate.newBuilder(b("h6")).ifMatches(Filters.of("ValueFilter", "EQUAL", Filters.of("BinaryComparator", b("alp"))));
      return table.checkAndMutate(condition.timeRange(TimeRange.until(5)).build(new Put(b("h6")).addColumn(B, b("v"), 1, b("before")))).isSuccess()
        + " " + table.checkAndMutate(condition.timeRange(TimeRange.from(5)).build(new Put(b("h6")).addColumn(B, b("v"), 2, b("after")))).isSuccess();
    });
    Story.step("filters in conditions", "several mutations of the row", () -> {
      RowMutations mutations = new RowMutations(b("a2")).add(Arrays.asList(new Put(b("a2")).addColumn(B, b("v"), 9, b("n")),
        new Increment(b("a2")).addColumn(B, b("count"), 1).setTimestamp(9), new Delete(b("a2")).addColumn(A, b(""), 4)));
      CheckAndMutateResult made = table.checkAndMutate(CheckAndMutate.newBuilder(b("a2")).ifMatches(Filters.all(even, Filters.prefix("a"))).build(mutations));
      return made.isSuccess() + " " + Story.text(made.getResult());
    });
    Story.step("filters in conditions", "the rows then", () -> Arrays.asList(table.get(new Get(b("a2"))), table.get(new Get(b("h6")))));
  }
}
