import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.ClusterStatus;
import org.apache.hadoop.hbase.HColumnDescriptor;
import org.apache.hadoop.hbase.HRegionInfo;
import org.apache.hadoop.hbase.HRegionLocation;
import org.apache.hadoop.hbase.HTableDescriptor;
import org.apache.hadoop.hbase.NamespaceDescriptor;
import org.apache.hadoop.hbase.ServerName;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.Admin;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.Get;
import org.apache.hadoop.hbase.client.Put;
import org.apache.hadoop.hbase.client.RegionLocator;
import org.apache.hadoop.hbase.client.Result;
import org.apache.hadoop.hbase.client.Table;
import org.apache.hadoop.hbase.util.Bytes;

/** Tables, namespaces and regions through the Admin of hbase-client 1.4. */
public final class OldAdminStory implements Story.Teller {
  private static final TableName NAME = TableName.valueOf("oldadm");
  private static final TableName NOBODY = TableName.valueOf("nobody");
  private static final byte[] A = b("a");
  private static final byte[] Q = b("q");

  private Connection connection;
  private Admin admin;

  static byte[] b(String text) {
    return Story.b(text);
  }

  /** Four regions, split at g, n and t; family a keeps three versions, b one. */
  static void create(Connection connection, String name) throws Exception {
    try (Admin admin = connection.getAdmin()) {
      HTableDescriptor table = new HTableDescriptor(TableName.valueOf(name));
      table.addFamily(new HColumnDescriptor("a").setMaxVersions(3));
      table.addFamily(new HColumnDescriptor("b"));
      admin.createTable(table, new byte[][] {b("g"), b("n"), b("t")});
    }
  }

  static void drop(Connection connection, String name) throws Exception {
    try (Admin admin = connection.getAdmin()) {
      admin.disableTable(TableName.valueOf(name));
      admin.deleteTable(TableName.valueOf(name));
    }
  }

  @Override
  public void tell(Connection given, Configuration configuration) throws Exception {
    connection = given;
    admin = given.getAdmin();
    tables();
    alterations();
    states();
    namespaces();
    regions();
    deletions();
    admin.close();
  }

  private static HTableDescriptor descriptor(TableName name, String... families) {
    HTableDescriptor table = new HTableDescriptor(name);
    for (String family : families) {
      table.addFamily(new HColumnDescriptor(family));
    }
    return table;
  }

  private String starts() throws Exception {
    List<String> starts = new ArrayList<>();
    for (HRegionInfo region : admin.getTableRegions(NAME)) {
      starts.add(Bytes.toStringBinary(region.getStartKey()) + "-" + Bytes.toStringBinary(region.getEndKey()));
    }
    return starts.toString();
  }

  private void put(String row, String family, String value) throws Exception {
    try (Table table = connection.getTable(NAME)) {
      table.put(new Put(b(row)).addColumn(b(family), Q, 1, b(value)));
    }
  }

  private Result get(String row) throws Exception {
    try (Table table = connection.getTable(NAME)) {
      return table.get(new Get(b(row)).setMaxVersions());
    }
  }

  private String flags() throws Exception {
    return admin.tableExists(NAME) + " " + admin.isTableEnabled(NAME) + " " + admin.isTableDisabled(NAME) + " " + admin.isTableAvailable(NAME);
  }

  private void tables() {
    Story.step("createTable", "with splits", () -> {
      admin.createTable(descriptor(NAME, "a", "b"), new byte[][] {b("g"), b("n")});
      return starts() + " " + flags();
    });
    Story.done("createTable", "again", () -> admin.createTable(descriptor(NAME, "a")));
    Story.done("createTable", "in a namespace nobody made", () -> admin.createTable(descriptor(TableName.valueOf("nons:x"), "a")));
    Story.step("list", "by pattern", () -> Arrays.toString(admin.listTableNames("oldadm.*")));
    Story.step("list", "descriptors", () -> admin.listTables("oldadm.*").length);
    Story.step("list", "an unknown table", () -> admin.tableExists(NOBODY));
    Story.step("describe", "a table", () -> {
      HTableDescriptor table = admin.getTableDescriptor(NAME);
      List<String> families = new ArrayList<>();
      for (HColumnDescriptor family : table.getColumnFamilies()) {
        families.add(family.getNameAsString() + " versions " + family.getMaxVersions() + " ttl " + family.getTimeToLive() + " bloom "
          + family.getBloomFilterType());
      }
      return families;
    });
    Story.step("describe", "an unknown table", () -> admin.getTableDescriptor(NOBODY));
  }

  private void alterations() {
    Story.step("addColumn", "to a table in use", () -> {
      put("f", "a", "before");
      admin.addColumn(NAME, new HColumnDescriptor("c"));
      put("f", "c", "after");
      return get("f");
    });
    Story.done("addColumn", "one that is there", () -> admin.addColumn(NAME, new HColumnDescriptor("c")));
    Story.step("modifyColumn", "more versions", () -> {
      admin.modifyColumn(NAME, new HColumnDescriptor("c").setMaxVersions(5));
      return admin.getTableDescriptor(NAME).getFamily(b("c")).getMaxVersions() + " " + Story.text(get("f"));
    });
    Story.step("deleteColumn", "with its cells", () -> {
      admin.deleteColumn(NAME, b("c"));
      return get("f");
    });
    Story.done("deleteColumn", "one that is not there", () -> admin.deleteColumn(NAME, b("none")));
    Story.step("modifyTable", "attributes and families at once", () -> {
      HTableDescriptor table = new HTableDescriptor(admin.getTableDescriptor(NAME));
      table.setMaxFileSize(1L << 32);
      table.addFamily(new HColumnDescriptor("d"));
      table.setConfiguration("own.key", "x");
      admin.modifyTable(NAME, table);
      HTableDescriptor after = admin.getTableDescriptor(NAME);
      return after.getMaxFileSize() + " " + after.getFamiliesKeys().size() + " " + admin.getAlterStatus(NAME);
    });
  }

  private void states() {
    Story.step("disableTable", "a table", () -> {
      admin.disableTable(NAME);
      return flags();
    });
    Story.step("disableTable", "get from it", () -> get("f"));
    Story.done("disableTable", "again", () -> admin.disableTable(NAME));
    Story.done("disableTable", "an unknown table", () -> admin.disableTable(NOBODY));
    Story.step("enableTable", "a table", () -> {
      admin.enableTable(NAME);
      return flags() + " " + Story.text(get("f"));
    });
    Story.done("enableTable", "again", () -> admin.enableTable(NAME));
    Story.done("truncateTable", "an enabled table", () -> admin.truncateTable(NAME, true));
    Story.step("truncateTable", "keeping the splits", () -> {
      admin.disableTable(NAME);
      admin.truncateTable(NAME, true);
      return starts() + " " + Story.text(get("f"));
    });
  }

  private List<String> namespaceNames() throws Exception {
    List<String> names = new ArrayList<>();
    for (NamespaceDescriptor each : admin.listNamespaceDescriptors()) {
      names.add(each.getName());
    }
    Collections.sort(names);
    return names;
  }

  private boolean namespaceIsThere() {
    try {
      return namespaceNames().contains("oldns");
    } catch (Exception error) {
      return false;
    }
  }

  private static void pause() {
    try {
      Thread.sleep(100);
    } catch (InterruptedException error) {
      Thread.currentThread().interrupt();
    }
  }

  private void namespaces() {
    Story.step("namespaces", "create, describe, modify, list, delete", () -> {
      admin.createNamespace(NamespaceDescriptor.create("oldns").addConfiguration("k", "v").build());
      for (int tries = 0; tries < 100 && !namespaceNames().contains("oldns"); tries++) {
        Thread.sleep(100); // this client does not wait for the end of the procedure
      }
      String made = admin.getNamespaceDescriptor("oldns").toString();
      admin.modifyNamespace(NamespaceDescriptor.create("oldns").addConfiguration("k", "w").build());
      List<String> names = namespaceNames();
      for (int tries = 0; tries < 100 && admin.getNamespaceDescriptor("oldns").getConfigurationValue("k").equals("v"); tries++) {
        Thread.sleep(100);
      }
      String modified = new TreeMap<>(admin.getNamespaceDescriptor("oldns").getConfiguration()).toString();
      int tables = admin.listTableNamesByNamespace("oldns").length + admin.listTableDescriptorsByNamespace("oldns").length;
      admin.deleteNamespace("oldns");
      return made + " " + names + " " + modified + " " + tables;
    });
    for (int tries = 0; tries < 100 && namespaceIsThere(); tries++) {
      pause();
    }
    Story.done("namespaces", "delete an unknown one", () -> admin.deleteNamespace("oldns"));
  }

  private HRegionLocation where(String row) throws Exception {
    try (RegionLocator locator = connection.getRegionLocator(NAME)) {
      return locator.getRegionLocation(b(row), true);
    }
  }

  private void regions() {
    Story.step("region locations", "all of a table", () -> {
      try (RegionLocator locator = connection.getRegionLocator(NAME)) {
        return locator.getAllRegionLocations().size() + " " + Story.text(locator.getStartKeys()) + " " + Story.text(locator.getEndKeys());
      }
    });
    Story.step("move", "to another server and the rows with it", () -> {
      put("h", "a", "moved");
      HRegionLocation before = where("h");
      List<ServerName> others = new ArrayList<>(admin.getClusterStatus().getServers());
      others.remove(before.getServerName());
      admin.move(before.getRegionInfo().getEncodedNameAsBytes(), b(others.get(0).getServerName()));
      for (int tries = 0; tries < 100 && !where("h").getServerName().equals(others.get(0)); tries++) {
        Thread.sleep(100);
      }
      return where("h").getServerName().equals(others.get(0)) + " " + Story.text(get("h"));
    });
    Story.step("cluster status", "servers", () -> {
      ClusterStatus status = admin.getClusterStatus();
      return "live " + status.getServersSize() + ", dead " + status.getDeadServers() + ", backups " + status.getBackupMastersSize()
        + ", balancer " + status.getBalancerOn() + ", cluster id " + (status.getClusterId().length() == 36);
    });
    Story.step("switches", "balancer", () -> admin.isBalancerEnabled() + " " + admin.setBalancerRunning(false, true) + " "
      + admin.setBalancerRunning(true, true));
    Story.step("cluster status", "regions of the servers", () -> {
      int regions = 0;
      for (ServerName server : admin.getClusterStatus().getServers()) {
        for (HRegionInfo region : admin.getOnlineRegions(server)) {
          regions += region.getTable().equals(NAME) ? 1 : 0;
        }
      }
      return regions;
    });
  }

  private void deletions() {
    Story.done("deleteTable", "an enabled table", () -> admin.deleteTable(NAME));
    Story.done("deleteTable", "an unknown table", () -> admin.deleteTable(NOBODY));
    Story.step("deleteTable", "a disabled table", () -> {
      drop(connection, "oldadm");
      return admin.tableExists(NAME);
    });
    Story.step("deleteTable", "get from it", () -> get("f"));
  }
}
