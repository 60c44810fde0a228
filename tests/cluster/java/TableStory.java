import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.CompareOperator;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.Admin;
import org.apache.hadoop.hbase.client.Append;
import org.apache.hadoop.hbase.client.CheckAndMutate;
import org.apache.hadoop.hbase.client.CheckAndMutateResult;
import org.apache.hadoop.hbase.client.ColumnFamilyDescriptorBuilder;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.Delete;
import org.apache.hadoop.hbase.client.Durability;
import org.apache.hadoop.hbase.client.Get;
import org.apache.hadoop.hbase.client.Increment;
import org.apache.hadoop.hbase.client.Mutation;
import org.apache.hadoop.hbase.client.Put;
import org.apache.hadoop.hbase.client.Result;
import org.apache.hadoop.hbase.client.Row;
import org.apache.hadoop.hbase.client.RowMutations;
import org.apache.hadoop.hbase.client.Table;
import org.apache.hadoop.hbase.client.TableDescriptorBuilder;
import org.apache.hadoop.hbase.util.Bytes;

/** Single rows and batches through the synchronous Table of hbase-client 2.4 and later. */
public final class TableStory implements Story.Teller {
  private static final byte[] A = b("a");
  private static final byte[] B = b("b");
  private static final byte[] Q = b("q");
  private static final byte[] NO_FAMILY = b("nofamily");

  private Table table;

  static byte[] b(String text) {
    return Story.b(text);
  }

  /** Four regions, split at g, n and t; family a keeps three versions, b one. */
  static void create(Connection connection, String name) throws Exception {
    try (Admin admin = connection.getAdmin()) {
      admin.createTable(TableDescriptorBuilder.newBuilder(TableName.valueOf(name))
        .setColumnFamily(ColumnFamilyDescriptorBuilder.newBuilder(A).setMaxVersions(3).build())
        .setColumnFamily(ColumnFamilyDescriptorBuilder.of(B)).build(), new byte[][] {b("g"), b("n"), b("t")});
    }
  }

  static void drop(Connection connection, String name) throws Exception {
    try (Admin admin = connection.getAdmin()) {
      admin.disableTable(TableName.valueOf(name));
      admin.deleteTable(TableName.valueOf(name));
    }
  }

  @Override
  public void tell(Connection connection, Configuration configuration) throws Exception {
    Story.done("create", "table with three splits", () -> create(connection, "story"));
    table = connection.getTable(TableName.valueOf("story"));
    puts();
    gets();
    deletes();
    appends();
    increments();
    conditions();
    conditionsOnRows();
    rowMutations();
    batches();
    large(connection, configuration);
    table.close();
    Story.done("deleteTable", "the table of this story", () -> TableStory.drop(connection, "story"));
  }

  private String all(String row) throws Exception {
    return Story.text(table.get(new Get(b(row)).readAllVersions()));
  }

  private void puts() {
    Story.done("put", "three versions, newest last", () -> {
      for (long moment = 1; moment <= 3; moment++) {
        table.put(new Put(b("put")).addColumn(A, Q, moment, b("v" + moment)));
      }
    });
    Story.step("put", "versions as read", () -> all("put"));
    Story.done("put", "a fourth and an old version", () -> {
      table.put(new Put(b("put")).addColumn(A, Q, 5, b("v5")));
      table.put(new Put(b("put")).addColumn(A, Q, 4, b("v4")));
    });
    Story.step("put", "three are kept", () -> all("put"));
    Story.done("put", "the same time again", () -> table.put(new Put(b("put")).addColumn(A, Q, 5, b("V5"))));
    Story.step("put", "the later write stands", () -> all("put"));
    Story.done("put", "two families, several qualifiers", () -> table.put(new Put(b("wide")).addColumn(A, b("q1"), 1, b("1"))
      .addColumn(A, b("q2"), 2, b("2")).addColumn(B, b("q3"), 3, b("3")).addColumn(A, b(""), 4, b("no name"))
      .addColumn(B, b("empty"), 5, b(""))));
    Story.step("put", "they are all there", () -> all("wide"));
    Story.done("put", "the server's time", () -> table.put(new Put(b("timed")).addColumn(A, Q, b("v"))));
    Story.step("put", "which is its own", () -> all("timed"));
    for (Durability durability : Durability.values()) {
      Story.step("put", "durability " + durability, () -> {
        table.put(new Put(b("durable")).addColumn(A, b(durability.name()), 1, b("v")).setDurability(durability));
        return table.get(new Get(b("durable")).addColumn(A, b(durability.name())));
      });
    }
    Story.step("put", "a row key of all kinds of bytes", () -> {
      byte[] row = b("\\x00\\x01\\x7F\\x80\\xFF,\\x00");
      table.put(new Put(row).addColumn(A, b("\\xFF\\x00"), 1, b("\\x00\\xFF")));
      return table.get(new Get(row));
    });
    Story.step("put", "a list over all regions", () -> {
      List<Put> puts = new ArrayList<>();
      for (String row : Arrays.asList("d1", "j1", "p1", "z1")) {
        puts.add(new Put(b(row)).addColumn(A, Q, 1, b(row)));
      }
      table.put(puts);
      return Arrays.asList(all("d1"), all("j1"), all("p1"), all("z1"));
    });
    Story.done("put", "an unknown family", () -> table.put(new Put(b("put")).addColumn(NO_FAMILY, Q, 1, b("v"))));
    Story.step("put", "a list with an unknown family in it", () -> {
      table.put(Arrays.asList(new Put(b("half1")).addColumn(A, Q, 1, b("v")),
        new Put(b("half2")).addColumn(NO_FAMILY, Q, 1, b("v"))));
      return "";
    });
    Story.step("put", "its good part", () -> all("half1"));
    Story.step("put", "a cell with a life of a second", () -> {
      boolean before;
      long begunNs;
      do { // again where a machine that stalls has let it die before it was looked for
        begunNs = System.nanoTime();
        table.put(new Put(b("mortal")).addColumn(A, Q, b("v")).setTTL(1000));
        before = table.exists(new Get(b("mortal")));
      } while (!before && System.nanoTime() - begunNs > 900_000_000L);
      Thread.sleep(1200);
      return before + " " + table.exists(new Get(b("mortal")));
    });
    Story.done("put", "the longest row key", () -> table.put(new Put(Story.pattern(32767, 1)).addColumn(A, Q, 1, b("v"))));
    Story.step("put", "the longest row key is read", () -> table.get(new Get(Story.pattern(32767, 1))).value());
  }

  private void gets() {
    Story.step("get", "a column", () -> table.get(new Get(b("wide")).addColumn(A, b("q2"))));
    Story.step("get", "columns of two families", () -> table.get(new Get(b("wide")).addColumn(B, b("q3")).addColumn(A, b("q1"))));
    Story.step("get", "a family", () -> table.get(new Get(b("wide")).addFamily(B)));
    Story.step("get", "a family and a column of another", () -> table.get(new Get(b("wide")).addFamily(B).addColumn(A, b("q1"))));
    Story.step("get", "the empty qualifier", () -> table.get(new Get(b("wide")).addColumn(A, b(""))));
    Story.step("get", "a column that is not there", () -> table.get(new Get(b("wide")).addColumn(A, b("none"))));
    Story.step("get", "a row that is not there", () -> table.get(new Get(b("nobody"))));
    Story.step("get", "an unknown family", () -> table.get(new Get(b("wide")).addFamily(NO_FAMILY)));
    Story.step("get", "two versions", () -> table.get(new Get(b("put")).readVersions(2)));
    Story.step("get", "one time", () -> table.get(new Get(b("put")).setTimestamp(4).readAllVersions()));
    Story.step("get", "a range of times", () -> table.get(new Get(b("put")).setTimeRange(3, 5).readAllVersions()));
    Story.step("get", "a range of times, newest in it", () -> table.get(new Get(b("put")).setTimeRange(1, 5)));
    Story.step("get", "a range of times without cells", () -> table.get(new Get(b("put")).setTimeRange(100, 200)));
    Story.step("get", "a range of times of one family",
      () -> table.get(new Get(b("wide")).setColumnFamilyTimeRange(A, 1, 3)));
    Story.step("get", "at most two of a family", () -> table.get(new Get(b("wide")).setMaxResultsPerColumnFamily(2)));
    Story.step("get", "all but the first of a family", () -> table.get(new Get(b("wide")).setRowOffsetPerColumnFamily(1)));
    Story.step("get", "one after the first of a family",
      () -> table.get(new Get(b("wide")).setRowOffsetPerColumnFamily(1).setMaxResultsPerColumnFamily(1)));
    Story.step("get", "exists", () -> table.exists(new Get(b("wide"))) + " " + table.exists(new Get(b("nobody"))) + " "
      + table.exists(new Get(b("wide")).addColumn(A, b("none"))));
    Story.step("get", "exists, of a list", () -> table.exists(Arrays.asList(new Get(b("wide")), new Get(b("x")), new Get(b("put")))));
    Story.step("get", "existence as a result", () -> table.get(new Get(b("wide")).setCheckExistenceOnly(true)));
    Story.step("get", "a list over all regions",
      () -> table.get(Arrays.asList(new Get(b("z1")), new Get(b("d1")), new Get(b("nobody")), new Get(b("p1")), new Get(b("j1")))));
    Story.step("get", "a list with an unknown family in it",
      () -> table.get(Arrays.asList(new Get(b("z1")), new Get(b("d1")).addFamily(NO_FAMILY))));
    Story.step("get", "without filling the cache", () -> table.get(new Get(b("d1")).setCacheBlocks(false)));
    Story.step("get", "an attribute nobody knows", () -> {
      Get get = new Get(b("d1"));
      get.setAttribute("some.attribute", b("value"));
      get.setPriority(100);
      return table.get(get);
    });
  }

  private void fill(String row) throws Exception {
    List<Put> puts = new ArrayList<>();
    for (long moment = 1; moment <= 3; moment++) {
      puts.add(new Put(b(row)).addColumn(A, Q, moment, b("q" + moment)).addColumn(A, b("r"), moment, b("r" + moment))
        .addColumn(B, Q, moment, b("b" + moment)));
    }
    table.put(puts);
  }

  private void deletes() {
    String[] names = {"one version", "newest version", "all versions", "all versions up to a time", "family",
      "family up to a time", "one version of a family", "row", "row up to a time", "several at once", "nothing that is there"};
    Delete[] deletes = {new Delete(b("del0")).addColumn(A, Q, 2), new Delete(b("del1")).addColumn(A, Q),
      new Delete(b("del2")).addColumns(A, Q), new Delete(b("del3")).addColumns(A, Q, 2), new Delete(b("del4")).addFamily(A),
      new Delete(b("del5")).addFamily(A, 2), new Delete(b("del6")).addFamilyVersion(A, 2), new Delete(b("del7")),
      new Delete(b("del8"), 2), new Delete(b("del9")).addColumn(A, Q, 3).addColumns(A, b("r"), 2).addFamily(B),
      new Delete(b("del10")).addColumn(A, b("none"), 1)};
    for (int index = 0; index < deletes.length; index++) {
      Delete delete = deletes[index];
      String row = "del" + index;
      Story.step("delete", names[index], () -> {
        fill(row);
        table.delete(delete);
        return all(row);
      });
    }
    Story.step("delete", "a put older than the marker stays hidden", () -> {
      fill("del11");
      table.delete(new Delete(b("del11")).addColumns(A, Q, 10));
      table.put(new Put(b("del11")).addColumn(A, Q, 9, b("late")));
      String hidden = all("del11");
      table.put(new Put(b("del11")).addColumn(A, Q, 11, b("later")));
      return hidden + " then " + all("del11");
    });
    Story.step("delete", "a list over all regions", () -> {
      List<Delete> list = new ArrayList<>(Arrays.asList(new Delete(b("d1")), new Delete(b("j1")), new Delete(b("z1"))));
      table.delete(list);
      return list.size() + " left, " + all("d1") + all("j1") + all("z1") + all("p1");
    });
    Story.done("delete", "an unknown family", () -> table.delete(new Delete(b("p1")).addFamily(NO_FAMILY)));
    Story.step("delete", "a row that is not there", () -> {
      table.delete(new Delete(b("nobody")));
      return all("nobody");
    });
  }

  private void appends() {
    Story.step("append", "to nothing", () -> table.append(new Append(b("app")).addColumn(A, Q, b("one"))));
    Story.step("append", "to a value", () -> table.append(new Append(b("app")).addColumn(A, Q, b(",two"))));
    Story.step("append", "to several columns of two families", () -> table
      .append(new Append(b("app")).addColumn(A, Q, b(",three")).addColumn(A, b("r"), b("r")).addColumn(B, Q, b("b"))));
    Story.step("append", "without results", () -> table.append(new Append(b("app")).addColumn(A, Q, b(",four")).setReturnResults(false)));
    Story.step("append", "what is there", () -> table.get(new Get(b("app"))));
    Story.step("append", "to what lies in a range of times", () -> {
      table.put(new Put(b("app2")).addColumn(A, Q, 10, b("old")));
      return table.append(new Append(b("app2")).setTimeRange(100, 200).addColumn(A, Q, b("new")));
    });
    Story.step("append", "an unknown family", () -> table.append(new Append(b("app")).addColumn(NO_FAMILY, Q, b("x"))));
  }

  private void increments() {
    Story.step("increment", "nothing", () -> table.increment(new Increment(b("inc")).addColumn(A, Q, 5)));
    Story.step("increment", "a number", () -> table.increment(new Increment(b("inc")).addColumn(A, Q, -7)));
    Story.step("increment", "several columns of two families", () -> table
      .increment(new Increment(b("inc")).addColumn(A, Q, 1).addColumn(A, b("r"), 10).addColumn(B, Q, 0)));
    Story.step("increment", "by the call for one column", () -> table.incrementColumnValue(b("inc"), A, Q, 41)
      + " " + table.incrementColumnValue(b("inc"), A, Q, 2, Durability.SKIP_WAL));
    Story.step("increment", "over the end of the numbers", () -> {
      table.incrementColumnValue(b("inc2"), A, Q, Long.MAX_VALUE);
      return table.incrementColumnValue(b("inc2"), A, Q, 1);
    });
    Story.step("increment", "without results",
      () -> table.increment(new Increment(b("inc")).addColumn(A, Q, 1).setReturnResults(false)));
    Story.step("increment", "what is there", () -> table.get(new Get(b("inc"))));
    Story.step("increment", "what is no number", () -> {
      table.put(new Put(b("inc3")).addColumn(A, Q, 1, b("text")));
      return table.increment(new Increment(b("inc3")).addColumn(A, Q, 1));
    });
    Story.step("increment", "what lies in a range of times", () -> {
      table.put(new Put(b("inc4")).addColumn(A, Q, 10, Bytes.toBytes(100L)));
      return table.increment(new Increment(b("inc4")).setTimeRange(100, 200).addColumn(A, Q, 1));
    });
    Story.step("increment", "an unknown family", () -> table.increment(new Increment(b("inc")).addColumn(NO_FAMILY, Q, 1)));
  }

  private Put marked(String row, String value) throws Exception {
    return new Put(b(row)).addColumn(A, b("mark"), 1, b(value));
  }

  private void conditions() {
    Story.step("checkAndMutate", "not there", () -> check(CheckAndMutate.newBuilder(b("cas")).ifNotExists(A, Q)
      .build(new Put(b("cas")).addColumn(A, Q, 1, b("m")))));
    Story.step("checkAndMutate", "not there any more", () -> check(CheckAndMutate.newBuilder(b("cas")).ifNotExists(A, Q)
      .build(new Put(b("cas")).addColumn(A, Q, 2, b("n")))));
    Story.step("checkAndMutate", "equal, put", () -> check(CheckAndMutate.newBuilder(b("cas")).ifEquals(A, Q, b("m"))
      .build(marked("cas", "equal"))));
    Story.step("checkAndMutate", "equal no more, put", () -> check(CheckAndMutate.newBuilder(b("cas")).ifEquals(A, Q, b("x"))
      .build(marked("cas", "wrong"))));
    for (CompareOperator operator : CompareOperator.values()) {
      if (operator == CompareOperator.NO_OP) {
        continue;
      }
      for (String value : Arrays.asList("l", "m", "n", "")) {
        Story.step("checkAndMutate", operator + " '" + value + "' beside 'm'", () -> check(CheckAndMutate.newBuilder(b("cas"))
          .ifMatches(A, Q, operator, b(value)).build(marked("cas", operator + value))));
      }
      Story.step("checkAndMutate", operator + " beside nothing", () -> check(CheckAndMutate.newBuilder(b("cas"))
        .ifMatches(A, b("none"), operator, b("m")).build(marked("cas", "none"))));
    }
    Story.step("checkAndMutate", "what the last one left", () -> all("cas"));
    Story.step("checkAndMutate", "an empty value is there", () -> {
      table.put(new Put(b("cas2")).addColumn(A, Q, 1, b("")));
      return check(CheckAndMutate.newBuilder(b("cas2")).ifNotExists(A, Q).build(marked("cas2", "x"))) + " "
        + check(CheckAndMutate.newBuilder(b("cas2")).ifEquals(A, Q, b("")).build(marked("cas2", "x")));
    });
    Story.step("checkAndMutate", "delete", () -> check(CheckAndMutate.newBuilder(b("cas")).ifEquals(A, Q, b("m"))
      .build(new Delete(b("cas")).addColumns(A, b("mark")))) + " " + all("cas"));
    Story.step("checkAndMutate", "append", () -> check(CheckAndMutate.newBuilder(b("cas")).ifEquals(A, Q, b("m"))
      .build(new Append(b("cas")).addColumn(B, Q, b("appended")))));
    Story.step("checkAndMutate", "increment", () -> check(CheckAndMutate.newBuilder(b("cas")).ifEquals(A, Q, b("m"))
      .build(new Increment(b("cas")).addColumn(B, b("n"), 3))));
    Story.step("checkAndMutate", "increment that does not match", () -> check(CheckAndMutate.newBuilder(b("cas"))
      .ifEquals(A, Q, b("x")).build(new Increment(b("cas")).addColumn(B, b("n"), 3))));
    Story.step("checkAndMutate", "in a range of times", () -> {
      table.put(new Put(b("cas3")).addColumn(A, Q, 1, b("old")));
      table.put(new Put(b("cas3")).addColumn(A, Q, 10, b("new")));
      org.apache.hadoop.hbase.io.TimeRange range = org.apache.hadoop.hbase.io.TimeRange.between(0, 5);
      return check(CheckAndMutate.newBuilder(b("cas3")).ifEquals(A, Q, b("old")).timeRange(range).build(marked("cas3", "1"))) + " "
        + check(CheckAndMutate.newBuilder(b("cas3")).ifEquals(A, Q, b("new")).timeRange(range).build(marked("cas3", "2"))) + " "
        + check(CheckAndMutate.newBuilder(b("cas3")).ifEquals(A, Q, b("old")).build(marked("cas3", "3")));
    });
    Story.step("checkAndMutate", "a put at the server's time after a cell of the future", () -> {
      table.put(new Put(b("cas4")).addColumn(A, Q, 9_000_000_000_000L, b("future")));
      return check(CheckAndMutate.newBuilder(b("cas4")).ifEquals(A, Q, b("future")).build(new Put(b("cas4")).addColumn(A, Q, b("v"))))
        + " " + Story.text(table.get(new Get(b("cas4"))));
    });
    Story.step("checkAndMutate", "an unknown family to look at", () -> check(CheckAndMutate.newBuilder(b("cas"))
      .ifEquals(NO_FAMILY, Q, b("x")).build(marked("cas", "x"))));
    Story.step("checkAndMutate", "an unknown family to write", () -> check(CheckAndMutate.newBuilder(b("cas"))
      .ifEquals(A, Q, b("m")).build(new Put(b("cas")).addColumn(NO_FAMILY, Q, b("x")))));
    Story.step("checkAndMutate", "a list over regions", () -> {
      List<CheckAndMutate> list = new ArrayList<>();
      for (String row : Arrays.asList("cas", "jcas", "zcas")) {
        list.add(CheckAndMutate.newBuilder(b(row)).ifNotExists(A, Q).build(marked(row, "list")));
      }
      List<String> results = new ArrayList<>();
      for (CheckAndMutateResult each : table.checkAndMutate(list)) {
        results.add(String.valueOf(each.isSuccess()));
      }
      return results;
    });
  }

  private String check(CheckAndMutate what) throws Exception {
    CheckAndMutateResult result = table.checkAndMutate(what);
    return result.isSuccess() + (result.getResult() == null ? "" : " " + Story.text(result.getResult()));
  }

  private static RowMutations rows(String row, Mutation... mutations) throws Exception {
    RowMutations all = new RowMutations(b(row));
    all.add(Arrays.asList(mutations));
    return all;
  }

  private void conditionsOnRows() {
    Story.step("checkAndMutate of RowMutations", "matches", () -> {
      table.put(new Put(b("casr")).addColumn(A, Q, 1, b("v")).addColumn(A, b("gone"), 1, b("v")));
      return check(CheckAndMutate.newBuilder(b("casr")).ifEquals(A, Q, b("v")).build(rows("casr",
        new Put(b("casr")).addColumn(A, b("p"), 2, b("put")), new Delete(b("casr")).addColumns(A, b("gone"))))) + " " + all("casr");
    });
    Story.step("checkAndMutate of RowMutations", "does not match", () -> check(CheckAndMutate.newBuilder(b("casr"))
      .ifEquals(A, Q, b("w")).build(rows("casr", new Delete(b("casr"))))) + " " + all("casr"));
    Story.step("checkAndMutate of RowMutations", "with increment and append", () -> check(CheckAndMutate.newBuilder(b("casr"))
      .ifEquals(A, Q, b("v")).build(rows("casr", new Increment(b("casr")).addColumn(B, b("n"), 2),
        new Append(b("casr")).addColumn(B, b("s"), b("x")), new Put(b("casr")).addColumn(A, b("p"), 3, b("again"))))));
    Story.step("checkAndMutate of RowMutations", "an unknown family", () -> check(CheckAndMutate.newBuilder(b("casr"))
      .ifEquals(A, Q, b("v")).build(rows("casr", new Put(b("casr")).addColumn(A, b("half"), 1, b("x")),
        new Put(b("casr")).addColumn(NO_FAMILY, Q, b("x"))))));
    Story.step("checkAndMutate of RowMutations", "nothing of it was done", () -> table.exists(new Get(b("casr")).addColumn(A, b("half"))));
  }

  private void rowMutations() {
    Story.step("mutateRow", "put and delete", () -> {
      fill("mut");
      Result result = table.mutateRow(rows("mut", new Put(b("mut")).addColumn(A, b("new"), 9, b("v")),
        new Delete(b("mut")).addFamily(B), new Delete(b("mut")).addColumn(A, Q, 3)));
      return Story.text(result) + " " + all("mut");
    });
    Story.step("mutateRow", "increment and append", () -> table.mutateRow(rows("mut",
      new Increment(b("mut")).addColumn(B, b("n"), 4), new Append(b("mut")).addColumn(B, b("s"), b("t")))));
    Story.step("mutateRow", "all or nothing", () -> table.mutateRow(rows("mut", new Put(b("mut")).addColumn(A, b("half"), 1, b("x")),
      new Put(b("mut")).addColumn(NO_FAMILY, Q, b("x")))));
    Story.step("mutateRow", "it was nothing", () -> table.exists(new Get(b("mut")).addColumn(A, b("half"))));
  }

  private void batches() {
    Story.step("batch", "all kinds over all regions", () -> {
      fill("batch");
      fill("jbatch");
      table.put(new Put(b("zbatch")).addColumn(A, Q, 1, Bytes.toBytes(7L)));
      List<Row> rows = Arrays.asList(new Get(b("batch")), new Put(b("pbatch")).addColumn(A, Q, 1, b("v")),
        new Delete(b("jbatch")).addFamily(A), new Increment(b("zbatch")).addColumn(A, Q, 1), new Get(b("nobody")),
        new Append(b("pbatch2")).addColumn(A, Q, b("x")),
        rows("kbatch", new Put(b("kbatch")).addColumn(A, Q, 1, b("k")), new Put(b("kbatch")).addColumn(B, Q, 1, b("k"))),
        new Get(b("jbatch3")).setCheckExistenceOnly(true));
      Object[] results = new Object[rows.size()];
      table.batch(rows, results);
      return results;
    });
    Story.step("batch", "what it left", () -> Arrays.asList(all("jbatch"), all("pbatch"), all("kbatch")));
    Story.step("batch", "errors of single actions", () -> {
      List<Row> rows = Arrays.asList(new Get(b("batch")).addColumn(A, Q), new Put(b("batch")).addColumn(NO_FAMILY, Q, b("v")),
        new Put(b("jbatch")).addColumn(A, b("good"), 1, b("v")), new Increment(b("inc3")).addColumn(A, Q, 1),
        new Get(b("zbatch")).addFamily(NO_FAMILY), new Put(b("zbatch")).addColumn(A, b("good"), 1, b("v")));
      Object[] results = new Object[rows.size()];
      try {
        table.batch(rows, results);
        return "no error";
      } catch (Exception error) {
        return Arrays.asList(error.getClass().getSimpleName(), results);
      }
    });
    Story.step("batch", "the good ones were done",
      () -> table.exists(Arrays.asList(new Get(b("jbatch")).addColumn(A, b("good")), new Get(b("zbatch")).addColumn(A, b("good")))));
    Story.step("batch", "a callback for each", () -> {
      List<Row> rows = Arrays.asList(new Get(b("zbatch")).addColumn(A, b("good")), new Get(b("jbatch")).addColumn(A, b("good")));
      List<String> called = Collections.synchronizedList(new ArrayList<>());
      table.batchCallback(rows, new Object[2], (region, row, result) -> called.add(Bytes.toString(row)));
      Collections.sort(called);
      return called;
    });
    Story.step("batch", "conditions among others", () -> {
      List<Row> rows = Arrays.asList(CheckAndMutate.newBuilder(b("cas")).ifEquals(A, Q, b("m")).build(marked("cas", "batch")),
        new Get(b("zbatch")).addColumn(A, b("good")),
        CheckAndMutate.newBuilder(b("cas")).ifEquals(A, Q, b("x")).build(marked("cas", "batch2")));
      Object[] results = new Object[3];
      table.batch(rows, results);
      return Arrays.asList(((CheckAndMutateResult) results[0]).isSuccess(), results[1], ((CheckAndMutateResult) results[2]).isSuccess());
    });
    Story.step("batch", "two thousand puts, then gets", () -> {
      List<Row> puts = new ArrayList<>();
      List<Row> gets = new ArrayList<>();
      for (int index = 0; index < 2000; index++) {
        byte[] row = b(String.format("%c%06d", 'a' + index % 26, index));
        puts.add(new Put(row).addColumn(B, Q, 1, Bytes.toBytes(index)));
        gets.add(new Get(row));
      }
      Object[] results = new Object[2000];
      table.batch(puts, results);
      table.batch(gets, results);
      int right = 0;
      for (int index = 0; index < 2000; index++) {
        right += Bytes.toInt(((Result) results[index]).value()) == index ? 1 : 0;
      }
      return right;
    });
  }

  private void large(Connection connection, Configuration configuration) throws Exception {
    int limit = 10 * 1024 * 1024;
    byte[] row = b("large");
    Story.done("large cells", "put ten megabytes", () -> table.put(new Put(row).addColumn(B, Q, 1, Story.pattern(limit - 100, 2))));
    Story.step("large cells", "get them", () -> table.get(new Get(row)));
    Story.done("large cells", "more than the client allows", () -> table.put(new Put(row).addColumn(B, Q, 1, new byte[limit])));
    Configuration generous = new Configuration(configuration);
    generous.set("hbase.client.keyvalue.maxsize", "0");
    try (Connection other = org.apache.hadoop.hbase.client.ConnectionFactory.createConnection(generous);
        Table generously = other.getTable(table.getName())) {
      Story.done("large cells", "more than the server allows", () -> generously.put(new Put(row).addColumn(B, Q, 2, new byte[limit])));
      Story.step("large cells", "append beyond it", () -> generously.append(new Append(row).addColumn(B, Q, new byte[1000])).size());
    }
    Story.done("huge rows", "fifty thousand columns", () -> {
      for (int from = 0; from < 50_000; from += 5_000) {
        Put put = new Put(b("huge"));
        for (int column = from; column < from + 5_000; column++) {
          put.addColumn(B, Bytes.toBytes(column), 1, Bytes.toBytes(column * 7));
        }
        table.put(put);
      }
    });
    Story.step("huge rows", "all of it", () -> {
      Result result = table.get(new Get(b("huge")));
      int right = 0;
      for (int column = 0; column < 50_000; column++) {
        right += Bytes.toInt(result.getValue(B, Bytes.toBytes(column))) == column * 7 ? 1 : 0;
      }
      return result.size() + " cells, " + right + " right";
    });
    Story.step("huge rows", "one column, then a page",
      () -> Arrays.asList(table.get(new Get(b("huge")).addColumn(B, Bytes.toBytes(33_333))),
        table.get(new Get(b("huge")).setRowOffsetPerColumnFamily(49_998).setMaxResultsPerColumnFamily(10))));
    Story.step("huge rows", "change one column", () -> {
      table.put(new Put(b("huge")).addColumn(B, Bytes.toBytes(777), 2, b("changed")));
      return Arrays.asList(table.get(new Get(b("huge")).addColumn(B, Bytes.toBytes(777))), table.get(new Get(b("huge"))).size());
    });
    Story.step("huge rows", "delete them", () -> {
      table.delete(new ArrayList<>(Arrays.asList(new Delete(b("huge")), new Delete(row))));
      return all("huge") + all("large");
    });
  }
}
