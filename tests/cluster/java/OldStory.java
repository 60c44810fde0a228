import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.Append;
import org.apache.hadoop.hbase.client.BufferedMutator;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.Delete;
import org.apache.hadoop.hbase.client.Durability;
import org.apache.hadoop.hbase.client.Get;
import org.apache.hadoop.hbase.client.Increment;
import org.apache.hadoop.hbase.client.Mutation;
import org.apache.hadoop.hbase.client.Put;
import org.apache.hadoop.hbase.client.Result;
import org.apache.hadoop.hbase.client.ResultScanner;
import org.apache.hadoop.hbase.client.Row;
import org.apache.hadoop.hbase.client.RowMutations;
import org.apache.hadoop.hbase.client.Scan;
import org.apache.hadoop.hbase.client.Table;
import org.apache.hadoop.hbase.client.metrics.ScanMetrics;
import org.apache.hadoop.hbase.filter.CompareFilter.CompareOp;
import org.apache.hadoop.hbase.util.Bytes;

/** Rows, batches and scans through hbase-client 1.4, as far as it has the call. */
public final class OldStory implements Story.Teller {
  private static final byte[] A = b("a");
  private static final byte[] B = b("b");
  private static final byte[] Q = b("q");
  private static final byte[] NO_FAMILY = b("nofamily");

  private Table table;

  static byte[] b(String text) {
    return Story.b(text);
  }

  @Override
  public void tell(Connection connection, Configuration configuration) throws Exception {
    Story.done("create", "table with three splits", () -> OldAdminStory.create(connection, "oldies"));
    table = connection.getTable(TableName.valueOf("oldies"));
    puts();
    gets();
    deletes();
    changes();
    conditions();
    batches();
    Story.done("BufferedMutator", "rows over all regions", () -> fill(connection));
    scans();
    pages();
    large();
    table.close();
    Story.done("deleteTable", "the table of this story", () -> OldAdminStory.drop(connection, "oldies"));
  }

  private String all(String row) throws Exception {
    return Story.text(table.get(new Get(b(row)).setMaxVersions()));
  }

  private void puts() {
    Story.step("put", "versions as read", () -> {
      for (long moment = 1; moment <= 4; moment++) {
        table.put(new Put(b("put")).addColumn(A, Q, moment, b("v" + moment)));
      }
      return all("put");
    });
    Story.step("put", "two families, several qualifiers", () -> {
      table.put(new Put(b("wide")).addColumn(A, b("q1"), 1, b("1")).addColumn(A, b("q2"), 2, b("2")).addColumn(B, b("q3"), 3, b("3"))
        .addColumn(A, b(""), 4, b("no name")).addColumn(B, b("empty"), 5, b("")));
      return all("wide");
    });
    Story.step("put", "the server's time", () -> {
      table.put(new Put(b("timed")).addColumn(A, Q, b("v")));
      return all("timed");
    });
    for (Durability durability : Durability.values()) {
      Story.step("put", "durability " + durability, () -> {
        Put put = new Put(b("durable")).addColumn(A, b(durability.name()), 1, b("v"));
        put.setDurability(durability);
        table.put(put);
        return table.get(new Get(b("durable")).addColumn(A, b(durability.name())));
      });
    }
    Story.step("put", "a list over all regions", () -> {
      List<Put> puts = new ArrayList<>();
      for (String row : Arrays.asList("d1", "j1", "p1", "z1")) {
        puts.add(new Put(b(row)).addColumn(A, Q, 1, b(row)));
      }
      table.put(puts);
      return Arrays.asList(all("d1"), all("j1"), all("p1"), all("z1"));
    });
    Story.done("put", "an unknown family", () -> table.put(new Put(b("put")).addColumn(NO_FAMILY, Q, 1, b("v"))));
  }

  private void gets() {
    Story.step("get", "columns of two families", () -> table.get(new Get(b("wide")).addColumn(B, b("q3")).addColumn(A, b("q1"))));
    Story.step("get", "a family", () -> table.get(new Get(b("wide")).addFamily(B)));
    Story.step("get", "what is not there", () -> Arrays.asList(table.get(new Get(b("nobody"))), table.get(new Get(b("wide")).addColumn(A, b("none")))));
    Story.step("get", "an unknown family", () -> table.get(new Get(b("wide")).addFamily(NO_FAMILY)));
    Story.step("get", "two versions", () -> table.get(new Get(b("put")).setMaxVersions(2)));
    Story.step("get", "one time", () -> table.get(new Get(b("put")).setTimeStamp(3).setMaxVersions()));
    Story.step("get", "a range of times", () -> table.get(new Get(b("put")).setTimeRange(2, 4).setMaxVersions()));
    Story.step("get", "one after the first of a family",
      () -> table.get(new Get(b("wide")).setRowOffsetPerColumnFamily(1).setMaxResultsPerColumnFamily(1)));
    Story.step("get", "exists", () -> table.exists(new Get(b("wide"))) + " " + table.exists(new Get(b("nobody"))));
    Story.step("get", "exists, of a list", () -> table.existsAll(Arrays.asList(new Get(b("wide")), new Get(b("x")), new Get(b("put")))));
    Story.step("get", "a list over all regions",
      () -> table.get(Arrays.asList(new Get(b("z1")), new Get(b("d1")), new Get(b("nobody")), new Get(b("p1")), new Get(b("j1")))));
    Story.step("get", "the row at or before", () -> table.get(new Get(b("pp")).addFamily(A).setClosestRowBefore(true)));
  }

  private void fill(String row) throws Exception {
    for (long moment = 1; moment <= 3; moment++) {
      table.put(new Put(b(row)).addColumn(A, Q, moment, b("q" + moment)).addColumn(A, b("r"), moment, b("r" + moment))
        .addColumn(B, Q, moment, b("b" + moment)));
    }
  }

  private void deletes() {
    String[] names = {"one version", "newest version", "all versions", "all versions up to a time", "family", "family up to a time",
      "one version of a family", "row", "row up to a time", "several at once"};
    Delete[] deletes = {new Delete(b("del0")).addColumn(A, Q, 2), new Delete(b("del1")).addColumn(A, Q),
      new Delete(b("del2")).addColumns(A, Q), new Delete(b("del3")).addColumns(A, Q, 2), new Delete(b("del4")).addFamily(A),
      new Delete(b("del5")).addFamily(A, 2), new Delete(b("del6")).addFamilyVersion(A, 2), new Delete(b("del7")),
      new Delete(b("del8"), 2), new Delete(b("del9")).addColumn(A, Q, 3).addColumns(A, b("r"), 2).addFamily(B)};
    for (int index = 0; index < deletes.length; index++) {
      Delete delete = deletes[index];
      String row = "del" + index;
      Story.step("delete", names[index], () -> {
        fill(row);
        table.delete(delete);
        return all(row);
      });
    }
    Story.step("delete", "a list over all regions", () -> {
      table.delete(new ArrayList<>(Arrays.asList(new Delete(b("d1")), new Delete(b("j1")), new Delete(b("z1")))));
      return all("d1") + all("j1") + all("z1") + all("p1");
    });
  }

  private void changes() {
    Story.step("append", "to nothing, then to a value",
      () -> Arrays.asList(table.append(new Append(b("app")).add(A, Q, b("one"))), table.append(new Append(b("app")).add(A, Q, b(",two")))));
    Story.step("append", "without results", () -> {
      Append append = new Append(b("app")).add(A, Q, b(",three"));
      append.setReturnResults(false);
      return Arrays.asList(table.append(append), table.get(new Get(b("app"))));
    });
    Story.step("increment", "several columns of two families",
      () -> table.increment(new Increment(b("inc")).addColumn(A, Q, 1).addColumn(A, b("r"), 10).addColumn(B, Q, -3)));
    Story.step("increment", "by the call for one column", () -> table.incrementColumnValue(b("inc"), A, Q, 41));
    Story.step("increment", "what is no number", () -> {
      table.put(new Put(b("inc3")).addColumn(A, Q, 1, b("text")));
      return table.increment(new Increment(b("inc3")).addColumn(A, Q, 1));
    });
    Story.step("increment", "what lies in a range of times", () -> {
      table.put(new Put(b("inc4")).addColumn(A, Q, 10, Bytes.toBytes(100L)));
      return table.increment(new Increment(b("inc4")).setTimeRange(100, 200).addColumn(A, Q, 1));
    });
  }

  private static RowMutations rows(String row, Mutation... mutations) throws Exception {
    RowMutations all = new RowMutations(b(row));
    for (Mutation each : mutations) {
      if (each instanceof Put) {
        all.add((Put) each);
      } else {
        all.add((Delete) each);
      }
    }
    return all;
  }

  private void conditions() {
    Story.step("checkAndPut", "not there, and then it is", () -> {
      Put put = new Put(b("cas")).addColumn(A, Q, 1, b("m"));
      return table.checkAndPut(b("cas"), A, Q, null, put) + " " + table.checkAndPut(b("cas"), A, Q, null, put) + " "
        + table.checkAndPut(b("cas"), A, Q, b("m"), put) + " " + table.checkAndPut(b("cas"), A, Q, b("x"), put);
    });
    for (CompareOp operator : CompareOp.values()) {
      if (operator != CompareOp.NO_OP) {
        Story.step("checkAndPut", operator + " l, m, n beside m", () -> {
          Put put = new Put(b("cas")).addColumn(A, b("mark"), 1, b(operator.name()));
          return table.checkAndPut(b("cas"), A, Q, operator, b("l"), put) + " " + table.checkAndPut(b("cas"), A, Q, operator, b("m"), put) + " "
            + table.checkAndPut(b("cas"), A, Q, operator, b("n"), put);
        });
      }
    }
    Story.step("checkAndDelete", "does not match, matches", () -> {
      Delete delete = new Delete(b("cas")).addColumns(A, b("mark"));
      return table.checkAndDelete(b("cas"), A, Q, b("x"), delete) + " " + table.checkAndDelete(b("cas"), A, Q, b("m"), delete) + " " + all("cas");
    });
    Story.step("checkAndMutate", "rows", () -> table.checkAndMutate(b("cas"), A, Q, CompareOp.EQUAL, b("m"),
      rows("cas", new Put(b("cas")).addColumn(A, b("p"), 2, b("put")), new Delete(b("cas")).addColumns(A, Q))) + " " + all("cas"));
    Story.step("checkAndMutate", "rows that do not match", () -> table.checkAndMutate(b("cas"), A, Q, CompareOp.EQUAL, b("m"),
      rows("cas", new Delete(b("cas")))) + " " + all("cas"));
    Story.step("mutateRow", "put and delete", () -> {
      fill("mut");
      table.mutateRow(rows("mut", new Put(b("mut")).addColumn(A, b("new"), 9, b("v")), new Delete(b("mut")).addFamily(B)));
      return all("mut");
    });
    Story.done("mutateRow", "all or nothing", () -> table.mutateRow(rows("mut", new Put(b("mut")).addColumn(A, b("half"), 1, b("x")),
      new Put(b("mut")).addColumn(NO_FAMILY, Q, b("x")))));
    Story.step("mutateRow", "it was nothing", () -> table.exists(new Get(b("mut")).addColumn(A, b("half"))));
  }

  private void batches() {
    Story.step("batch", "all kinds over all regions", () -> {
      fill("batch");
      fill("jbatch");
      List<Row> rows = Arrays.asList(new Get(b("batch")), new Put(b("pbatch")).addColumn(A, Q, 1, b("v")), new Delete(b("jbatch")).addFamily(A),
        new Increment(b("zbatch")).addColumn(A, Q, 1), new Get(b("nobody")), new Append(b("pbatch2")).add(A, Q, b("x")),
        rows("kbatch", new Put(b("kbatch")).addColumn(A, Q, 1, b("k")), new Put(b("kbatch")).addColumn(B, Q, 1, b("k"))));
      Object[] results = new Object[rows.size()];
      table.batch(rows, results);
      return Arrays.asList(results, all("jbatch"), all("pbatch"), all("kbatch"));
    });
    Story.step("batch", "errors of single actions", () -> {
      List<Row> rows = Arrays.asList(new Get(b("batch")).addColumn(A, Q), new Put(b("batch")).addColumn(NO_FAMILY, Q, b("v")),
        new Put(b("zbatch")).addColumn(A, b("good"), 1, b("v")));
      Object[] results = new Object[rows.size()];
      try {
        table.batch(rows, results);
        return "no error";
      } catch (Exception error) {
        return Arrays.asList(error.getClass().getSimpleName(), results);
      }
    });
  }

  private static void fill(Connection connection) throws Exception {
    try (BufferedMutator mutator = connection.getBufferedMutator(TableName.valueOf("oldies"))) {
      for (char letter = 'a'; letter <= 'z'; letter++) {
        byte[] row = b(letter + "~0");
        for (long moment = 1; moment <= 3; moment++) {
          mutator.mutate(new Put(row).addColumn(A, b("versions"), moment, b(letter + "" + moment)));
        }
        mutator.mutate(new Put(row).addColumn(A, b("s"), 5, b("1")).addColumn(B, b("s"), 7, b("3")).addColumn(B, b("t"), 8, b("4")));
      }
      mutator.flush();
      mutator.mutate(Arrays.asList(new Delete(b("c~0")), new Delete(b("k~0")).addFamily(A)));
    }
  }

  private static Scan only() {
    return new Scan().addColumn(A, b("s"));
  }

  private void scan(String what, Scan scan) {
    Story.step("scan", what, () -> results(scan));
  }

  private List<Object> results(Scan scan) throws Exception {
    List<Object> seen = new ArrayList<>();
    try (ResultScanner scanner = table.getScanner(scan)) {
      for (Result each : scanner) {
        seen.add(each.isCursor() ? "cursor " + Bytes.toStringBinary(each.getCursor().getRow())
          : Story.text(each) + (each.mayHaveMoreCellsInRow() ? "..." : ""));
      }
    }
    return seen;
  }

  private void scans() {
    scan("everything, a column", only());
    scan("from a row to a row in another region", only().setStartRow(b("e~0")).setStopRow(b("o~0")));
    scan("without the first, with the last", only().withStartRow(b("e~0"), false).withStopRow(b("h~0"), true));
    scan("start equals stop", only().setStartRow(b("e~0")).setStopRow(b("e~0")));
    scan("a prefix", only().setRowPrefixFilter(b("m~")));
    scan("reversed", only().setReversed(true));
    scan("reversed, from a row to a row in another region", only().setReversed(true).setStartRow(b("p~0")).setStopRow(b("e~0")));
    scan("small", only().setSmall(true).setStartRow(b("e~0")).setStopRow(b("f~1")));
    scan("small over regions", only().setSmall(true).setCaching(3));
    scan("small and reversed", only().setSmall(true).setReversed(true).setStartRow(b("h~0")).setStopRow(b("d~0")));
    scan("limit over regions", only().setStartRow(b("f~0")).setLimit(12));
    scan("all versions, two, a range of times", new Scan().setStartRow(b("j~")).setStopRow(b("m")).setMaxVersions());
    scan("two versions", new Scan().setStartRow(b("j~")).setStopRow(b("m")).setMaxVersions(2).addFamily(A));
    scan("a range of times", rangeOfTimes());
    scan("raw", new Scan().setStartRow(b("k~")).setStopRow(b("k~1")).setRaw(true).setMaxVersions());
    scan("one after the first of a family", setOffset());
    scan("an unknown family", new Scan().addFamily(NO_FAMILY));
  }

  private static Scan rangeOfTimes() {
    try {
      return new Scan().setStartRow(b("j~")).setStopRow(b("m")).setTimeRange(2, 6);
    } catch (java.io.IOException never) {
      throw new IllegalStateException(never);
    }
  }

  private static Scan setOffset() {
    Scan scan = new Scan().setStartRow(b("j~")).setStopRow(b("m"));
    scan.setRowOffsetPerColumnFamily(1);
    scan.setMaxResultsPerColumnFamily(1);
    return scan;
  }

  private void pages() {
    for (int batch : new int[] {1, 2, 100}) {
      scan("batch " + batch, new Scan().setStartRow(b("f~")).setStopRow(b("h~")).setBatch(batch));
    }
    for (int caching : new int[] {1, 3}) {
      scan("caching " + caching, only().setCaching(caching));
    }
    scan("answers of a byte", only().setMaxResultSize(1));
    scan("answers of a byte, partial rows", new Scan().setStartRow(b("f~")).setStopRow(b("h~")).setMaxResultSize(1).setAllowPartialResults(true));
    scan("cursors between", new Scan().setStartRow(b("f~")).setStopRow(b("h~")).setMaxResultSize(1).setNeedCursorResult(true));
    Story.step("scan", "metrics", () -> {
      try (ResultScanner scanner = table.getScanner(only().setScanMetricsEnabled(true))) {
        int count = 0;
        while (scanner.next() != null) {
          count++;
        }
        ScanMetrics metrics = scanner.getScanMetrics();
        return count + " rows, rows scanned " + (metrics == null ? null : metrics.getMetricsMap().get("ROWS_SCANNED"));
      }
    });
    Story.step("scan", "renewed in between", () -> {
      try (ResultScanner scanner = table.getScanner(only().setCaching(2))) {
        List<Object> seen = new ArrayList<>();
        for (int round = 0; round < 3; round++) {
          seen.add(scanner.next(4).length + " " + scanner.renewLease());
        }
        return seen;
      }
    });
  }

  private void large() {
    Story.step("large cells", "put and get nine megabytes", () -> {
      table.put(new Put(b("large")).addColumn(B, Q, 1, Story.pattern(9_000_000, 2)));
      return table.get(new Get(b("large")));
    });
    Story.step("large cells", "scan them", () -> results(new Scan().setStartRow(b("large")).setStopRow(b("largf"))));
    Story.step("huge rows", "twenty thousand columns", () -> {
      Put put = new Put(b("huge"));
      for (int column = 0; column < 20_000; column++) {
        put.addColumn(B, Bytes.toBytes(column), 1, Bytes.toBytes(column * 7));
      }
      table.put(put);
      int cells = 0;
      try (ResultScanner scanner = table.getScanner(new Scan().setStartRow(b("huge")).setStopRow(b("hugf")).setMaxResultSize(100_000))) {
        for (Result each : scanner) {
          cells += each.size();
        }
      }
      return table.get(new Get(b("huge"))).size() + " " + cells;
    });
  }
}
