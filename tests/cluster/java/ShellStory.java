import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.regex.Pattern;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.ClusterStatus;
import org.apache.hadoop.hbase.HConstants;
import org.apache.hadoop.hbase.HRegionLocation;
import org.apache.hadoop.hbase.HTableDescriptor;
import org.apache.hadoop.hbase.NamespaceDescriptor;
import org.apache.hadoop.hbase.RegionLoad;
import org.apache.hadoop.hbase.ServerLoad;
import org.apache.hadoop.hbase.ServerName;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.Admin;
import org.apache.hadoop.hbase.client.Append;
import org.apache.hadoop.hbase.client.ColumnFamilyDescriptorBuilder;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.Delete;
import org.apache.hadoop.hbase.client.Get;
import org.apache.hadoop.hbase.client.Hbck;
import org.apache.hadoop.hbase.client.Increment;
import org.apache.hadoop.hbase.client.Put;
import org.apache.hadoop.hbase.client.RegionLocator;
import org.apache.hadoop.hbase.client.Result;
import org.apache.hadoop.hbase.client.ResultScanner;
import org.apache.hadoop.hbase.client.Scan;
import org.apache.hadoop.hbase.client.Table;
import org.apache.hadoop.hbase.client.TableDescriptor;
import org.apache.hadoop.hbase.client.TableDescriptorBuilder;
import org.apache.hadoop.hbase.filter.Filter;
import org.apache.hadoop.hbase.filter.FilterList;
import org.apache.hadoop.hbase.filter.FirstKeyOnlyFilter;
import org.apache.hadoop.hbase.filter.ParseFilter;
import org.apache.hadoop.hbase.security.User;
import org.apache.hadoop.hbase.util.Bytes;
import org.apache.hadoop.hbase.util.RegionSplitter;
import org.apache.hadoop.hbase.util.VersionInfo;

/**
 * The commands of the hbase shell of 2.6 that are about the cluster, tables, namespaces and rows, each as the calls of
 * Admin, Table and Connection that it makes; ShellToolsStory has the others.
 *
 * <p>A line is {@code = <command>: <words after it> | <outcome>}; at the end {@code = <command>: calls | <methods>} says
 * which methods were called. The calls are those of hbase-shell's commands/*.rb, admin.rb and table.rb; what the shell
 * prints is told as far as it does not differ from cluster to cluster.
 */
public final class ShellStory implements Story.Teller {
  private static final TableName NAME = TableName.valueOf("shell");
  private static final byte[] F = Story.b("f");
  private static final String QUOTAS = "hbase:quota";

  private Calls shell;
  private Connection connection;
  private Admin admin;
  /** Whose calls are not those of commands. */
  private Admin beside;

  /** Commands, and the methods that each of them calls. */
  static final class Calls {
    private static final Set<String> UNTOLD =
      new TreeSet<>(Arrays.asList("close", "equals", "hashCode", "toString", "getConfiguration", "getConnection", "getName"));
    private final Map<String, Set<String>> methods = new LinkedHashMap<>();
    private volatile String running = "";

    /** Runs what a command does and prints its line. */
    void command(String name, String words, Callable<Object> work) {
      methods.computeIfAbsent(name, each -> Collections.synchronizedSet(new LinkedHashSet<>()));
      running = name;
      Story.step(name, words, work);
      running = "";
    }

    void done(String name, String words, Story.Work work) {
      command(name, words, () -> {
        work.run();
        return "done";
      });
    }

    /** What a command calls besides. */
    void note(String called) {
      methods.get(running).add(called);
    }

    /** A line for each command with what it called. */
    void tell() {
      methods.forEach((name, called) -> Story.step(name, "calls", () -> String.join(", ", called)));
    }

    /** The same object, its calls and those of what it gives noted. */
    <T> T noted(Class<T> type, T real) {
      return type.cast(Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, (self, method, given) -> {
        Set<String> called = methods.get(running);
        if (called != null && !UNTOLD.contains(method.getName())) {
          called.add(type.getSimpleName() + "." + method.getName());
        }
        try {
          return within(method.invoke(real, given));
        } catch (InvocationTargetException failed) {
          throw failed.getCause();
        }
      }));
    }

    private Object within(Object given) {
      for (Class<?> type : Arrays.asList(Connection.class, Admin.class, Table.class, RegionLocator.class, Hbck.class)) {
        if (type.isInstance(given) && !Proxy.isProxyClass(given.getClass())) {
          return wrapped(type, given);
        }
      }
      return given;
    }

    private <T> Object wrapped(Class<T> type, Object given) {
      return noted(type, type.cast(given));
    }
  }

  @Override
  public void tell(Connection given, Configuration configuration) throws Exception {
    shell = new Calls();
    connection = shell.noted(Connection.class, given);
    admin = connection.getAdmin();
    beside = given.getAdmin();
    create();
    rows();
    reads();
    tables();
    general();
    namespaces();
    alter();
    drop();
    shell.tell();
  }

  private TableDescriptor descriptor(String name, String... families) {
    TableDescriptorBuilder builder = TableDescriptorBuilder.newBuilder(TableName.valueOf(name));
    for (String family : families) {
      builder.setColumnFamily(ColumnFamilyDescriptorBuilder.newBuilder(Story.b(family)).setMaxVersions(3).build());
    }
    return builder.build();
  }

  private String exists(String name) throws Exception {
    return admin.tableExists(TableName.valueOf(name)) ? "does exist" : "does not exist";
  }

  /** What commands do before they touch a table. */
  private void mustExist(String name) throws Exception {
    if (!admin.tableExists(TableName.valueOf(name))) {
      throw new IllegalArgumentException("Table " + name + " does not exist.");
    }
  }

  private Table table() throws Exception {
    return connection.getTable(NAME);
  }

  private void create() {
    shell.done("create", "'shell', {NAME => 'f', VERSIONS => 3}, {NAME => 'g', VERSIONS => 3}, SPLITS => ['h', 'p']",
      () -> admin.createTable(descriptor("shell", "f", "g"), new byte[][] {Story.b("h"), Story.b("p")}));
    shell.done("create", "'shell2', 'f', {NUMREGIONS => 4, SPLITALGO => 'HexStringSplit'}",
      () -> admin.createTable(descriptor("shell2", "f"), new RegionSplitter.HexStringSplit().split(4)));
    shell.done("create", "'shell3', 'f'", () -> admin.createTable(descriptor("shell3", "f")));
    shell.done("create", "'shell', 'f'", () -> admin.createTable(descriptor("shell", "f")));
    shell.command("exists", "'shell'", () -> exists("shell"));
    shell.command("exists", "'shellx'", () -> exists("shellx"));
    shell.command("get_table", "'shell'", () -> table().getName());
  }

  // --- dml ---------------------------------------------------------------------------------------------------------------

  private Put put(String row, String qualifier, String value) {
    return new Put(Story.b(row)).addColumn(F, Story.b(qualifier), 5, Story.b(value));
  }

  private void rows() {
    for (String row : Arrays.asList("a", "b", "i", "q")) {
      shell.done("put", "'shell', '" + row + "', 'f:c', 'one', 5", () -> table().put(put(row, "c", "one")));
    }
    shell.done("put", "'shell', 'a', 'f:d', 'now'",
      () -> table().put(new Put(Story.b("a")).addColumn(F, Story.b("d"), Story.b("now"))));
    shell.done("put", "'shell', 'b', 'f:t', 'kept', 5, {ATTRIBUTES => {'mykey' => 'myvalue'}, TTL => 3600000}", () -> {
      Put put = put("b", "t", "kept");
      put.setAttribute("mykey", Story.b("myvalue"));
      table().put(put.setTTL(3_600_000));
    });
    shell.done("put", "'shell', 'a', 'none:c', 'one'",
      () -> table().put(new Put(Story.b("a")).addColumn(Story.b("none"), Story.b("c"), Story.b("one"))));
    shell.command("append", "'shell', 'a', 'f:app', 'tail'", () -> {
      Result result = table().append(new Append(Story.b("a")).addColumn(F, Story.b("app"), Story.b("tail")));
      return result.listCells() == null ? "none" : Bytes.toStringBinary(result.value());
    });
    shell.command("append", "'shell', 'a', 'f:app', '-more'",
      () -> Bytes.toStringBinary(table().append(new Append(Story.b("a")).addColumn(F, Story.b("app"), Story.b("-more"))).value()));
    for (long by : new long[] {1, 41}) {
      shell.command("incr", "'shell', 'a', 'f:n', " + by,
        () -> Bytes.toLong(table().increment(new Increment(Story.b("a")).addColumn(F, Story.b("n"), by)).value()));
    }
    shell.command("get_counter", "'shell', 'a', 'f:n'",
      () -> Bytes.toLong(table().get(new Get(Story.b("a")).addColumn(F, Story.b("n")).setMaxVersions(1)).value()));
    shell.command("set_visibility", "'shell', 'secret', {COLUMNS => 'f:c', STOPROW => 'b'}", () -> {
      int count = 0;
      try (ResultScanner scanner = table().getScanner(new Scan(Story.b(""), Story.b("b")).addColumn(F, Story.b("c")))) {
        for (Result row : scanner) {
          Put put = new Put(row.getRow());
          put.add(row.listCells().get(0));
          put.setCellVisibility(new org.apache.hadoop.hbase.security.visibility.CellVisibility("secret"));
          table().put(put);
          count++;
        }
      }
      return count;
    });
  }

  private Object scanned(Scan scan) throws Exception {
    List<Object> rows = new ArrayList<>();
    try (ResultScanner scanner = table().getScanner(scan)) {
      scanner.forEach(rows::add);
    }
    return rows;
  }

  private static Filter parsed(String filter) throws Exception {
    return new ParseFilter().parseFilterString(filter);
  }

  private Object counted(Scan scan) throws Exception {
    Filter first = new FirstKeyOnlyFilter();
    scan.setCacheBlocks(false).setFilter(scan.getFilter() == null ? first : new FilterList(scan.getFilter(), first));
    int count = 0;
    try (ResultScanner scanner = table().getScanner(scan.setCaching(10))) {
      for (Result row : scanner) {
        count += row.isEmpty() ? 0 : 1;
      }
    }
    return count;
  }

  private void reads() {
    shell.command("get", "'shell', 'a'", () -> table().get(new Get(Story.b("a"))));
    shell.command("get", "'shell', 'a', {COLUMN => ['f:c', 'g'], VERSIONS => 3, TIMERANGE => [0, 9]}",
      () -> table().get(new Get(Story.b("a")).addColumn(F, Story.b("c")).addFamily(Story.b("g")).setMaxVersions(3).setTimeRange(0, 9)));
    shell.command("get", "'shell', 'a', {FILTER => \"ValueFilter(=, 'binary:one')\"}",
      () -> table().get(new Get(Story.b("a")).setFilter(parsed("ValueFilter(=, 'binary:one')"))));
    shell.command("get", "'shell', 'a', {COLUMN => 'none:c'}", () -> table().get(new Get(Story.b("a")).addFamily(Story.b("none"))));
    shell.command("get", "'shell', 'nobody'", () -> table().get(new Get(Story.b("nobody"))));
    shell.command("get", "'shellx', 'a'", () -> connection.getTable(TableName.valueOf("shellx")).get(new Get(Story.b("a"))));
    shell.command("scan", "'shell'", () -> scanned(new Scan()));
    shell.command("scan", "'shell', {COLUMNS => 'f:c', STARTROW => 'b', STOPROW => 'q', LIMIT => 2}",
      () -> scanned(new Scan(Story.b("b"), Story.b("q")).addColumn(F, Story.b("c")).setLimit(2)));
    shell.command("scan", "'shell', {ROWPREFIXFILTER => 'a', FILTER => \"QualifierFilter(>=, 'binary:b') AND KeyOnlyFilter()\"}", () -> {
      Scan scan = new Scan(Story.b(""));
      scan.setStartStopRowForPrefixScan(Story.b("a"));
      return scanned(scan.setFilter(parsed("QualifierFilter(>=, 'binary:b') AND KeyOnlyFilter()")));
    });
    shell.command("scan", "'shell', {REVERSED => true, COLUMNS => 'f:c', VERSIONS => 3}",
      () -> scanned(new Scan(Story.b("")).addColumn(F, Story.b("c")).setReversed(true).setMaxVersions(3)));
    shell.command("scan", "'shell', {RAW => true, VERSIONS => 9, TIMERANGE => [0, 9]}",
      () -> scanned(new Scan(Story.b("")).setRaw(true).setMaxVersions(9).setTimeRange(0, 9)));
    shell.command("scan", "'shell', {BATCH => 1, ALLOW_PARTIAL_RESULTS => true, MAX_RESULT_SIZE => 200, STOPROW => 'b'}",
      () -> scanned(new Scan(Story.b(""), Story.b("b")).setAllowPartialResults(true).setBatch(1).setMaxResultSize(200)));
    shell.command("scan", "'shell', {ISOLATION_LEVEL => 'READ_UNCOMMITTED', READ_TYPE => 'PREAD', TIMESTAMP => 5}",
      () -> scanned(new Scan(Story.b("")).setIsolationLevel(org.apache.hadoop.hbase.client.IsolationLevel.READ_UNCOMMITTED)
        .setReadType(Scan.ReadType.PREAD).setTimestamp(5)));
    shell.command("scan", "'shell', {ALL_METRICS => true}", () -> {
      ResultScanner scanner = table().getScanner(new Scan(Story.b("")).setScanMetricsEnabled(true));
      scanner.forEach(row -> { });
      scanner.close();
      Map<String, Long> metrics = scanner.getScanMetrics().getMetricsMap();
      return "rows " + metrics.get("ROWS_SCANNED") + ", regions " + metrics.get("REGIONS_SCANNED");
    });
    shell.command("scan", "'hbase:meta', {ROWPREFIXFILTER => 'shell,', COLUMNS => 'info:regioninfo'}", () -> {
      Scan scan = new Scan(Story.b(""));
      scan.setStartStopRowForPrefixScan(Story.b("shell,"));
      int count = 0;
      try (ResultScanner scanner = connection.getTable(TableName.META_TABLE_NAME)
        .getScanner(scan.addColumn(HConstants.CATALOG_FAMILY, HConstants.REGIONINFO_QUALIFIER))) {
        for (Result row : scanner) {
          count += row.size();
        }
      }
      return count;
    });
    shell.command("count", "'shell'", () -> counted(new Scan(Story.b(""))));
    shell.command("count", "'shell', {FILTER => \"PrefixFilter('b')\", STARTROW => 'a'}",
      () -> counted(new Scan(Story.b("a")).setFilter(parsed("PrefixFilter('b')"))));
    shell.command("get_splits", "'shell'", () -> {
      List<String> starts = new ArrayList<>();
      for (HRegionLocation each : table().getRegionLocator().getAllRegionLocations()) {
        starts.add(Bytes.toStringBinary(each.getRegion().getStartKey()));
      }
      starts.remove("");
      return starts;
    });
    shell.done("delete", "'shell', 'b', 'f:t'", () -> table().delete(new Delete(Story.b("b")).addColumn(F, Story.b("t"))));
    shell.done("delete", "'shell', 'b', 'f:c', 4", () -> table().delete(new Delete(Story.b("b"), 4).addColumn(F, Story.b("c"), 4)));
    shell.done("deleteall", "'shell', 'a', 'f:n'", () -> table().delete(new Delete(Story.b("a")).addColumns(F, Story.b("n"))));
    shell.done("deleteall", "'shell', 'i'", () -> table().delete(new Delete(Story.b("i"))));
    shell.done("deleteall", "'shell', {ROWPREFIXFILTER => 'q', CACHE => 100}", () -> {
      Scan scan = new Scan();
      scan.setStartStopRowForPrefixScan(Story.b("q"));
      List<Delete> found = new ArrayList<>();
      try (ResultScanner scanner = table().getScanner(scan)) {
        scanner.forEach(row -> found.add(new Delete(row.getRow())));
      }
      table().delete(found);
    });
    shell.command("scan", "'shell' after the deletes", () -> scanned(new Scan()));
  }

  // --- tables ------------------------------------------------------------------------------------------------------------

  private Object names(String pattern) throws Exception {
    return Arrays.asList(admin.listTableNames(Pattern.compile(pattern)));
  }

  private Object inState(Admin asked, boolean enabled) throws Exception {
    List<TableName> found = new ArrayList<>(asked.listTableNamesByState(enabled));
    found.removeIf(each -> !each.getNameAsString().startsWith("shell"));
    return found;
  }

  private Object describe(String name) throws Exception {
    mustExist(name);
    HTableDescriptor table = admin.getTableDescriptor(TableName.valueOf(name));
    return (admin.isTableEnabled(TableName.valueOf(name)) ? "ENABLED " : "DISABLED ") + name + table.toStringTableAttributes() + " "
      + Arrays.asList(table.getColumnFamilies()) + (admin.tableExists(TableName.valueOf(QUOTAS)) ? " QUOTAS" : " Quota is disabled");
  }

  private void disable(String name) throws Exception {
    mustExist(name);
    if (!admin.isTableDisabled(TableName.valueOf(name))) {
      admin.disableTable(TableName.valueOf(name));
    }
  }

  private void enable(String name) throws Exception {
    mustExist(name);
    if (!admin.isTableEnabled(TableName.valueOf(name))) {
      admin.enableTable(TableName.valueOf(name));
    }
  }

  private void tables() {
    shell.command("list", "'shell.*'", () -> names("shell.*"));
    shell.command("list", "'nobody'", () -> names("nobody"));
    shell.command("describe", "'shell'", () -> describe("shell"));
    shell.command("describe", "'shellx'", () -> describe("shellx"));
    shell.done("disable", "'shell2'", () -> disable("shell2"));
    shell.done("disable", "'shell2' again", () -> disable("shell2"));
    shell.done("disable", "'shellx'", () -> disable("shellx"));
    shell.command("is_disabled", "'shell2'", () -> admin.isTableDisabled(TableName.valueOf("shell2")));
    shell.command("is_enabled", "'shell2'", () -> admin.isTableEnabled(TableName.valueOf("shell2")));
    shell.command("is_enabled", "'shellx'", () -> admin.isTableEnabled(TableName.valueOf("shellx")));
    shell.command("list_enabled_tables", "", () -> inState(admin, true));
    shell.command("list_disabled_tables", "", () -> inState(admin, false));
    shell.done("enable", "'shell2'", () -> enable("shell2"));
    shell.done("enable", "'shellx'", () -> enable("shellx"));
    shell.command("locate_region", "'shell', 'k'", () -> {
      try (RegionLocator locator = connection.getRegionLocator(NAME)) {
        HRegionLocation found = locator.getRegionLocation(Story.b("k"));
        return Bytes.toStringBinary(found.getRegion().getStartKey()) + " " + (found.getPort() > 0);
      }
    });
    shell.command("list_regions", "'shell'", () -> {
      if (!admin.isTableEnabled(NAME)) {
        throw new IllegalStateException("Table shell must be enabled.");
      }
      ClusterStatus status = new ClusterStatus(admin.getClusterMetrics());
      List<String> found = new ArrayList<>();
      for (HRegionLocation each : connection.getRegionLocator(NAME).getAllRegionLocations()) {
        ServerLoad server = status.getLoad(each.getServerName());
        RegionLoad load = server == null ? null : server.getRegionsLoad().get(each.getRegion().getRegionName());
        // a server tells of a region that it has just opened with its next report
        found.add(Bytes.toStringBinary(each.getRegion().getStartKey()) + (load == null || load.getDataLocality() <= 1));
      }
      return found;
    });
    shell.command("clone_table_schema", "'shell', 'shell4'", () -> {
      admin.cloneTableSchema(NAME, TableName.valueOf("shell4"), true);
      return beside.getRegions(TableName.valueOf("shell4")).size() + " regions";
    });
    shell.done("clone_table_schema", "'shellx', 'shell5'",
      () -> admin.cloneTableSchema(TableName.valueOf("shellx"), TableName.valueOf("shell5"), true));
    shell.command("show_filters", "", () -> new ParseFilter().getSupportedFilters().size() > 10);
  }

  private void alter() {
    shell.done("alter", "'shell', NAME => 'h', VERSIONS => 5", () -> modify(true, true, table -> table
      .setColumnFamily(ColumnFamilyDescriptorBuilder.newBuilder(Story.b("h")).setMaxVersions(5).build())));
    shell.done("alter", "'shell', NAME => 'f', VERSIONS => 2, TTL => 86400", () -> modify(true, true, table -> table
      .modifyColumnFamily(ColumnFamilyDescriptorBuilder.newBuilder(F).setMaxVersions(2).setTimeToLive(86_400).build())));
    shell.done("alter", "'shell', 'delete' => 'g'", () -> modify(true, true, table -> table.removeColumnFamily(Story.b("g"))));
    shell.done("alter", "'shell', MAX_FILESIZE => '134217728', METADATA => {'mykey' => 'myvalue'}",
      () -> modify(true, true, table -> table.setMaxFileSize(134_217_728).setValue("mykey", "myvalue")));
    shell.done("alter", "'shell', METHOD => 'table_att_unset', NAME => 'mykey'",
      () -> modify(true, true, table -> table.removeValue(Story.b("mykey"))));
    shell.done("alter", "'shell', NAME => 'f', VERSIONS => 4, REOPEN_REGIONS => 'false'", () -> modify(true, false, table -> table
      .modifyColumnFamily(ColumnFamilyDescriptorBuilder.newBuilder(F).setMaxVersions(4).build())));
    shell.done("alter", "'shellx', NAME => 'h'", () -> {
      mustExist("shellx");
    });
    shell.done("alter_async", "'shell', NAME => 'f', VERSIONS => 3", () -> modify(false, true, table -> table
      .modifyColumnFamily(ColumnFamilyDescriptorBuilder.newBuilder(F).setMaxVersions(3).build())));
    shell.command("alter_status", "'shell'", () -> {
      mustExist("shell");
      return admin.getClusterMetrics().getTableRegionStatesCount().get(NAME).getTotalRegions() + " regions";
    });
    shell.command("alter_status", "'shell3'", () -> {
      mustExist("shell3");
      return admin.getClusterMetrics().getTableRegionStatesCount().get(TableName.valueOf("shell3"));
    });
    shell.command("describe", "'shell' after all of these", () -> describe("shell"));
    shell.command("change_sft", "'shell', 'FILE'", () -> {
      admin.modifyTableStoreFileTracker(NAME, "FILE");
      return beside.getTableDescriptor(NAME).getValue("hbase.store.file-tracker.impl");
    });
    shell.command("change_sft", "'shell', 'f', 'FILE'", () -> {
      admin.modifyColumnFamilyStoreFileTracker(NAME, F, "FILE");
      return beside.getTableDescriptor(NAME).getColumnFamily(F).getConfigurationValue("hbase.store.file-tracker.impl");
    });
    shell.command("change_sft_all", "'shell3', 'FILE'", () -> {
      for (TableName each : admin.listTableNames(Pattern.compile("shell3"))) {
        admin.modifyTableStoreFileTracker(each, "FILE");
      }
      return beside.getTableDescriptor(TableName.valueOf("shell3")).getValue("hbase.store.file-tracker.impl");
    });
  }

  private interface Change {
    Object of(TableDescriptorBuilder table) throws Exception;
  }

  private void modify(boolean wait, boolean reopen, Change change) throws Exception {
    mustExist("shell");
    TableDescriptorBuilder builder = TableDescriptorBuilder.newBuilder(admin.getTableDescriptor(NAME));
    change.of(builder);
    java.util.concurrent.Future<Void> future = admin.modifyTableAsync(builder.build(), reopen);
    if (wait) {
      future.get();
      while (reopen && admin.getClusterMetrics().getTableRegionStatesCount().get(NAME).getRegionsInTransition() != 0) {
        Thread.sleep(100);
      }
    }
  }

  private void drop() {
    shell.done("truncate", "'shell'", () -> {
      if (admin.isTableEnabled(NAME)) {
        disable("shell");
      }
      admin.truncateTable(NAME, false);
    });
    shell.command("count", "'shell' after truncate", () -> counted(new Scan()));
    shell.command("truncate_preserve", "'shell4'", () -> {
      disable("shell4");
      admin.truncateTable(TableName.valueOf("shell4"), true);
      return beside.getRegions(TableName.valueOf("shell4")).size() + " regions";
    });
    shell.done("drop", "'shell'", () -> dropped("shell"));
    shell.done("drop", "'shell' once disabled", () -> {
      beside.disableTable(NAME);
      dropped("shell");
    });
    shell.done("drop", "'shellx'", () -> dropped("shellx"));
    shell.command("disable_all", "'shell[23]'", () -> {
      List<TableName> failed = new ArrayList<>();
      for (TableName each : admin.listTableNames(Pattern.compile("shell[23]"))) {
        admin.disableTable(each);
      }
      return failed;
    });
    shell.command("enable_all", "'shell[3]'", () -> {
      for (TableName each : admin.listTableNames(Pattern.compile("shell[3]"))) {
        admin.enableTable(each);
      }
      return inState(beside, true);
    });
    shell.command("drop_all", "'shell.*'", () -> {
      List<String> failed = new ArrayList<>();
      for (TableName each : admin.listTableNames(Pattern.compile("shell.*"))) {
        try {
          admin.deleteTable(each);
        } catch (java.io.IOException error) {
          failed.add("table:" + each + ", error:" + Story.describe(error));
        }
      }
      return failed;
    });
    shell.command("drop_all", "'shell.*' once disabled", () -> {
      for (TableName each : admin.listTableNames(Pattern.compile("shell.*"))) {
        beside.disableTable(each);
        admin.deleteTable(each);
      }
      return names("shell.*");
    });
  }

  private void dropped(String name) throws Exception {
    mustExist(name);
    if (admin.isTableEnabled(TableName.valueOf(name))) {
      throw new IllegalArgumentException("Table " + name + " is enabled. Disable it first.");
    }
    admin.deleteTable(TableName.valueOf(name));
  }

  // --- the cluster, namespaces -------------------------------------------------------------------------------------------

  private void general() {
    shell.command("version", "", () -> VersionInfo.getVersion());
    shell.command("whoami", "", () -> User.getCurrent().toString().contains("auth:SIMPLE"));
    shell.done("table_help", "", () -> { });
    shell.command("status", "", () -> {
      ClusterStatus status = admin.getClusterStatus();
      return status.getBackupMastersSize() + " backup masters, " + status.getServersSize() + " servers, " + status.getDeadServers()
        + " dead, average load " + (status.getAverageLoad() > 0);
    });
    shell.command("status", "'simple'", () -> {
      ClusterStatus status = admin.getClusterStatus();
      boolean told = status.getMaster().getPort() > 0;
      int regions = 0;
      for (ServerName server : status.getServers()) {
        ServerLoad load = status.getLoad(server);
        told &= load.toString().contains("numberOfOnlineRegions=") && load.getNumberOfRequests() >= 0;
        regions += load.getNumberOfRegions();
      }
      return told + " " + (regions > 0);
    });
    shell.command("status", "'detailed'", () -> {
      ClusterStatus status = admin.getClusterStatus();
      int tasks = status.getMasterTasks().size();
      List<String> told = new ArrayList<>(Collections.singletonList(status.getHBaseVersion().split("-")[0]));
      for (ServerName server : status.getServers()) {
        for (RegionLoad region : status.getLoad(server).getRegionsLoad().values()) {
          tasks += region.toString().contains("storefileSizeMB=") ? 0 : 1_000_000;
        }
        tasks += status.getLoad(server).getTasks().size();
      }
      told.add(status.getRegionStatesInTransition().size() + " in transition");
      told.add("coprocessors of the master " + Arrays.toString(admin.getMasterCoprocessors()));
      return told + (tasks < 1_000_000 ? "" : " of a region there is no load");
    });
    shell.command("status", "'replication'", () -> {
      List<String> told = new ArrayList<>();
      for (ServerName server : admin.getClusterStatus().getServers()) {
        ServerLoad load = admin.getClusterStatus().getLoad(server);
        told.add("sink " + (load.getReplicationLoadSink() != null) + ", sources " + load.getReplicationLoadSourceMap());
      }
      return told;
    });
    shell.command("status", "'tasks'", () -> {
      ClusterStatus status = admin.getClusterStatus();
      long running = status.getMasterTasks().stream().filter(each -> each.getState().name().equals("RUNNING")).count();
      return running < 1_000;
    });
  }

  private void namespaces() {
    NamespaceDescriptor made = NamespaceDescriptor.create("shellns").addConfiguration("k", "v").build();
    shell.done("create_namespace", "'shellns', {'k' => 'v'}", () -> admin.createNamespace(made));
    shell.done("create_namespace", "'shellns' again", () -> admin.createNamespace(made));
    shell.command("describe_namespace", "'shellns'",
      () -> admin.getNamespaceDescriptor("shellns") + (admin.tableExists(TableName.valueOf(QUOTAS)) ? " QUOTAS" : " Quota is disabled"));
    shell.command("describe_namespace", "'nobody'", () -> admin.getNamespaceDescriptor("nobody"));
    shell.command("alter_namespace", "'shellns', {METHOD => 'set', 'l' => 'w'}", () -> {
      NamespaceDescriptor.Builder builder = NamespaceDescriptor.create(admin.getNamespaceDescriptor("shellns"));
      admin.modifyNamespace(builder.addConfiguration("l", "w").build());
      return beside.getNamespaceDescriptor("shellns");
    });
    shell.command("alter_namespace", "'shellns', {METHOD => 'unset', NAME => 'k'}", () -> {
      NamespaceDescriptor.Builder builder = NamespaceDescriptor.create(admin.getNamespaceDescriptor("shellns"));
      builder.removeConfiguration("k");
      admin.modifyNamespace(builder.build());
      return beside.getNamespaceDescriptor("shellns");
    });
    shell.command("list_namespace", "", () -> {
      List<String> found = new ArrayList<>(Arrays.asList(admin.listNamespaces()));
      found.retainAll(Arrays.asList("default", "hbase", "shellns"));
      return found;
    });
    shell.command("list_namespace_tables", "'shellns'", () -> Arrays.asList(admin.listTableNamesByNamespace("shellns")));
    shell.command("list_namespace_tables", "'nobody'", () -> Arrays.asList(admin.listTableNamesByNamespace("nobody")));
    shell.command("get_namespace_rsgroup", "'shellns'",
      () -> admin.getNamespaceDescriptor("shellns").getConfigurationValue("hbase.rsgroup.name"));
    shell.done("drop_namespace", "'shellns'", () -> admin.deleteNamespace("shellns"));
    shell.done("drop_namespace", "'shellns' again", () -> admin.deleteNamespace("shellns"));
  }
}
