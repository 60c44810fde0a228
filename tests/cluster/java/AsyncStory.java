import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.CompareOperator;
import org.apache.hadoop.hbase.HRegionLocation;
import org.apache.hadoop.hbase.NamespaceDescriptor;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.AdvancedScanResultConsumer;
import org.apache.hadoop.hbase.client.Append;
import org.apache.hadoop.hbase.client.AsyncAdmin;
import org.apache.hadoop.hbase.client.AsyncBufferedMutator;
import org.apache.hadoop.hbase.client.AsyncConnection;
import org.apache.hadoop.hbase.client.AsyncTable;
import org.apache.hadoop.hbase.client.CheckAndMutate;
import org.apache.hadoop.hbase.client.CheckAndMutateResult;
import org.apache.hadoop.hbase.client.ColumnFamilyDescriptorBuilder;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.ConnectionFactory;
import org.apache.hadoop.hbase.client.Delete;
import org.apache.hadoop.hbase.client.Get;
import org.apache.hadoop.hbase.client.Increment;
import org.apache.hadoop.hbase.client.Put;
import org.apache.hadoop.hbase.client.RegionInfo;
import org.apache.hadoop.hbase.client.Result;
import org.apache.hadoop.hbase.client.ResultScanner;
import org.apache.hadoop.hbase.client.Row;
import org.apache.hadoop.hbase.client.RowMutations;
import org.apache.hadoop.hbase.client.Scan;
import org.apache.hadoop.hbase.client.ScanResultConsumer;
import org.apache.hadoop.hbase.client.TableDescriptorBuilder;
import org.apache.hadoop.hbase.util.Bytes;

/** AsyncConnection of hbase-client 2.4 and later: AsyncTable, its raw scans, AsyncBufferedMutator and AsyncAdmin. */
public final class AsyncStory implements Story.Teller {
  private static final TableName NAME = TableName.valueOf("asynced");
  private static final byte[] A = b("a");
  private static final byte[] B = b("b");
  private static final byte[] Q = b("q");
  private static final byte[] NO_FAMILY = b("nofamily");

  private AsyncTable<ScanResultConsumer> table;
  private AsyncTable<AdvancedScanResultConsumer> raw;

  static byte[] b(String text) {
    return Story.b(text);
  }

  private interface Asked<T> {
    CompletableFuture<T> ask() throws Exception;
  }

  private static <T> void step(String feature, String what, Asked<T> asked) {
    Story.step("async " + feature, what, () -> await(asked.ask()));
  }

  private static <T> T await(CompletableFuture<T> future) throws Exception {
    try {
      return future.get(60, TimeUnit.SECONDS);
    } catch (ExecutionException failed) {
      throw failed.getCause() instanceof Exception ? (Exception) failed.getCause() : failed;
    }
  }

  /** Each outcome of a list of futures, in its order. */
  private static List<Object> each(List<? extends CompletableFuture<?>> futures) {
    List<Object> outcomes = new ArrayList<>();
    for (CompletableFuture<?> future : futures) {
      try {
        Object value = await(future);
        outcomes.add(value instanceof CheckAndMutateResult ? ((CheckAndMutateResult) value).isSuccess() : value);
      } catch (Exception error) {
        outcomes.add(error);
      }
    }
    return outcomes;
  }

  @Override
  public void tell(Connection unused, Configuration configuration) throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(2);
    try (AsyncConnection connection = ConnectionFactory.createAsyncConnection(configuration).get(60, TimeUnit.SECONDS)) {
      AsyncAdmin admin = connection.getAdmin();
      step("admin", "create with splits", () -> admin.createTable(TableDescriptorBuilder.newBuilder(NAME)
        .setColumnFamily(ColumnFamilyDescriptorBuilder.newBuilder(A).setMaxVersions(3).build())
        .setColumnFamily(ColumnFamilyDescriptorBuilder.of(B)).build(), new byte[][] {b("g"), b("n"), b("t")}));
      table = connection.getTable(NAME, threads);
      raw = connection.getTable(NAME);
      rows();
      conditions();
      lists();
      buffered(connection);
      scans();
      admin(connection, admin);
    } finally {
      threads.shutdown();
    }
  }

  private void rows() {
    step("row", "put", () -> table.put(new Put(b("row")).addColumn(A, Q, 1, b("v1")).addColumn(B, b("r"), 2, b("v2"))));
    step("row", "get", () -> table.get(new Get(b("row"))));
    step("row", "exists", () -> table.exists(new Get(b("row"))));
    step("row", "get what is not there", () -> table.get(new Get(b("nobody"))));
    step("row", "get, an unknown family", () -> table.get(new Get(b("row")).addFamily(NO_FAMILY)));
    step("row", "delete a column", () -> table.delete(new Delete(b("row")).addColumns(B, b("r"))).thenCompose(done -> table.get(new Get(b("row")))));
    step("row", "append", () -> table.append(new Append(b("row")).addColumn(A, Q, b("+"))));
    step("row", "increment", () -> table.increment(new Increment(b("row")).addColumn(B, b("n"), 5).addColumn(B, b("m"), -1)));
    step("row", "increment by the call for one column", () -> table.incrementColumnValue(b("row"), B, b("n"), 37));
    step("row", "increment what is no number", () -> table.incrementColumnValue(b("row"), A, Q, 1));
    step("row", "mutateRow", () -> table.mutateRow(new RowMutations(b("row")).add(Arrays.asList(new Put(b("row")).addColumn(A, b("x"), 1, b("x")),
      new Delete(b("row")).addColumns(A, Q), new Increment(b("row")).addColumn(B, b("n"), 1)))));
    step("row", "what it left", () -> table.get(new Get(b("row"))));
    step("row", "mutateRow, an unknown family",
      () -> table.mutateRow(new RowMutations(b("row")).add(Arrays.asList(new Put(b("row")).addColumn(NO_FAMILY, Q, b("x")),
        new Put(b("row")).addColumn(A, b("half"), 1, b("x"))))));
    step("row", "put ten megabytes", () -> table.put(new Put(b("large")).addColumn(B, Q, 1, Story.pattern(10_000_000, 3))));
    step("row", "get ten megabytes", () -> table.get(new Get(b("large"))));
    step("row", "delete it", () -> table.delete(new Delete(b("large"))));
  }

  private CompletableFuture<String> check(CheckAndMutate what) {
    return table.checkAndMutate(what)
      .thenApply(result -> result.isSuccess() + (result.getResult() == null ? "" : " " + Story.text(result.getResult())));
  }

  private void conditions() {
    step("checkAndMutate", "not there", () -> check(CheckAndMutate.newBuilder(b("cas")).ifNotExists(A, Q)
      .build(new Put(b("cas")).addColumn(A, Q, 1, b("m")))));
    step("checkAndMutate", "not there any more", () -> check(CheckAndMutate.newBuilder(b("cas")).ifNotExists(A, Q)
      .build(new Put(b("cas")).addColumn(A, Q, 2, b("n")))));
    step("checkAndMutate", "less", () -> check(CheckAndMutate.newBuilder(b("cas")).ifMatches(A, Q, CompareOperator.LESS, b("l"))
      .build(new Put(b("cas")).addColumn(A, b("x"), 1, b("1")))));
    step("checkAndMutate", "increment", () -> check(CheckAndMutate.newBuilder(b("cas")).ifEquals(A, Q, b("m"))
      .build(new Increment(b("cas")).addColumn(B, b("n"), 3))));
    step("checkAndMutate", "rows", () -> check(CheckAndMutate.newBuilder(b("cas")).ifEquals(A, Q, b("m"))
      .build(new RowMutations(b("cas")).add(Arrays.asList(new Put(b("cas")).addColumn(A, b("y"), 1, b("2")),
        new Append(b("cas")).addColumn(B, b("s"), b("t")), new Delete(b("cas")).addColumns(A, b("x")))))));
    step("checkAndMutate", "what it left", () -> table.get(new Get(b("cas"))));
    step("checkAndMutate", "by the builder of the table", () -> table.checkAndMutate(b("cas"), A).qualifier(Q).ifEquals(b("m"))
      .thenPut(new Put(b("cas")).addColumn(A, b("z"), 1, b("3"))));
    step("checkAndMutate", "delete by it", () -> table.checkAndMutate(b("cas"), A).qualifier(b("z")).ifNotExists()
      .thenDelete(new Delete(b("cas"))));
    step("checkAndMutate", "an unknown family", () -> check(CheckAndMutate.newBuilder(b("cas")).ifNotExists(NO_FAMILY, Q)
      .build(new Put(b("cas")).addColumn(A, Q, b("x")))));
    Story.step("async checkAndMutate", "a list", () -> each(table.checkAndMutate(Arrays.asList(
      CheckAndMutate.newBuilder(b("cas")).ifEquals(A, Q, b("m")).build(new Put(b("cas")).addColumn(A, b("z"), 1, b("3"))),
      CheckAndMutate.newBuilder(b("zcas")).ifEquals(A, Q, b("m")).build(new Put(b("zcas")).addColumn(A, b("z"), 1, b("3")))))));
  }

  private void lists() {
    step("lists", "putAll over all regions", () -> {
      List<Put> puts = new ArrayList<>();
      for (char letter = 'a'; letter <= 'z'; letter++) {
        puts.add(new Put(b(letter + "0")).addColumn(A, Q, 1, b("" + letter)).addColumn(A, b("r"), 2, b("2")).addColumn(B, Q, 3, b("3")));
      }
      return table.putAll(puts);
    });
    step("lists", "getAll", () -> table.getAll(Arrays.asList(new Get(b("z0")), new Get(b("nobody")), new Get(b("h0")).addColumn(A, Q))));
    step("lists", "existsAll", () -> table.existsAll(Arrays.asList(new Get(b("z0")), new Get(b("nobody")))));
    step("lists", "deleteAll", () -> table.deleteAll(Arrays.asList(new Delete(b("c0")), new Delete(b("p0")).addFamily(B))));
    Story.step("async lists", "get, errors of single actions", () -> each(table.get(Arrays.asList(new Get(b("a0")).addColumn(A, Q),
      new Get(b("b0")).addFamily(NO_FAMILY), new Get(b("z0")).addColumn(A, Q)))));
    step("lists", "getAll with an error", () -> table.getAll(Arrays.asList(new Get(b("a0")), new Get(b("b0")).addFamily(NO_FAMILY))));
    Story.step("async lists", "batch of all kinds", () -> {
      List<Row> rows = Arrays.asList(new Get(b("a0")).addColumn(A, Q), new Put(b("h1")).addColumn(A, Q, 1, b("v")), new Delete(b("h1")).addFamily(B),
        new Increment(b("o1")).addColumn(A, Q, 1), new Append(b("z1")).addColumn(A, Q, b("x")),
        new Put(b("z1")).addColumn(NO_FAMILY, Q, b("v")), new RowMutations(b("o2")).add(Arrays.asList(new Put(b("o2")).addColumn(A, Q, 1, b("k")))),
        CheckAndMutate.newBuilder(b("a0")).ifNotExists(A, Q).build(new Delete(b("a0"))));
      return each(table.batch(rows));
    });
    step("lists", "delete what that made", () -> table.deleteAll(Arrays.asList(new Delete(b("h1")), new Delete(b("o1")), new Delete(b("z1")),
      new Delete(b("o2")), new Delete(b("row")), new Delete(b("cas")))));
  }

  private void buffered(AsyncConnection connection) {
    Story.step("async BufferedMutator", "five thousand puts and their sum", () -> {
      List<CompletableFuture<Void>> futures = new ArrayList<>();
      try (AsyncBufferedMutator mutator = connection.getBufferedMutatorBuilder(NAME).setWriteBufferSize(60_000).build()) {
        for (int index = 0; index < 5_000; index++) {
          futures.add(mutator.mutate(new Put(b(String.format("%cb%06d", 'a' + index % 26, index))).addColumn(B, b("n"), 1, Bytes.toBytes(index))));
        }
        mutator.flush();
        await(CompletableFuture.allOf(futures.toArray(new CompletableFuture<?>[0])));
      }
      long sum = 0;
      List<Result> all = await(table.scanAll(new Scan().addColumn(B, b("n"))));
      for (Result each : all) {
        sum += Bytes.toInt(each.value());
      }
      return all.size() + " rows, sum " + sum;
    });
    Story.step("async BufferedMutator", "an error for whom it concerns", () -> {
      try (AsyncBufferedMutator mutator = connection.getBufferedMutator(NAME)) {
        List<CompletableFuture<Void>> futures = Arrays.asList(mutator.mutate(new Put(b("a1")).addColumn(A, b("other"), 1, b("v"))),
          mutator.mutate(new Put(b("a1")).addColumn(NO_FAMILY, Q, b("v"))), mutator.mutate(new Delete(b("a1"))));
        mutator.flush();
        return each(futures);
      }
    });
  }

  private static Scan only() {
    return new Scan().addColumn(A, Q);
  }

  private void scans() {
    step("scan", "scanAll", () -> table.scanAll(only()));
    step("scan", "scanAll with a limit over regions", () -> table.scanAll(only().withStartRow(b("e0")).setLimit(12).setCaching(3)));
    step("scan", "scanAll reversed", () -> table.scanAll(only().setReversed(true).withStartRow(b("p0")).withStopRow(b("k0"))));
    step("scan", "scanAll small", () -> table.scanAll(only().setReadType(Scan.ReadType.PREAD).withStartRow(b("v0")).setLimit(2)));
    step("scan", "scanAll batch", () -> table.scanAll(new Scan().withStartRow(b("x0")).withStopRow(b("x0"), true).setBatch(2)));
    step("scan", "an unknown family", () -> table.scanAll(new Scan().addFamily(NO_FAMILY)));
    Story.step("async scan", "getScanner", () -> {
      try (ResultScanner scanner = table.getScanner(only().setCaching(5))) {
        int count = 0;
        for (Result each : scanner) {
          count += each.size();
        }
        return count;
      }
    });
    step("scan", "consumer that stops after three", () -> {
      CompletableFuture<Object> told = new CompletableFuture<>();
      List<String> rows = Collections.synchronizedList(new ArrayList<>());
      table.scan(only(), new ScanResultConsumer() {
        @Override
        public boolean onNext(Result result) {
          rows.add(Bytes.toString(result.getRow()));
          return rows.size() < 3;
        }

        @Override
        public void onError(Throwable error) {
          told.completeExceptionally(error);
        }

        @Override
        public void onComplete() {
          told.complete(rows);
        }
      });
      return told;
    });
    step("scan", "raw consumer, suspended and resumed, partial rows", () -> {
      RawConsumer consumer = new RawConsumer();
      raw.scan(new Scan().withStartRow(b("f0")).withStopRow(b("f0"), true).setMaxResultSize(1).setAllowPartialResults(true), consumer);
      return consumer.told;
    });
    step("scan", "raw consumer told of cursors", () -> {
      RawConsumer consumer = new RawConsumer();
      raw.scan(new Scan().withStartRow(b("f0")).withStopRow(b("f0"), true).setMaxResultSize(1).setNeedCursorResult(true), consumer);
      return consumer.told;
    });
    step("scan", "raw consumer that lets go", () -> {
      RawConsumer consumer = new RawConsumer();
      consumer.most = 4;
      raw.scan(only().setCaching(2), consumer);
      return consumer.told;
    });
  }

  /** Suspends the scan at its first results and goes on a moment later. */
  private static final class RawConsumer implements AdvancedScanResultConsumer {
    final CompletableFuture<Object> told = new CompletableFuture<>();
    final List<String> seen = Collections.synchronizedList(new ArrayList<>());
    int most = Integer.MAX_VALUE;

    @Override
    public void onNext(Result[] results, ScanController controller) {
      for (Result each : results) {
        seen.add(Story.text(each) + (each.mayHaveMoreCellsInRow() ? "..." : ""));
      }
      if (seen.size() >= most) {
        controller.terminate();
        return;
      }
      if (seen.size() == results.length) {
        AdvancedScanResultConsumer.ScanResumer resumer = controller.suspend();
        CompletableFuture.delayedExecutor(100, TimeUnit.MILLISECONDS).execute(resumer::resume);
      }
    }

    @Override
    public void onHeartbeat(ScanController controller) {
      Optional<org.apache.hadoop.hbase.client.Cursor> cursor = controller.cursor();
      seen.add("heartbeat " + cursor.map(each -> Bytes.toStringBinary(each.getRow())).orElse(""));
    }

    @Override
    public void onError(Throwable error) {
      told.completeExceptionally(error);
    }

    @Override
    public void onComplete() {
      told.complete(seen);
    }
  }

  private void admin(AsyncConnection connection, AsyncAdmin admin) {
    step("admin", "exists, enabled, disabled, available", () -> admin.tableExists(NAME).thenCombine(admin.isTableEnabled(NAME), Arrays::asList)
      .thenCombine(admin.isTableDisabled(NAME), (some, more) -> some + " " + more)
      .thenCombine(admin.isTableAvailable(NAME), (some, more) -> some + " " + more));
    step("admin", "list", () -> admin.listTableNames(java.util.regex.Pattern.compile("async.*"), false));
    step("admin", "descriptor", () -> admin.getDescriptor(NAME).thenApply(each -> each.getColumnFamilyCount()));
    step("admin", "regions", () -> admin.getRegions(NAME).thenApply(List::size));
    step("admin", "add, modify, delete a family", () -> admin.addColumnFamily(NAME, ColumnFamilyDescriptorBuilder.of("c"))
      .thenCompose(done -> admin.modifyColumnFamily(NAME, ColumnFamilyDescriptorBuilder.newBuilder(b("c")).setMaxVersions(4).build()))
      .thenCompose(done -> admin.getDescriptor(NAME)).thenCompose(each -> admin.deleteColumnFamily(NAME, b("c"))
        .thenApply(done -> each.getColumnFamily(b("c")).getMaxVersions())));
    step("admin", "namespaces", () -> admin.createNamespace(NamespaceDescriptor.create("ans").build())
      .thenCompose(done -> admin.listNamespaces()).thenCompose(names -> admin.deleteNamespace("ans").thenApply(done -> new java.util.TreeSet<>(names))));
    step("admin", "cluster metrics", () -> admin.getClusterMetrics().thenApply(each -> each.getLiveServerMetrics().size()));
    Story.step("async admin", "locations and move", () -> {
      List<HRegionLocation> all = await(connection.getRegionLocator(NAME).getAllRegionLocations());
      RegionInfo first = all.get(0).getRegion();
      List<org.apache.hadoop.hbase.ServerName> servers = new ArrayList<>(await(admin.getRegionServers()));
      servers.remove(all.get(0).getServerName());
      await(admin.move(first.getRegionName(), servers.get(0)));
      boolean moved = await(connection.getRegionLocator(NAME).getRegionLocation(b("a"), true)).getServerName().equals(servers.get(0));
      return all.size() + " " + moved + " " + Story.text(await(table.get(new Get(b("a0")).addColumn(A, Q))));
    });
    step("admin", "disable", () -> admin.disableTable(NAME));
    step("admin", "get while disabled", () -> table.get(new Get(b("a0"))));
    step("admin", "truncate", () -> admin.truncateTable(NAME, true).thenCompose(done -> table.get(new Get(b("a0")))));
    step("admin", "delete", () -> admin.disableTable(NAME).thenCompose(done -> admin.deleteTable(NAME)).thenCompose(done -> admin.tableExists(NAME)));
    step("admin", "delete an unknown table", () -> admin.deleteTable(NAME));
  }
}
