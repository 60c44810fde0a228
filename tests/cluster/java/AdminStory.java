import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.ClusterMetrics;
import org.apache.hadoop.hbase.HRegionLocation;
import org.apache.hadoop.hbase.NamespaceDescriptor;
import org.apache.hadoop.hbase.ServerName;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.Admin;
import org.apache.hadoop.hbase.client.ColumnFamilyDescriptor;
import org.apache.hadoop.hbase.client.ColumnFamilyDescriptorBuilder;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.Get;
import org.apache.hadoop.hbase.client.Put;
import org.apache.hadoop.hbase.client.RegionInfo;
import org.apache.hadoop.hbase.client.RegionLocator;
import org.apache.hadoop.hbase.client.Result;
import org.apache.hadoop.hbase.client.ResultScanner;
import org.apache.hadoop.hbase.client.Scan;
import org.apache.hadoop.hbase.client.Table;
import org.apache.hadoop.hbase.client.TableDescriptor;
import org.apache.hadoop.hbase.client.TableDescriptorBuilder;
import org.apache.hadoop.hbase.util.Bytes;

/** Tables, namespaces, regions and the cluster's own word, through the synchronous Admin of hbase-client 2.4 and later. */
public final class AdminStory implements Story.Teller {
  private static final TableName NAME = TableName.valueOf("adm");
  private static final TableName NOBODY = TableName.valueOf("nobody");
  private static final byte[] A = b("a");
  private static final byte[] Q = b("q");

  private Connection connection;
  private Admin admin;

  static byte[] b(String text) {
    return Story.b(text);
  }

  @Override
  public void tell(Connection given, Configuration configuration) throws Exception {
    connection = given;
    admin = given.getAdmin();
    creations();
    names();
    alterations();
    states();
    truncations();
    namespaces();
    regions();
    metaRows();
    cluster();
    deletions();
    admin.close();
  }

  private static TableDescriptor descriptor(TableName name, String... families) {
    TableDescriptorBuilder builder = TableDescriptorBuilder.newBuilder(name);
    for (String family : families) {
      builder.setColumnFamily(ColumnFamilyDescriptorBuilder.of(family));
    }
    return builder.build();
  }

  private String described(TableName name) throws Exception {
    TableDescriptor table = admin.getDescriptor(name);
    Map<String, String> values = new TreeMap<>();
    table.getValues().forEach((key, value) -> values.put(key.toString(), value.toString()));
    List<String> families = new ArrayList<>();
    for (ColumnFamilyDescriptor family : table.getColumnFamilies()) {
      Map<String, String> attributes = new TreeMap<>();
      family.getValues().forEach((key, value) -> attributes.put(key.toString(), value.toString()));
      families.add(family.getNameAsString() + attributes);
    }
    return table.getTableName() + " " + values + " " + families;
  }

  private String starts(TableName name) throws Exception {
    List<String> starts = new ArrayList<>();
    for (RegionInfo region : admin.getRegions(name)) {
      starts.add(Bytes.toStringBinary(region.getStartKey()) + "-" + Bytes.toStringBinary(region.getEndKey()));
    }
    return starts.toString();
  }

  private void creations() {
    Story.step("createTable", "with splits", () -> {
      admin.createTable(descriptor(NAME, "a", "b"), new byte[][] {b("g"), b("n")});
      return starts(NAME);
    });
    Story.step("createTable", "it is there", () -> admin.tableExists(NAME) + " " + admin.isTableEnabled(NAME) + " "
      + admin.isTableDisabled(NAME) + " " + admin.isTableAvailable(NAME));
    Story.step("createTable", "evenly split", () -> {
      admin.createTable(descriptor(TableName.valueOf("even"), "a"), b("10"), b("90"), 5);
      return starts(TableName.valueOf("even"));
    });
    Story.step("createTable", "one region, all attributes", () -> {
      TableName name = TableName.valueOf("full");
      admin.createTable(TableDescriptorBuilder.newBuilder(name).setMaxFileSize(1L << 33).setReadOnly(false)
        .setValue("own.key", "own value").setDurability(org.apache.hadoop.hbase.client.Durability.SYNC_WAL)
        .setColumnFamily(ColumnFamilyDescriptorBuilder.newBuilder(A).setMaxVersions(7).setMinVersions(2).setTimeToLive(3600)
          .setBlocksize(8192).setInMemory(true).setKeepDeletedCells(org.apache.hadoop.hbase.KeepDeletedCells.TTL)
          .setConfiguration("family.key", "family value").build()).build());
      return described(name);
    });
    Story.done("createTable", "again", () -> admin.createTable(descriptor(NAME, "a")));
    Story.done("createTable", "without families", () -> admin.createTable(descriptor(NOBODY)));
    Story.done("createTable", "the same split twice", () -> admin.createTable(descriptor(NOBODY, "a"), new byte[][] {b("g"), b("g")}));
    Story.done("createTable", "in a namespace nobody made", () -> admin.createTable(descriptor(TableName.valueOf("nons:x"), "a")));
    Story.done("createTable", "versions below one", () -> admin.createTable(TableDescriptorBuilder.newBuilder(NOBODY)
      .setColumnFamily(ColumnFamilyDescriptorBuilder.newBuilder(A).setMinVersions(5).setMaxVersions(2).build()).build()));
    Story.done("createTable", "in the future", () -> admin.createTableAsync(descriptor(TableName.valueOf("later"), "a"), new byte[][] {b("m")})
      .get(30, TimeUnit.SECONDS));
  }

  private void names() {
    Story.step("list", "all tables", () -> sorted(Arrays.asList(admin.listTableNames())));
    Story.step("list", "by pattern", () -> sorted(Arrays.asList(admin.listTableNames(Pattern.compile("(adm|ev.*)")))));
    Story.step("list", "with those of the system", () -> sorted(Arrays.asList(admin.listTableNames(Pattern.compile(".*meta"), true))));
    Story.step("list", "of a namespace", () -> sorted(Arrays.asList(admin.listTableNamesByNamespace("default"))));
    Story.step("list", "descriptors by pattern", () -> {
      List<TableName> found = new ArrayList<>();
      for (TableDescriptor each : admin.listTableDescriptors(Pattern.compile("l.*"))) {
        found.add(each.getTableName());
      }
      return sorted(found);
    });
    Story.step("describe", "a table", () -> described(NAME));
    Story.step("describe", "a list, one unknown", () -> admin.listTableDescriptors(Arrays.asList(NAME, NOBODY)).size());
    Story.step("describe", "an unknown table", () -> described(NOBODY));
    Story.step("describe", "hbase:meta", () -> admin.getDescriptor(TableName.META_TABLE_NAME).getColumnFamilyNames().stream()
      .map(Bytes::toString).filter(name -> name.equals("info") || name.equals("table")).collect(java.util.stream.Collectors.toList()));
    Story.step("list", "an unknown table", () -> admin.tableExists(NOBODY) + " " + admin.getRegions(NOBODY));
    Story.step("list", "is an unknown table enabled", () -> admin.isTableEnabled(NOBODY));
    Story.step("list", "is an unknown table available", () -> admin.isTableAvailable(NOBODY));
  }

  private static List<String> sorted(Collection<?> values) {
    List<String> texts = new ArrayList<>();
    values.forEach(each -> texts.add(String.valueOf(each)));
    Collections.sort(texts);
    // what other stories and the cluster itself have made
    texts.removeAll(Arrays.asList("story", "scanned", "hbase:namespace", "asynced", "1", "hbase:rsgroup", "hbase:slowlog"));
    return texts;
  }

  private void put(String row, String family, String value) throws Exception {
    try (Table table = connection.getTable(NAME)) {
      table.put(new Put(b(row)).addColumn(b(family), Q, 1, b(value)));
    }
  }

  private Result get(String row) throws Exception {
    try (Table table = connection.getTable(NAME)) {
      return table.get(new Get(b(row)).readAllVersions());
    }
  }

  private void alterations() {
    Story.step("addColumnFamily", "to a table in use", () -> {
      put("f", "a", "before");
      admin.addColumnFamily(NAME, ColumnFamilyDescriptorBuilder.of("c"));
      put("f", "c", "after");
      return get("f");
    });
    Story.done("addColumnFamily", "one that is there", () -> admin.addColumnFamily(NAME, ColumnFamilyDescriptorBuilder.of("c")));
    Story.done("addColumnFamily", "to an unknown table", () -> admin.addColumnFamily(NOBODY, ColumnFamilyDescriptorBuilder.of("c")));
    Story.step("modifyColumnFamily", "more versions", () -> {
      admin.modifyColumnFamily(NAME, ColumnFamilyDescriptorBuilder.newBuilder(b("c")).setMaxVersions(2).build());
      try (Table table = connection.getTable(NAME)) {
        table.put(new Put(b("f")).addColumn(b("c"), Q, 2, b("second")));
        table.put(new Put(b("f")).addColumn(b("c"), Q, 3, b("third")));
      }
      return get("f");
    });
    Story.done("modifyColumnFamily", "one that is not there",
      () -> admin.modifyColumnFamily(NAME, ColumnFamilyDescriptorBuilder.of("none")));
    Story.step("deleteColumnFamily", "with its cells", () -> {
      admin.deleteColumnFamily(NAME, b("c"));
      Object without = Story.text(get("f"));
      admin.addColumnFamily(NAME, ColumnFamilyDescriptorBuilder.of("c"));
      return without + " and made again " + Story.text(get("f"));
    });
    Story.done("deleteColumnFamily", "one that is not there", () -> admin.deleteColumnFamily(NAME, b("none")));
    Story.done("deleteColumnFamily", "the last one", () -> admin.deleteColumnFamily(TableName.valueOf("later"), A));
    Story.step("modifyTable", "attributes and families at once", () -> {
      admin.modifyTable(TableDescriptorBuilder.newBuilder(admin.getDescriptor(NAME)).setMaxFileSize(1L << 32).removeColumnFamily(b("c"))
        .setColumnFamily(ColumnFamilyDescriptorBuilder.of("d")).setValue("own.key", "x").build());
      return described(NAME);
    });
    Story.done("modifyTable", "an unknown table", () -> admin.modifyTable(descriptor(NOBODY, "a")));
    Story.step("modifyTable", "read only and back", () -> {
      TableDescriptor before = admin.getDescriptor(NAME);
      admin.modifyTable(TableDescriptorBuilder.newBuilder(before).setReadOnly(true).build());
      String refused;
      try {
        put("f", "a", "refused");
        refused = "written";
      } catch (Exception error) {
        refused = Story.describe(error);
      }
      admin.modifyTable(before);
      put("f", "a", "written");
      return refused + " then " + Story.text(get("f"));
    });
  }

  private void states() {
    Story.done("deleteColumnFamily", "one with cells is to go while disabled", () -> put("f", "d", "before"));
    Story.done("disableTable", "a table", () -> admin.disableTable(NAME));
    Story.step("disableTable", "it is", () -> admin.isTableEnabled(NAME) + " " + admin.isTableDisabled(NAME) + " "
      + admin.isTableAvailable(NAME) + " " + starts(NAME));
    Story.step("disableTable", "get from it", () -> get("f"));
    Story.done("disableTable", "put into it", () -> put("f", "a", "x"));
    Story.done("disableTable", "again", () -> admin.disableTable(NAME));
    Story.done("disableTable", "an unknown table", () -> admin.disableTable(NOBODY));
    Story.done("disableTable", "hbase:meta", () -> admin.disableTable(TableName.META_TABLE_NAME));
    Story.step("modifyTable", "while disabled", () -> {
      admin.addColumnFamily(NAME, ColumnFamilyDescriptorBuilder.of("while"));
      return admin.getDescriptor(NAME).getColumnFamilyNames().size();
    });
    Story.step("deleteColumnFamily", "while disabled, and made again", () -> {
      admin.deleteColumnFamily(NAME, b("d"));
      admin.addColumnFamily(NAME, ColumnFamilyDescriptorBuilder.of("d"));
      return described(NAME);
    });
    Story.step("enableTable", "a table", () -> {
      admin.enableTable(NAME);
      return admin.isTableEnabled(NAME) + " " + admin.isTableDisabled(NAME) + " " + Story.text(get("f"));
    });
    Story.step("deleteColumnFamily", "the one that was made again", () -> {
      put("f", "d", "after");
      String before = Story.text(get("f"));
      admin.disableTable(NAME);
      admin.enableTable(NAME);
      return before + " then " + Story.text(get("f"));
    });
    Story.done("enableTable", "again", () -> admin.enableTable(NAME));
    Story.done("enableTable", "an unknown table", () -> admin.enableTable(NOBODY));
  }

  private void truncations() {
    Story.done("truncateTable", "an enabled table", () -> admin.truncateTable(NAME, true));
    Story.done("truncateTable", "an unknown table", () -> admin.truncateTable(NOBODY, true));
    Story.step("truncateTable", "keeping the splits", () -> {
      admin.disableTable(NAME);
      admin.truncateTable(NAME, true);
      return starts(NAME) + " " + admin.isTableEnabled(NAME) + " " + Story.text(get("f"));
    });
    Story.step("truncateTable", "without the splits", () -> {
      put("f", "a", "x");
      admin.disableTable(NAME);
      admin.truncateTable(NAME, false);
      put("z", "a", "after");
      return starts(NAME) + " " + Story.text(get("f")) + Story.text(get("z"));
    });
  }

  private void namespaces() {
    Story.step("namespaces", "list", () -> {
      List<String> names = new ArrayList<>();
      for (NamespaceDescriptor each : admin.listNamespaceDescriptors()) {
        names.add(each.getName());
      }
      return sorted(names) + " " + sorted(Arrays.asList(admin.listNamespaces()));
    });
    Story.step("namespaces", "create and describe", () -> {
      admin.createNamespace(NamespaceDescriptor.create("ns1").addConfiguration("k", "v").build());
      return admin.getNamespaceDescriptor("ns1").toString();
    });
    Story.done("namespaces", "create again", () -> admin.createNamespace(NamespaceDescriptor.create("ns1").build()));
    Story.step("namespaces", "modify", () -> {
      admin.modifyNamespace(NamespaceDescriptor.create("ns1").addConfiguration("k", "w").addConfiguration("l", "x").build());
      return new TreeMap<>(admin.getNamespaceDescriptor("ns1").getConfiguration());
    });
    Story.done("namespaces", "modify an unknown one", () -> admin.modifyNamespace(NamespaceDescriptor.create("ns2").build()));
    Story.step("namespaces", "describe an unknown one", () -> admin.getNamespaceDescriptor("ns2"));
    Story.step("namespaces", "a table in it", () -> {
      TableName name = TableName.valueOf("ns1:table");
      admin.createTable(descriptor(name, "a"));
      try (Table table = connection.getTable(name)) {
        table.put(new Put(b("r")).addColumn(A, Q, 1, b("v")));
        return Arrays.asList(table.get(new Get(b("r"))), Arrays.toString(admin.listTableNamesByNamespace("ns1")),
          admin.listTableDescriptorsByNamespace(b("ns1")).size());
      }
    });
    Story.done("namespaces", "delete one with a table", () -> admin.deleteNamespace("ns1"));
    Story.done("namespaces", "delete default", () -> admin.deleteNamespace("default"));
    Story.done("namespaces", "delete an unknown one", () -> admin.deleteNamespace("ns2"));
    Story.step("namespaces", "list the tables of an unknown one", () -> Arrays.toString(admin.listTableNamesByNamespace("ns2")));
    Story.done("namespaces", "delete an empty one", () -> {
      admin.disableTable(TableName.valueOf("ns1:table"));
      admin.deleteTable(TableName.valueOf("ns1:table"));
      admin.deleteNamespace("ns1");
    });
  }

  private HRegionLocation where(String table, String row) throws Exception {
    try (RegionLocator locator = connection.getRegionLocator(TableName.valueOf(table))) {
      return locator.getRegionLocation(b(row), true);
    }
  }

  private void regions() {
    Story.step("region locations", "all of a table", () -> {
      try (RegionLocator locator = connection.getRegionLocator(TableName.valueOf("even"))) {
        int located = 0;
        for (HRegionLocation each : locator.getAllRegionLocations()) {
          located += each.getServerName() == null ? 0 : 1;
        }
        return located + " " + Story.text(locator.getStartKeys()) + " " + Story.text(locator.getEndKeys());
      }
    });
    Story.step("region locations", "of a row", () -> where("even", "40").getRegion().getStartKey());
    Story.step("region locations", "of a row of an unknown table", () -> where("nobody", "40"));
    Story.step("region locations", "of hbase:meta", () -> where("hbase:meta", "").getRegion().getRegionNameAsString());
    Story.step("move", "to another server and the rows with it", () -> {
      TableName name = TableName.valueOf("even");
      try (Table table = connection.getTable(name)) {
        table.put(new Put(b("40")).addColumn(A, Q, 1, b("moved")));
        HRegionLocation before = where("even", "40");
        List<ServerName> others = new ArrayList<>(admin.getRegionServers());
        others.remove(before.getServerName());
        admin.move(before.getRegion().getEncodedNameAsBytes(), others.get(0));
        HRegionLocation after = where("even", "40");
        return after.getServerName().equals(others.get(0)) + " " + (after.getSeqNum() > before.getSeqNum()) + " "
          + Story.text(table.get(new Get(b("40"))));
      }
    });
    Story.step("move", "to where it is", () -> {
      HRegionLocation before = where("even", "40");
      admin.move(before.getRegion().getEncodedNameAsBytes(), before.getServerName());
      return where("even", "40").getServerName().equals(before.getServerName());
    });
    Story.step("move", "to anywhere", () -> {
      admin.move(where("even", "40").getRegion().getEncodedNameAsBytes());
      try (Table table = connection.getTable(TableName.valueOf("even"))) {
        return table.get(new Get(b("40")));
      }
    });
    Story.done("move", "an unknown region", () -> admin.move(b("0123456789abcdef0123456789abcdef"), admin.getRegionServers().iterator().next()));
    Story.step("assign", "unassign and assign again", () -> {
      byte[] region = where("even", "40").getRegion().getRegionName();
      admin.unassign(region, true);
      admin.assign(region);
      try (Table table = connection.getTable(TableName.valueOf("even"))) {
        return table.get(new Get(b("40")));
      }
    });
    Story.done("flush", "a table", () -> admin.flush(TableName.valueOf("even")));
    Story.done("flush", "a region", () -> admin.flushRegion(where("even", "40").getRegion().getRegionName()));
    Story.done("compact", "a table", () -> admin.compact(TableName.valueOf("even")));
    Story.done("compact", "a table wholly", () -> admin.majorCompact(TableName.valueOf("even")));
    Story.step("compact", "it ends", () -> {
      for (int tries = 0; tries < 100; tries++) {
        if (admin.getCompactionState(TableName.valueOf("even")).toString().equals("NONE")) {
          return "NONE";
        }
        Thread.sleep(200);
      }
      return admin.getCompactionState(TableName.valueOf("even"));
    });
  }

  private void metaRows() {
    Story.step("hbase:meta", "rows of a table as a client scans them", () -> {
      List<String> seen = new ArrayList<>();
      try (Table meta = connection.getTable(TableName.META_TABLE_NAME);
          ResultScanner scanner = meta.getScanner(new Scan().withStartRow(b("even")).withStopRow(b("even-")))) {
        for (Result row : scanner) {
          TreeSet<String> columns = new TreeSet<>();
          for (org.apache.hadoop.hbase.Cell cell : row.rawCells()) {
            columns.add(Bytes.toString(org.apache.hadoop.hbase.CellUtil.cloneFamily(cell)) + ":"
              + Bytes.toString(org.apache.hadoop.hbase.CellUtil.cloneQualifier(cell)));
          }
          byte[] state = row.getValue(b("info"), b("state"));
          seen.add(Bytes.toStringBinary(row.getRow()) + " " + columns + " " + (state == null ? "" : Bytes.toString(state)));
        }
      }
      return seen;
    });
    Story.step("hbase:meta", "the last row before a key", () -> {
      try (Table meta = connection.getTable(TableName.META_TABLE_NAME); ResultScanner scanner = meta.getScanner(
        new Scan().addFamily(b("info")).setReversed(true).withStartRow(b("even,45,:")).withStopRow(b("even")).setOneRowLimit())) {
        return Bytes.toStringBinary(scanner.next().getRow());
      }
    });
    Story.step("hbase:meta", "state of a table", () -> {
      try (Table meta = connection.getTable(TableName.META_TABLE_NAME)) {
        return meta.get(new Get(b("even")));
      }
    });
  }

  private void cluster() {
    Story.step("cluster metrics", "servers", () -> {
      ClusterMetrics metrics = admin.getClusterMetrics();
      return "live " + metrics.getLiveServerMetrics().size() + ", names " + metrics.getServersName().size() + ", dead "
        + metrics.getDeadServerNames().size() + ", backups " + metrics.getBackupMasterNames().size() + ", in transition "
        + metrics.getRegionStatesInTransition().size() + ", balancer " + metrics.getBalancerOn() + ", master "
        + metrics.getMasterName().equals(admin.getMaster()) + ", cluster id " + (metrics.getClusterId().length() == 36);
    });
    Story.step("cluster metrics", "regions of a table",
      () -> String.valueOf(admin.getClusterMetrics().getTableRegionStatesCount().get(TableName.valueOf("even"))));
    Story.step("cluster metrics", "some options",
      () -> admin.getClusterMetrics(EnumSet.of(ClusterMetrics.Option.LIVE_SERVERS, ClusterMetrics.Option.MASTER)).getClusterId());
    Story.step("cluster metrics", "regions of the servers", () -> {
      int regions = 0;
      int metrics = 0;
      for (ServerName server : admin.getRegionServers()) {
        for (RegionInfo region : admin.getRegions(server)) {
          regions += region.getTable().getNameAsString().equals("even") ? 1 : 0;
        }
        metrics += admin.getRegionMetrics(server, TableName.valueOf("even")).size();
      }
      return regions + " " + metrics;
    });
    Story.step("cluster metrics", "masters and servers", () -> admin.getBackupMasters().size() + " " + admin.getRegionServers().size());
    Story.step("switches", "balancer", () -> admin.isBalancerEnabled() + " " + admin.balancerSwitch(false, true) + " "
      + admin.isBalancerEnabled() + " " + admin.balancerSwitch(true, true) + " " + admin.isBalancerEnabled());
    Story.step("switches", "maintenance mode", () -> admin.isMasterInMaintenanceMode());
    Story.step("switches", "security", () -> admin.getSecurityCapabilities());
    Story.done("procedures", "list", () -> admin.getProcedures());
    Story.done("procedures", "locks", () -> admin.getLocks());
    Story.step("procedures", "none in transition", () -> admin.getClusterMetrics().getRegionStatesInTransition().size());
  }

  private void deletions() {
    Story.done("deleteTable", "an enabled table", () -> admin.deleteTable(NAME));
    Story.done("deleteTable", "an unknown table", () -> admin.deleteTable(NOBODY));
    Story.step("deleteTable", "all of them", () -> {
      for (String name : Arrays.asList("adm", "even", "full", "later")) {
        admin.disableTable(TableName.valueOf(name));
        admin.deleteTable(TableName.valueOf(name));
      }
      return sorted(Arrays.asList(admin.listTableNames())) + " " + admin.tableExists(NAME);
    });
    Story.step("deleteTable", "get from it", () -> get("f"));
    Story.step("deleteTable", "made again it is empty", () -> {
      admin.createTable(descriptor(NAME, "a"));
      String found = Story.text(get("f"));
      admin.disableTable(NAME);
      admin.deleteTable(NAME);
      return found;
    });
  }
}
