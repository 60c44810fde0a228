import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.BufferedMutator;
import org.apache.hadoop.hbase.client.BufferedMutatorParams;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.Delete;
import org.apache.hadoop.hbase.client.Put;
import org.apache.hadoop.hbase.client.Result;
import org.apache.hadoop.hbase.client.ResultScanner;
import org.apache.hadoop.hbase.client.Scan;
import org.apache.hadoop.hbase.client.Table;
import org.apache.hadoop.hbase.client.metrics.ScanMetrics;
import org.apache.hadoop.hbase.util.Bytes;

/** Scans with every option, and BufferedMutator, through hbase-client 2.4 and later. */
public final class ScanStory implements Story.Teller {
  private static final byte[] A = b("a");
  private static final byte[] B = b("b");
  private static final int SHOWN = 40;

  private Table table;

  static byte[] b(String text) {
    return Story.b(text);
  }

  @Override
  public void tell(Connection connection, Configuration configuration) throws Exception {
    Story.done("create", "table to scan", () -> TableStory.create(connection, "scanned"));
    table = connection.getTable(TableName.valueOf("scanned"));
    Story.done("BufferedMutator", "rows over all regions", () -> fill(connection));
    ranges();
    shapes();
    pages();
    Story.step("scan", "sees what was there when it came to the region", this::steady);
    large();
    buffered(connection);
    table.close();
    Story.done("deleteTable", "the table of this story", () -> TableStory.drop(connection, "scanned"));
  }

  /** Rows a0 to z0, each with three columns in a, of which one has three versions, and two in b; some are deleted again. */
  private static void fill(Connection connection) throws Exception {
    try (BufferedMutator mutator = connection.getBufferedMutator(TableName.valueOf("scanned"))) {
      for (char letter = 'a'; letter <= 'z'; letter++) {
        byte[] row = b(letter + "0");
        for (long moment = 1; moment <= 3; moment++) {
          mutator.mutate(new Put(row).addColumn(A, b("versions"), moment, b(letter + "" + moment)));
        }
        mutator.mutate(new Put(row).addColumn(A, b("first"), 5, b("1")).addColumn(A, b("second"), 6, b("2"))
          .addColumn(B, b("first"), 7, b("3")).addColumn(B, b("second"), 8, b("4")));
      }
      mutator.flush();
      mutator.mutate(Arrays.asList(new Delete(b("c0")), new Delete(b("k0")).addFamily(A), new Delete(b("u0")).addColumns(B, b("first"))));
    }
  }

  private void scan(String what, Scan scan) {
    scanned(what, () -> results(scan));
  }

  private static void scanned(String what, Callable<Object> work) {
    Story.step("scan", what, work);
  }

  private List<Object> results(Scan scan) throws Exception {
    List<Object> seen = new ArrayList<>();
    try (ResultScanner scanner = table.getScanner(scan)) {
      for (Result each = scanner.next(); each != null && seen.size() < SHOWN; each = scanner.next()) {
        seen.add(each.isCursor() ? "cursor " + Bytes.toStringBinary(each.getCursor().getRow())
          : Story.text(each) + (each.mayHaveMoreCellsInRow() ? "..." : ""));
      }
    }
    return seen;
  }

  private List<Object> rows(Scan scan) throws Exception {
    List<Object> seen = new ArrayList<>();
    try (ResultScanner scanner = table.getScanner(scan)) {
      for (Result each : scanner) {
        seen.add(Bytes.toStringBinary(each.getRow()));
      }
    }
    return seen;
  }

  private static Scan only() {
    return new Scan().addColumn(A, b("first"));
  }

  private void ranges() {
    scan("everything, a column", only());
    scan("one row whole", new Scan().withStartRow(b("d0")).withStopRow(b("d0"), true));
    scan("from a row inside to a row outside", only().withStartRow(b("e0")).withStopRow(b("o0")));
    scan("without the first, with the last", only().withStartRow(b("e0"), false).withStopRow(b("h0"), true));
    scan("start equals stop, stop not included", only().withStartRow(b("e0")).withStopRow(b("e0")));
    scan("start and stop between rows", only().withStartRow(b("e5")).withStopRow(b("i5")));
    scan("up to the border of a region", only().withStartRow(b("e")).withStopRow(b("g")));
    scan("from the border of a region", only().withStartRow(b("g")).withStopRow(b("i")));
    scan("after all", only().withStartRow(b("zz")));
    scan("before all", only().withStopRow(b("A")));
    scanned("a prefix", () -> results(only().setStartStopRowForPrefixScan(b("m"))));
    scan("reversed", only().setReversed(true));
    scan("reversed, from a row to a row in another region", only().setReversed(true).withStartRow(b("p0")).withStopRow(b("e0")));
    scan("reversed, without the first, with the last",
      only().setReversed(true).withStartRow(b("p0"), false).withStopRow(b("m0"), true));
    scan("reversed from between rows", only().setReversed(true).withStartRow(b("e5")).withStopRow(b("b5")));
    scan("reversed, limit over the border of a region", only().setReversed(true).withStartRow(b("o0")).setLimit(4));
    scan("reversed, from the border of a region", only().setReversed(true).withStartRow(b("n")).setLimit(2));
    scan("limit 5", only().setLimit(5));
    scan("limit over regions", only().withStartRow(b("f0")).setLimit(12));
    scan("one row", new Scan().withStartRow(b("q")).setOneRowLimit());
    scan("limit, read in passing", only().setReadType(Scan.ReadType.PREAD).setLimit(3).withStartRow(b("m")));
    scan("read as a stream", only().setReadType(Scan.ReadType.STREAM).setLimit(3).withStartRow(b("m")));
    scan("an unknown family", new Scan().addFamily(b("nofamily")));
    scanned("the short way to a family", () -> {
      try (ResultScanner scanner = table.getScanner(B)) {
        return scanner.next();
      }
    });
    scanned("the short way to a column", () -> {
      try (ResultScanner scanner = table.getScanner(B, b("second"))) {
        return scanner.next(2);
      }
    });
  }

  private void shapes() {
    Scan[] three = new Scan[5];
    for (int index = 0; index < three.length; index++) {
      three[index] = new Scan().withStartRow(b("j0")).withStopRow(b("l0"), true);
    }
    scan("all columns", new Scan().withStartRow(b("j0")).withStopRow(b("l0"), true));
    scanned("all versions", () -> results(three[0].readAllVersions()));
    scanned("two versions", () -> results(three[1].readVersions(2)));
    scanned("a range of times", () -> results(three[2].setTimeRange(2, 7).readAllVersions()));
    scanned("one time", () -> results(three[3].setTimestamp(2)));
    scanned("a range of times for a family", () -> results(three[4].setColumnFamilyTimeRange(A, 1, 3)));
    scanned("raw, all versions", () -> results(new Scan().withStartRow(b("j0")).withStopRow(b("l0"), true).setRaw(true).readAllVersions()));
    scanned("raw, one version", () -> results(new Scan().withStartRow(b("c0")).withStopRow(b("c0"), true).setRaw(true)));
    scanned("raw, markers of a row and a column",
      () -> results(new Scan().withStartRow(b("u0")).withStopRow(b("u0"), true).addFamily(B).setRaw(true).readAllVersions()));
    scan("at most one of a family", new Scan().withStartRow(b("j0")).withStopRow(b("l0")).setMaxResultsPerColumnFamily(1));
    scan("all but the first two of a family", new Scan().withStartRow(b("j0")).withStopRow(b("l0")).setRowOffsetPerColumnFamily(2));
    scan("attributes and no cache", only().withStartRow(b("j0")).setLimit(1).setAttribute("x", b("y")).setCacheBlocks(false).setId("story"));
    scan("read uncommitted", only().withStartRow(b("j0")).setLimit(1)
      .setIsolationLevel(org.apache.hadoop.hbase.client.IsolationLevel.READ_UNCOMMITTED));
  }

  private void pages() {
    for (int caching : new int[] {1, 2, 1000}) {
      scanned("caching " + caching, () -> rows(only().setCaching(caching)));
    }
    for (int batch : new int[] {1, 2, 5, 100}) {
      scanned("batch " + batch, () -> results(new Scan().withStartRow(b("f0")).withStopRow(b("h0")).setBatch(batch)));
    }
    scanned("batch 2, caching 2", () -> results(new Scan().withStartRow(b("f0")).withStopRow(b("h0")).setBatch(2).setCaching(2)));
    scanned("batch 2, limit 2", () -> results(new Scan().withStartRow(b("f0")).setBatch(2).setLimit(2)));
    scanned("batch 3 reversed", () -> results(new Scan().setReversed(true).withStartRow(b("h0")).setLimit(2).setBatch(3)));
    scanned("answers of a byte", () -> rows(new Scan().setMaxResultSize(1)));
    scanned("answers of a byte, partial rows",
      () -> results(new Scan().withStartRow(b("f0")).withStopRow(b("h0")).setMaxResultSize(1).setAllowPartialResults(true)));
    scanned("answers of two hundred bytes, partial rows, limit",
      () -> results(new Scan().withStartRow(b("f0")).setLimit(3).setMaxResultSize(200).setAllowPartialResults(true)));
    scanned("cursors between", () -> results(new Scan().withStartRow(b("f0")).withStopRow(b("h0")).setMaxResultSize(1)
      .setNeedCursorResult(true)));
    scanned("metrics", () -> {
      Scan scan = new Scan().setScanMetricsEnabled(true);
      try (ResultScanner scanner = table.getScanner(scan)) {
        int count = 0;
        while (scanner.next() != null) {
          count++;
        }
        ScanMetrics metrics = scanner.getScanMetrics();
        Map<String, Long> all = metrics.getMetricsMap();
        return count + " rows, regions " + metrics.countOfRegions.get() + ", rows scanned " + all.get("ROWS_SCANNED")
          + ", rows filtered " + all.get("ROWS_FILTERED");
      }
    });
    scanned("next(5), renewed in between", () -> {
      try (ResultScanner scanner = table.getScanner(only().setCaching(2))) {
        List<Object> seen = new ArrayList<>();
        for (int round = 0; round < 3; round++) {
          seen.add(scanner.next(5).length + " " + scanner.renewLease());
        }
        Result last = scanner.next();
        return seen + " " + Bytes.toString(last.getRow());
      }
    });
    scanned("closed in the middle, then asked", () -> {
      ResultScanner scanner = table.getScanner(only().setCaching(2));
      scanner.next();
      scanner.close();
      return scanner.next();
    });
    scanned("many at once", () -> {
      List<ResultScanner> open = new ArrayList<>();
      for (int index = 0; index < 50; index++) {
        open.add(table.getScanner(only().setCaching(1)));
      }
      int seen = 0;
      for (int round = 0; round < 3; round++) {
        for (ResultScanner each : open) {
          seen += each.next() == null ? 0 : 1;
        }
      }
      open.forEach(ResultScanner::close);
      return seen;
    });
  }

  private Object steady() throws Exception {
    try (ResultScanner scanner = table.getScanner(new Scan().withStartRow(b("a0")).withStopRow(b("f0")).setCaching(1).addFamily(B))) {
      scanner.next();
      table.put(Arrays.asList(new Put(b("b5")).addColumn(B, b("first"), 9, b("new")), new Put(b("d0")).addColumn(B, b("first"), 9, b("new"))));
      table.delete(new Delete(b("e0")));
      List<Object> seen = new ArrayList<>();
      for (Result each : scanner) {
        seen.add(Story.text(each));
      }
      return seen + " and then " + results(new Scan().withStartRow(b("a0")).withStopRow(b("f0")).addColumn(B, b("first")));
    }
  }

  private void large() {
    Story.done("large cells", "three rows of nine megabytes", () -> {
      for (int row = 0; row < 3; row++) {
        table.put(new Put(b("large" + row)).addColumn(B, b("x"), 1, Story.pattern(9_000_000, row)).addColumn(B, b("y"), 1, b("small")));
      }
    });
    Story.step("large cells", "scan them", () -> results(new Scan().withStartRow(b("large")).withStopRow(b("largf"))));
    Story.step("large cells", "scan them in parts",
      () -> results(new Scan().withStartRow(b("large")).withStopRow(b("largf")).setAllowPartialResults(true)));
    Story.done("huge rows", "twenty thousand columns to scan", () -> {
      for (int from = 0; from < 20_000; from += 5_000) {
        Put put = new Put(b("huge"));
        for (int column = from; column < from + 5_000; column++) {
          put.addColumn(B, Bytes.toBytes(column), 1, Story.pattern(100, column));
        }
        table.put(put);
      }
    });
    Story.step("huge rows", "a scan puts the parts together", () -> {
      try (ResultScanner scanner = table.getScanner(new Scan().withStartRow(b("huge")).setMaxResultSize(300_000).setLimit(1))) {
        Result row = scanner.next();
        return row.size() + " cells, then " + scanner.next();
      }
    });
    Story.step("huge rows", "batches of 999", () -> {
      int cells = 0;
      int results = 0;
      try (ResultScanner scanner = table.getScanner(new Scan().withStartRow(b("huge")).withStopRow(b("hugf")).setBatch(999))) {
        for (Result each : scanner) {
          results++;
          cells += each.size();
        }
      }
      return results + " results, " + cells + " cells";
    });
    Story.step("huge rows", "parts of it, in order", () -> {
      int next = 0;
      try (ResultScanner scanner = table.getScanner(new Scan().withStartRow(b("huge")).withStopRow(b("hugf")).setMaxResultSize(100_000)
        .setAllowPartialResults(true))) {
        for (Result each : scanner) {
          for (org.apache.hadoop.hbase.Cell cell : each.rawCells()) {
            next += Bytes.toInt(org.apache.hadoop.hbase.CellUtil.cloneQualifier(cell)) == next ? 1 : 0;
          }
        }
      }
      return next + " cells in order";
    });
  }

  private void buffered(Connection connection) {
    Story.step("BufferedMutator", "five thousand puts through a small buffer", () -> {
      BufferedMutatorParams small = new BufferedMutatorParams(table.getName()).writeBufferSize(50_000);
      try (BufferedMutator mutator = connection.getBufferedMutator(small)) {
        for (int index = 0; index < 5_000; index++) {
          byte[] row = b(String.format("%cbuffered%06d", 'a' + index % 26, index));
          mutator.mutate(new Put(row).addColumn(B, b("n"), 1, Bytes.toBytes(index)));
        }
      }
      long sum = 0;
      int count = 0;
      try (ResultScanner scanner = table.getScanner(new Scan().addColumn(B, b("n")))) {
        for (Result each : scanner) {
          count++;
          sum += Bytes.toInt(each.value());
        }
      }
      return count + " rows, sum " + sum;
    });
    Story.step("BufferedMutator", "deletes", () -> {
      try (BufferedMutator mutator = connection.getBufferedMutator(table.getName())) {
        for (int index = 0; index < 5_000; index++) {
          mutator.mutate(new Delete(b(String.format("%cbuffered%06d", 'a' + index % 26, index))));
        }
        mutator.flush();
      }
      return rows(new Scan().addColumn(B, b("n")));
    });
    Story.step("BufferedMutator", "an unknown family is told to the listener", () -> {
      List<Object> told = new ArrayList<>();
      BufferedMutatorParams listening = new BufferedMutatorParams(table.getName())
        .listener((error, mutator) -> told.add(error.getNumExceptions() + " " + error.getCause(0).getClass().getSimpleName()));
      try (BufferedMutator mutator = connection.getBufferedMutator(listening)) {
        mutator.mutate(new Put(b("buffered")).addColumn(b("nofamily"), b("q"), b("v")));
        mutator.mutate(new Put(b("buffered")).addColumn(A, b("q"), 1, b("v")));
        mutator.flush();
      }
      return told + " " + results(new Scan().withStartRow(b("buffered")).setLimit(1));
    });
  }
}
