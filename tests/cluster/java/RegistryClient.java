import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.Deque;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.HBaseConfiguration;
import org.apache.hadoop.hbase.HRegionLocation;
import org.apache.hadoop.hbase.NamespaceDescriptor;
import org.apache.hadoop.hbase.ServerName;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.Admin;
import org.apache.hadoop.hbase.client.ColumnFamilyDescriptorBuilder;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.ConnectionFactory;
import org.apache.hadoop.hbase.client.Delete;
import org.apache.hadoop.hbase.client.Get;
import org.apache.hadoop.hbase.client.Put;
import org.apache.hadoop.hbase.client.RegionInfo;
import org.apache.hadoop.hbase.client.RegionInfoBuilder;
import org.apache.hadoop.hbase.client.RegionLocator;
import org.apache.hadoop.hbase.client.Result;
import org.apache.hadoop.hbase.client.ResultScanner;
import org.apache.hadoop.hbase.client.Scan;
import org.apache.hadoop.hbase.client.Table;
import org.apache.hadoop.hbase.client.TableDescriptorBuilder;
import org.apache.hadoop.hbase.util.Bytes;

/**
 * A stock HBase client driven by lines on standard input.
 *
 * <p>A command is {@code <id> <verb> <argument>...}, split at spaces. Each one runs on a thread of its own and answers with one
 * JSON line that carries its id: {@code {"id":"7","ok":true,"ms":3.1,"value":...}} or
 * {@code {"id":"7","ok":false,"ms":3.1,"error":"<class: message, outermost cause first>"}}. A steady loop writes a line per
 * operation: {@code {"loop":"c1","op":"put","ok":true,"ms":0.8,"at_ms":<wall clock at the end>}}. Times are milliseconds.
 *
 * <p>The source compiles against hbase-client 2.3 to 3.0 and uses their public interface, but for {@code servers}, which looks
 * for the registry's server list by reflection.
 */
public final class RegistryClient {
  private static final byte[] FAMILY = Bytes.toBytes("cf");
  private static final byte[] QUALIFIER = Bytes.toBytes("q");
  private static final long ADMIN_CALL_MS = 12_000;

  private static final PrintStream OUT = new PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out), true);
  private static final Map<String, Connection> CONNECTIONS = new ConcurrentHashMap<>();
  private static final Set<String> LOOPS = ConcurrentHashMap.newKeySet();
  private static final ExecutorService THREADS = Executors.newCachedThreadPool(work -> {
    Thread thread = new Thread(work);
    thread.setDaemon(true);
    return thread;
  });

  private RegistryClient() {}

  public static void main(String[] args) throws IOException {
    BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = commands.readLine(); line != null; line = commands.readLine()) {
      String[] words = line.trim().split(" +");
      THREADS.execute(() -> run(words));
    }
    System.exit(0); // the parent has gone: connections need no farewell
  }

  private static void run(String[] words) {
    Map<String, Object> answer = new LinkedHashMap<>();
    answer.put("id", words[0]);
    long begin = System.nanoTime();
    try {
      Object value = command(words[1], Arrays.copyOfRange(words, 2, words.length));
      answer.put("ok", true);
      answer.put("ms", millisSince(begin));
      answer.put("value", value);
    } catch (Throwable error) { // the harness wants to see every outcome, errors of class loading too
      answer.put("ok", false);
      answer.put("ms", millisSince(begin));
      answer.put("error", describe(error));
    }
    print(answer);
  }

  private static Object command(String verb, String[] args) throws Exception {
    switch (verb) {
      case "open":
        CONNECTIONS.put(args[0], ConnectionFactory.createConnection(configuration(args, 1)));
        return null;
      case "close":
        CONNECTIONS.remove(args[0]).close();
        return null;
      case "create":
        return admin(args[0], admin -> create(admin, args[1]));
      case "drop":
        return admin(args[0], admin -> {
          admin.disableTable(TableName.valueOf(args[1]));
          admin.deleteTable(TableName.valueOf(args[1]));
          return null;
        });
      case "put":
        return table(args[0], args[1], table -> put(table, args[2], args[3]));
      case "get":
        return table(args[0], args[1], table -> get(table, args[2]));
      case "delete":
        return table(args[0], args[1], table -> {
          table.delete(new Delete(Bytes.toBytes(args[2])));
          return null;
        });
      case "scan":
        return table(args[0], args[1], RegistryClient::scan);
      case "loop":
        return loop(args[0], args[1], Long.parseLong(args[2]));
      case "stop":
        LOOPS.remove(args[0]);
        return null;
      case "burst":
        return burst(Integer.parseInt(args[0]), Integer.parseInt(args[1]), Long.parseLong(args[2]), args[3],
          configuration(args, 4));
      case "locate":
        return locate(args[0], args[1]);
      case "places":
        return places(args[0], args[1]);
      case "move":
        return admin(args[0], admin -> move(admin, args[1], args[2]));
      case "master":
        return admin(args[0], RegistryClient::activeMaster);
      case "servers":
        return registryServers(CONNECTIONS.get(args[0]));
      case "survey":
        return survey(args[0], args[1]);
      default:
        throw new IllegalArgumentException("no verb " + verb);
    }
  }

  private static Configuration configuration(String[] args, int from) {
    Configuration configuration = HBaseConfiguration.create();
    for (String setting : Arrays.copyOfRange(args, from, args.length)) {
      int equals = setting.indexOf('=');
      configuration.set(setting.substring(0, equals), setting.substring(equals + 1));
    }
    return configuration;
  }

  // --- tables ---------------------------------------------------------------------------------------------------------------

  private interface Work<S, T> {
    T on(S subject) throws Exception;
  }

  private static <T> T admin(String connection, Work<Admin, T> work) throws Exception {
    try (Admin admin = CONNECTIONS.get(connection).getAdmin()) {
      return work.on(admin);
    }
  }

  private static <T> T table(String connection, String name, Work<Table, T> work) throws Exception {
    try (Table table = CONNECTIONS.get(connection).getTable(TableName.valueOf(name))) {
      return work.on(table);
    }
  }

  private static Object create(Admin admin, String name) throws IOException {
    admin.createTable(TableDescriptorBuilder.newBuilder(TableName.valueOf(name))
      .setColumnFamily(ColumnFamilyDescriptorBuilder.of(FAMILY)).build());
    return null;
  }

  private static Object put(Table table, String row, String value) throws IOException {
    table.put(new Put(Bytes.toBytes(row)).addColumn(FAMILY, QUALIFIER, Bytes.toBytes(value)));
    return null;
  }

  private static String get(Table table, String row) throws IOException {
    return Bytes.toString(table.get(new Get(Bytes.toBytes(row))).getValue(FAMILY, QUALIFIER));
  }

  private static Map<String, Object> scan(Table table) throws IOException {
    Map<String, Object> rows = new LinkedHashMap<>();
    try (ResultScanner scanner = table.getScanner(new Scan())) {
      for (Result result : scanner) {
        rows.put(Bytes.toString(result.getRow()), Bytes.toString(result.getValue(FAMILY, QUALIFIER)));
      }
    }
    return rows;
  }

  private static String locate(String connection, String name) throws IOException {
    try (RegionLocator locator = CONNECTIONS.get(connection).getRegionLocator(TableName.valueOf(name))) {
      HRegionLocation location = locator.getRegionLocation(new byte[0], true);
      return location.getServerName().toString();
    }
  }

  /** Server and sequence number of each region, by its encoded name: both change when a region is opened again. */
  private static Map<String, Object> places(String connection, String name) throws IOException {
    Map<String, Object> found = new LinkedHashMap<>();
    try (RegionLocator locator = CONNECTIONS.get(connection).getRegionLocator(TableName.valueOf(name))) {
      for (HRegionLocation each : locator.getAllRegionLocations()) {
        found.put(each.getRegion().getEncodedName(), each.getServerName() + " " + each.getSeqNum());
      }
    }
    return found;
  }

  /** The active master's own word; the first call is one that a standby refuses, the second one it would answer itself. */
  private static String activeMaster(Admin admin) throws IOException {
    admin.listNamespaceDescriptors();
    return admin.getClusterMetrics().getMasterName().toString();
  }

  /** Moves the first region of the table, or the meta region, and waits until nothing is in transition any more. */
  private static Object move(Admin admin, String name, String destination) throws IOException {
    RegionInfo region = name.equals("hbase:meta") ? RegionInfoBuilder.FIRST_META_REGIONINFO
      : admin.getRegions(TableName.valueOf(name)).get(0);
    admin.move(region.getEncodedNameAsBytes(), ServerName.valueOf(destination));
    return null;
  }

  // --- steady load ----------------------------------------------------------------------------------------------------------

  /** Puts and reads back until {@code stop}; the value is the number of rounds and of values that came back wrong. */
  private static Map<String, Object> loop(String connection, String name, long pauseMs) throws Exception {
    LOOPS.add(connection);
    long rounds = 0;
    long wrong = 0;
    try (Table table = CONNECTIONS.get(connection).getTable(TableName.valueOf(name))) {
      while (LOOPS.contains(connection)) {
        String row = connection + "-" + rounds % 1000;
        String value = Long.toString(rounds++);
        boolean written = timed(connection, "put", () -> put(table, row, value)) == Outcome.DONE;
        Object[] seen = new Object[1];
        boolean read = timed(connection, "get", () -> seen[0] = get(table, row)) == Outcome.DONE;
        if (written && read && !value.equals(seen[0])) {
          wrong++;
        }
        Thread.sleep(pauseMs);
      }
    }
    Map<String, Object> sum = new LinkedHashMap<>();
    sum.put("rounds", rounds);
    sum.put("wrong", wrong);
    return sum;
  }

  private enum Outcome { DONE, FAILED }

  private static Outcome timed(String loop, String operation, Callable<Object> work) {
    Map<String, Object> event = new LinkedHashMap<>();
    event.put("loop", loop);
    event.put("op", operation);
    long begin = System.nanoTime();
    Outcome outcome = Outcome.DONE;
    try {
      work.call();
    } catch (Exception error) {
      outcome = Outcome.FAILED;
      event.put("error", describe(error));
    }
    event.put("ok", outcome == Outcome.DONE);
    event.put("ms", millisSince(begin));
    event.put("at_ms", System.currentTimeMillis());
    print(event);
    return outcome;
  }

  // --- new connections ------------------------------------------------------------------------------------------------------

  /**
   * Opens {@code count} connections, {@code parallel} at a time, {@code paceMs} between the starts on each thread; with a table
   * name other than "-" each reads a row before it closes. One entry a connection: connect_ms, get_ms, ok, error.
   */
  private static List<Object> burst(int count, int parallel, long paceMs, String tableName, Configuration configuration)
    throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(parallel);
    List<Future<Map<String, Object>>> all = new ArrayList<>();
    for (int index = 0; index < count; index++) {
      all.add(threads.submit(() -> {
        Map<String, Object> sample = connectOnce(tableName, new Configuration(configuration));
        Thread.sleep(paceMs);
        return sample;
      }));
    }
    List<Object> samples = new ArrayList<>();
    for (Future<Map<String, Object>> each : all) {
      samples.add(each.get());
    }
    threads.shutdown();
    return samples;
  }

  private static Map<String, Object> connectOnce(String tableName, Configuration configuration) {
    Map<String, Object> sample = new LinkedHashMap<>();
    sample.put("at_ms", System.currentTimeMillis());
    long begin = System.nanoTime();
    try (Connection connection = ConnectionFactory.createConnection(configuration)) {
      sample.put("connect_ms", millisSince(begin));
      if (!tableName.equals("-")) {
        long read = System.nanoTime();
        try (Table table = connection.getTable(TableName.valueOf(tableName))) {
          get(table, "row");
        }
        sample.put("get_ms", millisSince(read));
      }
      sample.put("ok", true);
    } catch (Exception error) {
      sample.put("ok", false);
      sample.put("error", describe(error));
    }
    sample.put("total_ms", millisSince(begin)); // connect, read and close
    return sample;
  }

  // --- what the registry knows ----------------------------------------------------------------------------------------------

  /** The addresses that the connection's registry would ask now, found in its map from server name to stub. */
  private static List<String> registryServers(Connection connection) throws IllegalAccessException {
    Deque<Object> toVisit = new ArrayDeque<>(Collections.singletonList(connection));
    Set<Object> visited = Collections.newSetFromMap(new java.util.IdentityHashMap<>());
    while (!toVisit.isEmpty()) {
      Object holder = toVisit.remove();
      if (!visited.add(holder)) {
        continue;
      }
      for (Class<?> type = holder.getClass(); type != null && type != Object.class; type = type.getSuperclass()) {
        for (Field field : type.getDeclaredFields()) {
          if (java.lang.reflect.Modifier.isStatic(field.getModifiers()) || !leadsToTheServers(field)) {
            continue;
          }
          field.setAccessible(true);
          Object value = field.get(holder);
          if (value instanceof Map) {
            Set<String> servers = new TreeSet<>();
            for (Object server : (Collection<?>) new HashSet<>(((Map<?, ?>) value).keySet())) {
              servers.add(((ServerName) server).getAddress().toString());
            }
            return new ArrayList<>(servers);
          }
          if (value != null) {
            toVisit.add(value);
          }
        }
      }
    }
    throw new IllegalStateException("no list of servers in " + connection.getClass());
  }

  private static boolean leadsToTheServers(Field field) {
    String name = field.getName();
    return Arrays.asList("conn", "registry", "rpcStubHolder", "addr2Stub", "masterAddr2Stub").contains(name);
  }

  // --- the whole of Admin, call by call -------------------------------------------------------------------------------------

  /** "ok" or the error of each call, in the order in which they ran; each on a time limit of its own. */
  private static Map<String, Object> survey(String connection, String name) throws Exception {
    TableName table = TableName.valueOf(name);
    Map<String, Work<Admin, Object>> calls = new LinkedHashMap<>();
    calls.put("createTable", admin -> create(admin, name));
    calls.put("tableExists", admin -> expect(admin.tableExists(table)));
    calls.put("isTableEnabled", admin -> expect(admin.isTableEnabled(table)));
    calls.put("isTableAvailable", admin -> expect(admin.isTableAvailable(table)));
    calls.put("listTableNames", admin -> expect(Arrays.asList(admin.listTableNames()).contains(table)));
    calls.put("listTableDescriptors", admin -> expect(!admin.listTableDescriptors().isEmpty()));
    calls.put("getDescriptor", admin -> expect(admin.getDescriptor(table).hasColumnFamily(FAMILY)));
    calls.put("getRegions(table)", admin -> expect(admin.getRegions(table).size() == 1));
    calls.put("getRegions(server)", admin -> expect(!admin.getRegions(server(admin)).isEmpty()));
    calls.put("getClusterMetrics", admin -> admin.getClusterMetrics());
    calls.put("getRegionServers", admin -> expect(!admin.getRegionServers().isEmpty()));
    calls.put("getRegionMetrics", admin -> admin.getRegionMetrics(server(admin)));
    calls.put("getMaster", admin -> admin.getMaster());
    calls.put("getBackupMasters", admin -> admin.getBackupMasters());
    calls.put("addColumnFamily", admin -> {
      admin.addColumnFamily(table, ColumnFamilyDescriptorBuilder.of("more"));
      return null;
    });
    calls.put("modifyTable", admin -> {
      admin.modifyTable(TableDescriptorBuilder.newBuilder(admin.getDescriptor(table)).setMaxFileSize(1L << 32).build());
      return null;
    });
    calls.put("flush", admin -> {
      admin.flush(table);
      return null;
    });
    calls.put("compact", admin -> {
      admin.compact(table);
      return null;
    });
    calls.put("getCompactionState", admin -> admin.getCompactionState(table));
    calls.put("move", admin -> move(admin, name, server(admin).toString()));
    calls.put("split", admin -> {
      admin.split(table, Bytes.toBytes("m"));
      return null;
    });
    calls.put("snapshot", admin -> {
      admin.snapshot("survey_" + name, table);
      return null;
    });
    calls.put("listSnapshots", admin -> expect(!admin.listSnapshots().isEmpty()));
    calls.put("deleteSnapshot", admin -> {
      admin.deleteSnapshot("survey_" + name);
      return null;
    });
    calls.put("isBalancerEnabled", admin -> admin.isBalancerEnabled());
    // off, so that balance moves no table of other tests: a client of 2.6 that meets a region on its way asks
    // hbase:meta for the table's state, which no server before 2.0 has there
    calls.put("balancerSwitch", admin -> admin.balancerSwitch(false, true));
    calls.put("balance", admin -> admin.balance());
    calls.put("isNormalizerEnabled", admin -> admin.isNormalizerEnabled());
    calls.put("isSplitEnabled", admin -> admin.isSplitEnabled());
    calls.put("isCatalogJanitorEnabled", admin -> admin.isCatalogJanitorEnabled());
    calls.put("isCleanerChoreEnabled", admin -> admin.isCleanerChoreEnabled());
    calls.put("isMasterInMaintenanceMode", admin -> admin.isMasterInMaintenanceMode());
    calls.put("createNamespace", admin -> {
      admin.createNamespace(NamespaceDescriptor.create("survey_" + name).build());
      return null;
    });
    calls.put("listNamespaceDescriptors", admin -> expect(admin.listNamespaceDescriptors().length > 2));
    calls.put("deleteNamespace", admin -> {
      admin.deleteNamespace("survey_" + name);
      return null;
    });
    calls.put("getProcedures", admin -> admin.getProcedures());
    calls.put("getLocks", admin -> admin.getLocks());
    calls.put("listReplicationPeers", admin -> admin.listReplicationPeers());
    calls.put("listDecommissionedRegionServers", admin -> admin.listDecommissionedRegionServers());
    calls.put("disableTable", admin -> {
      admin.disableTable(table);
      return null;
    });
    calls.put("enableTable", admin -> {
      admin.enableTable(table);
      return null;
    });
    calls.put("disableTable again, truncateTable", admin -> {
      admin.disableTable(table);
      admin.truncateTable(table, false);
      return null;
    });
    calls.put("deleteTable", admin -> {
      if (admin.isTableEnabled(table)) {
        admin.disableTable(table);
      }
      admin.deleteTable(table);
      return null;
    });
    Map<String, Object> outcomes = new LinkedHashMap<>();
    for (Map.Entry<String, Work<Admin, Object>> call : calls.entrySet()) {
      outcomes.put(call.getKey(), outcome(connection, call.getValue()));
    }
    return outcomes;
  }

  private static String outcome(String connection, Work<Admin, Object> work) throws InterruptedException {
    Future<Object> running = THREADS.submit(() -> admin(connection, work));
    try {
      running.get(ADMIN_CALL_MS, TimeUnit.MILLISECONDS);
      return "ok";
    } catch (TimeoutException late) {
      running.cancel(true);
      return "no answer in " + ADMIN_CALL_MS + " ms";
    } catch (ExecutionException failed) {
      return describe(failed.getCause());
    }
  }

  private static ServerName server(Admin admin) throws IOException {
    Collection<ServerName> servers = admin.getRegionServers();
    if (servers.isEmpty()) {
      throw new IllegalStateException("the list of region servers is empty");
    }
    return servers.iterator().next();
  }

  private static Object expect(boolean truth) {
    if (!truth) {
      throw new IllegalStateException("the answer is not what the cluster holds");
    }
    return null;
  }

  // --- lines out ------------------------------------------------------------------------------------------------------------

  private static double millisSince(long beginNanos) {
    return (System.nanoTime() - beginNanos) / 1e6;
  }

  private static String describe(Throwable error) {
    StringBuilder text = new StringBuilder();
    for (Throwable each = error; each != null && text.length() < 1500; each = each.getCause()) {
      String message = String.valueOf(each.getMessage());
      text.append(text.length() == 0 ? "" : " <- ").append(each.getClass().getName()).append(": ")
        .append(message, 0, Math.min(message.length(), 400));
    }
    return text.toString();
  }

  private static void print(Object value) {
    StringBuilder line = new StringBuilder();
    json(line, value);
    synchronized (OUT) {
      OUT.println(line);
    }
  }

  private static void json(StringBuilder line, Object value) {
    if (value == null || value instanceof Boolean || value instanceof Number) {
      line.append(value);
    } else if (value instanceof Map) {
      String separator = "{";
      for (Map.Entry<?, ?> entry : ((Map<?, ?>) value).entrySet()) {
        line.append(separator);
        json(line, String.valueOf(entry.getKey()));
        line.append(':');
        json(line, entry.getValue());
        separator = ",";
      }
      line.append(separator.equals("{") ? "{}" : "}");
    } else if (value instanceof Collection) {
      String separator = "[";
      for (Object each : (Collection<?>) value) {
        line.append(separator);
        json(line, each);
        separator = ",";
      }
      line.append(separator.equals("[") ? "[]" : "]");
    } else {
      quoted(line, value.toString());
    }
  }

  private static void quoted(StringBuilder line, String text) {
    line.append('"');
    for (char each : text.toCharArray()) {
      if (each == '"' || each == '\\') {
        line.append('\\').append(each);
      } else if (each < 0x20 || each > 0x7e) {
        line.append(String.format("\\u%04x", (int) each));
      } else {
        line.append(each);
      }
    }
    line.append('"');
  }
}
