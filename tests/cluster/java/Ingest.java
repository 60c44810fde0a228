import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Scanner;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.HBaseConfiguration;
import org.apache.hadoop.hbase.ServerName;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.Admin;
import org.apache.hadoop.hbase.client.Append;
import org.apache.hadoop.hbase.client.BufferedMutator;
import org.apache.hadoop.hbase.client.CheckAndMutate;
import org.apache.hadoop.hbase.client.ColumnFamilyDescriptorBuilder;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.ConnectionFactory;
import org.apache.hadoop.hbase.client.Get;
import org.apache.hadoop.hbase.client.Increment;
import org.apache.hadoop.hbase.client.Put;
import org.apache.hadoop.hbase.client.RegionInfo;
import org.apache.hadoop.hbase.client.Result;
import org.apache.hadoop.hbase.client.ResultScanner;
import org.apache.hadoop.hbase.client.Scan;
import org.apache.hadoop.hbase.client.Table;
import org.apache.hadoop.hbase.client.TableDescriptorBuilder;
import org.apache.hadoop.hbase.util.Bytes;

/**
 * A list that grows while servers die under it: each row names an earlier one that was acknowledged, so a hole in the list is
 * lost data, and carries the name in two families, so a difference between them is a torn row.
 *
 * <p>{@code Ingest <table> <writers> <milliseconds between moves of regions, 0: none> <key=value>...}. Writers put single rows,
 * lists, buffered rows and rows under a condition, in turn; one thread reads back what was acknowledged, one scans; as many as
 * {@code test.counters} says increment and append, and at the end each of theirs must have counted once. A line
 * {@code progress name=number...} comes each half second. A line on standard input: {@code verify} goes through the list now,
 * {@code stop} ends the writers first and then the program.
 */
public final class Ingest {
  private static final byte[] A = Bytes.toBytes("a");
  private static final byte[] B = Bytes.toBytes("b");
  private static final byte[] BEFORE = Bytes.toBytes("before");
  private static final byte[] NUMBER = Bytes.toBytes("number");
  private static final byte[] TEXT = Bytes.toBytes("text");
  private static final byte[] X = Bytes.toBytes("x");
  private static final byte[] PAD = new byte[60];
  private static final int LIST = 5;

  private static final List<String> ACKED = Collections.synchronizedList(new ArrayList<>());
  private static final Map<byte[], AtomicLong[]> COUNTED = new HashMap<>();
  private static final Map<String, AtomicLong> COUNTS = new java.util.concurrent.ConcurrentSkipListMap<>();
  private static volatile boolean writing = true;
  private static volatile boolean running = true;

  private Ingest() {}

  private interface Step {
    void run() throws Exception;
  }

  public static void main(String[] args) throws Exception {
    Configuration configuration = HBaseConfiguration.create();
    for (int index = 3; index < args.length; index++) {
      int sign = args[index].indexOf('=');
      configuration.set(args[index].substring(0, sign), args[index].substring(sign + 1));
    }
    TableName name = TableName.valueOf(args[0]);
    for (String each : new String[] {"acked", "failed", "read", "scans", "counted", "failed-reads", "moves", "failed-moves", "slowest-ms",
      "lost", "holes", "torn", "disorder", "miscounted"}) {
      COUNTS.put(each, new AtomicLong());
    }
    Connection connection = ConnectionFactory.createConnection(configuration);
    try (Admin admin = connection.getAdmin()) {
      admin.createTable(TableDescriptorBuilder.newBuilder(name).setColumnFamily(ColumnFamilyDescriptorBuilder.of(A))
        .setColumnFamily(ColumnFamilyDescriptorBuilder.of(B)).build(), Bytes.split(Bytes.toBytes("2"), Bytes.toBytes("e"), 4));
    }
    long seed = configuration.getLong("test.seed", 0);
    List<Thread> writers = new ArrayList<>();
    for (int number = 0; number < configuration.getInt("test.counters", 0); number++) {
      byte[] row = Bytes.toBytes("-" + number + "-counter"); // before all others, which are hexadecimal
      AtomicLong[] done = {new AtomicLong(), new AtomicLong()};
      COUNTED.put(row, done);
      writers.add(start("counter" + number, () -> countUp(connection, name, row, done)));
    }
    for (int number = 0; number < Integer.parseInt(args[1]); number++) {
      int kind = number % 4;
      Random chance = new Random(1000 * seed + number);
      writers.add(start("writer" + number, () -> write(connection, name, kind, chance)));
    }
    start("reader", () -> read(connection, name));
    start("scanner", () -> scan(connection, name));
    long pause = Long.parseLong(args[2]);
    if (pause > 0) {
      start("mover", () -> move(connection, name, pause));
    }
    start("progress", Ingest::progress);
    System.out.println("ready");
    try (Scanner commands = new Scanner(System.in)) {
      while (commands.hasNextLine()) {
        String word = commands.nextLine().trim();
        if (word.equals("stop")) {
          writing = false;
          for (Thread each : writers) {
            each.join();
          }
          verify(connection, name);
          verifyCounters(connection, name);
          System.out.println("end");
          System.exit(0);
        } else if (word.equals("verify")) {
          verify(connection, name);
        }
      }
    }
    System.exit(1); // the parent has gone
  }

  private static Thread start(String name, Step work) {
    Thread thread = new Thread(() -> {
      try {
        work.run();
      } catch (Throwable error) {
        System.out.println("broken " + name + " " + error);
        error.printStackTrace();
      }
    }, name);
    thread.setDaemon(true);
    thread.start();
    return thread;
  }

  private static void count(String what, long more) {
    COUNTS.get(what).addAndGet(more);
  }

  private static Put row(Random chance, String before, List<String> names) {
    String name = String.format("%016x", chance.nextLong());
    names.add(name);
    return new Put(Bytes.toBytes(name)).addColumn(A, BEFORE, Bytes.toBytes(before)).addColumn(B, BEFORE, Bytes.toBytes(before))
      .addColumn(B, Bytes.toBytes("pad"), PAD);
  }

  private static void write(Connection connection, TableName name, int kind, Random chance) throws Exception {
    String before = "";
    try (Table table = connection.getTable(name)) {
      while (writing) {
        List<String> names = new ArrayList<>();
        List<Put> puts = new ArrayList<>();
        for (int index = 0; index < (kind == 1 || kind == 2 ? LIST : 1); index++) {
          puts.add(row(chance, before, names));
        }
        long began = System.nanoTime();
        try {
          if (kind == 0) {
            table.put(puts.get(0));
          } else if (kind == 1) {
            table.put(puts);
          } else if (kind == 2) {
            try (BufferedMutator mutator = connection.getBufferedMutator(name)) {
              mutator.mutate(puts);
              mutator.flush();
            }
          } else {
            // its answer may be no: then a first try was done whose answer was lost
            table.checkAndMutate(CheckAndMutate.newBuilder(puts.get(0).getRow()).ifNotExists(A, BEFORE).build(puts.get(0)));
          }
          ACKED.addAll(names);
          count("acked", names.size());
          before = names.get(chance.nextInt(names.size()));
        } catch (Exception error) {
          count("failed", 1);
          error.printStackTrace();
        }
        long took = (System.nanoTime() - began) / 1_000_000;
        COUNTS.get("slowest-ms").accumulateAndGet(took, Math::max);
      }
    }
  }

  private static void read(Connection connection, TableName name) throws Exception {
    Random chance = new Random(99);
    try (Table table = connection.getTable(name)) {
      while (running) {
        if (ACKED.isEmpty()) {
          Thread.sleep(10);
          continue;
        }
        String row = ACKED.get(chance.nextInt(ACKED.size()));
        try {
          if (!whole(table.get(new Get(Bytes.toBytes(row))))) {
            wrong("lost", row);
          }
          count("read", 1);
        } catch (Exception error) {
          count("failed-reads", 1);
          error.printStackTrace();
        }
      }
    }
  }

  /** An answer that got lost is asked for again by the client itself, under the same nonce. */
  private static void countUp(Connection connection, TableName name, byte[] row, AtomicLong[] done) throws Exception {
    try (Table table = connection.getTable(name)) {
      for (int turn = 0; writing; turn = 1 - turn) {
        try {
          if (turn == 0) {
            table.increment(new Increment(row).addColumn(A, NUMBER, 1).addColumn(B, NUMBER, 1));
          } else {
            table.append(new Append(row).addColumn(A, TEXT, X).addColumn(B, TEXT, X));
          }
          done[turn].incrementAndGet();
          count("counted", 1);
        } catch (Exception error) {
          count("failed", 1);
          error.printStackTrace();
        }
      }
    }
  }

  private static void verifyCounters(Connection connection, TableName name) throws Exception {
    try (Table table = connection.getTable(name)) {
      for (Map.Entry<byte[], AtomicLong[]> each : COUNTED.entrySet()) {
        Result row = table.get(new Get(each.getKey()));
        for (byte[] family : new byte[][] {A, B}) {
          byte[] number = row.getValue(family, NUMBER);
          byte[] text = row.getValue(family, TEXT);
          String found = (number == null ? 0 : Bytes.toLong(number)) + " and " + (text == null ? 0 : text.length);
          String expected = each.getValue()[0] + " and " + each.getValue()[1];
          if (!found.equals(expected)) {
            wrong("miscounted", Bytes.toString(each.getKey()) + ": " + found + ", acknowledged were " + expected);
          }
        }
      }
    }
  }

  private static boolean whole(Result row) {
    byte[] first = row.getValue(A, BEFORE);
    byte[] second = row.getValue(B, BEFORE);
    if ((first == null) != (second == null) || first != null && !Bytes.equals(first, second)) {
      wrong("torn", row.toString());
    }
    return first != null;
  }

  private static void wrong(String kind, String what) {
    count(kind, 1);
    System.out.println("wrong " + kind + " " + what);
  }

  private static void scan(Connection connection, TableName name) throws Exception {
    Random chance = new Random(98);
    try (Table table = connection.getTable(name)) {
      while (running) {
        Set<String> expected = new HashSet<>();
        for (int index = 0; index < 200 && !ACKED.isEmpty(); index++) {
          expected.add(ACKED.get(chance.nextInt(ACKED.size())));
        }
        try (ResultScanner scanner = table.getScanner(new Scan())) {
          String last = "";
          for (Result each : scanner) {
            whole(each);
            String row = Bytes.toString(each.getRow());
            if (row.compareTo(last) <= 0) {
              wrong("disorder", last + " then " + row);
            }
            last = row;
            expected.remove(row);
          }
          expected.forEach(row -> wrong("lost", row + " in a scan"));
          count("scans", 1);
        } catch (Exception error) {
          count("failed-reads", 1);
          error.printStackTrace();
        }
        Thread.sleep(200);
      }
    }
  }

  private static void move(Connection connection, TableName name, long pause) throws Exception {
    Random chance = new Random(97);
    while (writing) {
      Thread.sleep(pause);
      try (Admin admin = connection.getAdmin()) {
        List<RegionInfo> regions = admin.getRegions(name);
        List<ServerName> servers = new ArrayList<>(admin.getRegionServers());
        admin.move(regions.get(chance.nextInt(regions.size())).getEncodedNameAsBytes(), servers.get(chance.nextInt(servers.size())));
        count("moves", 1);
      } catch (Exception error) { // a server that has just died, a master that has gone
        count("failed-moves", 1);
        error.printStackTrace();
      }
    }
  }

  private static void verify(Connection connection, TableName name) throws Exception {
    List<String> acked;
    synchronized (ACKED) {
      acked = new ArrayList<>(ACKED);
    }
    Map<String, String> rows = new HashMap<>();
    try (Table table = connection.getTable(name); ResultScanner scanner = table.getScanner(new Scan())) {
      for (Result each : scanner) {
        if (whole(each)) {
          rows.put(Bytes.toString(each.getRow()), Bytes.toString(each.getValue(A, BEFORE)));
        }
      }
    }
    acked.stream().filter(row -> !rows.containsKey(row)).forEach(row -> wrong("lost", row));
    rows.values().stream().filter(before -> !before.isEmpty() && !rows.containsKey(before)).forEach(before -> wrong("holes", before));
    System.out.println("verified rows=" + rows.size() + " " + numbers());
  }

  private static String numbers() {
    StringBuilder line = new StringBuilder();
    COUNTS.forEach((key, value) -> line.append(line.length() == 0 ? "" : " ").append(key).append('=').append(value.get()));
    return line.toString();
  }

  private static void progress() throws Exception {
    while (running) {
      Thread.sleep(500);
      System.out.println("progress " + numbers());
    }
  }
}
