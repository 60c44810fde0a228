import com.google.protobuf.DescriptorProtos.DescriptorProto;
import com.google.protobuf.DescriptorProtos.FileDescriptorProto;
import com.google.protobuf.DescriptorProtos.MethodDescriptorProto;
import com.google.protobuf.DescriptorProtos.ServiceDescriptorProto;
import com.google.protobuf.Descriptors.FileDescriptor;
import com.google.protobuf.Descriptors.ServiceDescriptor;
import com.google.protobuf.DynamicMessage;
import com.google.protobuf.ServiceException;
import java.io.IOException;
import java.io.InputStream;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.ClusterStatus;
import org.apache.hadoop.hbase.ServerName;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.Admin;
import org.apache.hadoop.hbase.client.BalanceRequest;
import org.apache.hadoop.hbase.client.BalanceResponse;
import org.apache.hadoop.hbase.client.ColumnFamilyDescriptorBuilder;
import org.apache.hadoop.hbase.client.CompactType;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.MasterSwitchType;
import org.apache.hadoop.hbase.client.NormalizeTableFilterParams;
import org.apache.hadoop.hbase.client.Put;
import org.apache.hadoop.hbase.client.RegionInfo;
import org.apache.hadoop.hbase.client.ServerType;
import org.apache.hadoop.hbase.client.SnapshotDescription;
import org.apache.hadoop.hbase.client.TableDescriptorBuilder;
import org.apache.hadoop.hbase.client.replication.ReplicationPeerConfigUtil;
import org.apache.hadoop.hbase.client.security.SecurityCapability;
import org.apache.hadoop.hbase.quotas.QuotaFilter;
import org.apache.hadoop.hbase.quotas.QuotaRetriever;
import org.apache.hadoop.hbase.quotas.QuotaSettings;
import org.apache.hadoop.hbase.quotas.QuotaSettingsFactory;
import org.apache.hadoop.hbase.quotas.QuotaTableUtil;
import org.apache.hadoop.hbase.quotas.SpaceViolationPolicy;
import org.apache.hadoop.hbase.quotas.ThrottleType;
import org.apache.hadoop.hbase.replication.ReplicationPeerConfig;
import org.apache.hadoop.hbase.security.access.AccessControlClient;
import org.apache.hadoop.hbase.security.access.Permission;
import org.apache.hadoop.hbase.security.visibility.VisibilityClient;
import org.apache.hadoop.hbase.zookeeper.ZKDump;
import org.apache.hadoop.hbase.zookeeper.ZKWatcher;

/**
 * The commands of the hbase shell of 2.6 for whoever looks after a cluster: tools, replication, snapshots, configuration,
 * quotas, security, procedures, labels and groups; as ShellStory tells the others. It ends by stopping a region server
 * and the active master.
 */
public final class ShellToolsStory implements Story.Teller {
  private static final TableName NAME = TableName.valueOf("shelltools");
  private static final byte[] F = Story.b("f");
  private static final String PEER = "1";
  private static final Map<TableName, List<String>> FAMILIES = Collections.singletonMap(NAME, Collections.singletonList("f"));
  private static final int HTTP_TIMEOUT_MS = 5_000;

  private ShellStory.Calls shell;
  private Connection connection;
  private Configuration configuration;
  private Admin admin;
  /** Whose calls are not those of commands. */
  private Connection given;
  private Admin beside;

  @Override
  public void tell(Connection plain, Configuration settings) throws Exception {
    shell = new ShellStory.Calls();
    configuration = settings;
    given = plain;
    beside = plain.getAdmin();
    connection = shell.noted(Connection.class, given);
    admin = connection.getAdmin();
    admin.createTable(TableDescriptorBuilder.newBuilder(NAME).setColumnFamily(ColumnFamilyDescriptorBuilder.of(F)).build(),
      new byte[][] {Story.b("h"), Story.b("p")});
    connection.getTable(NAME).put(new Put(Story.b("a")).addColumn(F, Story.b("q"), 1, Story.b("v")));
    files();
    switches();
    servers();
    logs();
    configurations();
    procedures();
    regions();
    snapshots();
    replication();
    quotas();
    security();
    labels();
    groups();
    admin.disableTable(NAME);
    admin.deleteTable(NAME);
    ends();
    shell.tell();
  }

  private ServerName server() throws Exception {
    return given.getRegionLocator(NAME).getRegionLocation(Story.b("a")).getServerName();
  }

  private String region(int number) throws Exception {
    return beside.getRegions(NAME).get(number).getEncodedName();
  }

  // --- tools -------------------------------------------------------------------------------------------------------------

  private interface OfRegion {
    void call(byte[] name) throws IOException;
  }

  /** A name may be of a region, or else of a table. */
  private static void either(String name, OfRegion region, Story.Work table) throws Exception {
    try {
      region.call(Story.b(name));
    } catch (IllegalArgumentException unknown) {
      table.run();
    }
  }

  private void files() {
    shell.done("flush", "'shelltools'", () -> either("shelltools", admin::flushRegion, () -> admin.flush(NAME)));
    shell.done("flush", "'shelltools', 'f'",
      () -> either("shelltools", name -> admin.flushRegion(name, F), () -> admin.flush(NAME, F)));
    shell.done("flush", "'<region>'", () -> admin.flushRegion(Story.b(region(0))));
    shell.done("flush", "'<region>', 'none'", () -> admin.flushRegion(Story.b(region(0)), Story.b("none")));
    shell.done("flush", "'<server>'", () -> admin.flushRegionServer(server()));
    shell.done("flush", "'nobody'", () -> either("nobody", admin::flushRegion, () -> admin.flush(TableName.valueOf("nobody"))));
    shell.done("compact", "'shelltools'", () -> either("shelltools", name -> admin.compactRegion(name, null),
      () -> admin.compact(NAME, null, CompactType.NORMAL)));
    shell.done("compact", "'<region>', 'f'", () -> admin.compactRegion(Story.b(region(0)), F));
    shell.done("compact", "'<region>', 'none'", () -> admin.compactRegion(Story.b(region(0)), Story.b("none")));
    shell.done("compact", "'nobody'", () -> either("nobody", name -> admin.compactRegion(name, null),
      () -> admin.compact(TableName.valueOf("nobody"), null, CompactType.NORMAL)));
    shell.done("major_compact", "'shelltools', 'f'", () -> either("shelltools", name -> admin.majorCompactRegion(name, F),
      () -> admin.majorCompact(NAME, F, CompactType.NORMAL)));
    shell.done("compact_rs", "'<server>', true", () -> admin.compactRegionServer(server(), true));
    shell.command("compaction_state", "'shelltools' after a while", () -> {
      for (int tries = 0; tries < 100 && admin.getCompactionState(NAME).ordinal() > 0; tries++) {
        Thread.sleep(100);
      }
      return admin.getCompactionState(NAME);
    });
    shell.command("compaction_switch", "false", () -> new HashSet<>(admin.compactionSwitch(false, new ArrayList<>()).values()));
    shell.command("compaction_switch", "true, '<server>'", () -> {
      List<String> all = new ArrayList<>();
      for (ServerName each : beside.getRegionServers()) {
        all.add(each.getServerName());
      }
      return new HashSet<>(admin.compactionSwitch(true, all).values());
    });
    shell.done("clear_compaction_queues", "'<server>'",
      () -> admin.clearCompactionQueues(server(), new HashSet<>(Arrays.asList("long", "short"))));
    shell.command("clear_block_cache", "'shelltools'", () -> admin.clearBlockCache(NAME).getExceptionCount() + " errors");
    shell.command("get_prefetched_files", "'<server>'", () -> admin.getCachedFilesList(server()).size() < 100);
    shell.done("wal_roll", "'<server>'", () -> admin.rollWALWriter(server()));
    shell.done("flush_master_store", "", () -> admin.flushMasterStore());
  }

  private void switches() {
    shell.command("balance_switch", "false", () -> admin.setBalancerRunning(false, false));
    shell.command("balancer_enabled", "", () -> admin.isBalancerEnabled());
    shell.command("balancer", "'dry_run' while it is off",
      () -> ran(admin.balance(BalanceRequest.newBuilder().setDryRun(true).build())));
    shell.command("balance_switch", "true", () -> admin.setBalancerRunning(true, false));
    shell.command("balancer", "", () -> ran(admin.balance(BalanceRequest.defaultInstance())));
    shell.command("balancer", "'force', 'dry_run'",
      () -> ran(admin.balance(BalanceRequest.newBuilder().setIgnoreRegionsInTransition(true).setDryRun(true).build())));
    shell.command("normalizer_switch", "false", () -> admin.setNormalizerRunning(false));
    shell.command("normalizer_enabled", "", () -> admin.isNormalizerEnabled());
    shell.command("normalize", "while it is off", () -> admin.normalize(new NormalizeTableFilterParams.Builder().build()));
    shell.command("normalizer_switch", "true", () -> admin.setNormalizerRunning(true));
    shell.command("normalize", "TABLE_NAME => 'shelltools'", () -> admin.normalize(
      new NormalizeTableFilterParams.Builder().tableNames(Collections.singletonList(NAME)).build()));
    shell.command("is_in_maintenance_mode", "", () -> admin.isMasterInMaintenanceMode());
    shell.command("catalogjanitor_switch", "false", () -> admin.enableCatalogJanitor(false));
    shell.command("catalogjanitor_enabled", "", () -> admin.isCatalogJanitorEnabled());
    shell.command("catalogjanitor_switch", "true", () -> admin.enableCatalogJanitor(true));
    shell.command("catalogjanitor_run", "", () -> admin.runCatalogScan());
    shell.command("cleaner_chore_switch", "false", () -> admin.setCleanerChoreRunning(false));
    shell.command("cleaner_chore_enabled", "", () -> admin.isCleanerChoreEnabled());
    shell.command("cleaner_chore_switch", "true", () -> admin.setCleanerChoreRunning(true));
    shell.done("cleaner_chore_run", "", () -> admin.runCleanerChore());
    shell.command("snapshot_cleanup_switch", "false", () -> admin.snapshotCleanupSwitch(false, false));
    shell.command("snapshot_cleanup_enabled", "", () -> admin.isSnapshotCleanupEnabled());
    shell.command("snapshot_cleanup_switch", "true", () -> admin.snapshotCleanupSwitch(true, false));
    for (MasterSwitchType each : MasterSwitchType.values()) {
      shell.command("splitormerge_switch", "'" + each + "', false", () -> Arrays.toString(admin.setSplitOrMergeEnabled(false, false, each)));
      shell.command("splitormerge_enabled", "'" + each + "'", () -> admin.isSplitOrMergeEnabled(each));
      shell.command("splitormerge_switch", "'" + each + "', true", () -> Arrays.toString(admin.setSplitOrMergeEnabled(true, false, each)));
    }
    shell.command("hbck_chore_run", "", () -> connection.getHbck().runHbckChore());
  }

  private static String ran(BalanceResponse response) {
    return response.isBalancerRan() ? "ran" : "did not run";
  }

  private void servers() {
    shell.command("list_liveservers", "", () -> admin.getClusterStatus().getServers().size());
    shell.command("list_deadservers", "", () -> admin.listDeadServers());
    shell.command("list_unknownservers", "", () -> admin.listUnknownServers());
    shell.command("clear_deadservers", "", () -> admin.clearDeadServers(new ArrayList<>(admin.listDeadServers())));
    shell.command("clear_deadservers", "'gone,16020,1'",
      () -> admin.clearDeadServers(Collections.singletonList(ServerName.valueOf("gone,16020,1"))));
    shell.command("list_decommissioned_regionservers", "", () -> admin.listDecommissionedRegionServers());
    shell.command("decommission_regionservers", "'<server>'", () -> {
      admin.getClusterStatus();
      admin.decommissionRegionServers(Collections.singletonList(server()), false);
      return beside.listDecommissionedRegionServers().size();
    });
    shell.done("recommission_regionserver", "'<server>'", () -> {
      admin.getClusterStatus();
      admin.recommissionRegionServer(server(), new ArrayList<>());
    });
    shell.command("rit", "", () -> admin.getClusterStatus().getRegionStatesInTransition().size());
    shell.command("zk_dump", "", () -> {
      try (ZKWatcher watcher = new ZKWatcher(configuration, "admin", null)) {
        shell.note("ZKDump.dump");
        String dump = ZKDump.dump(watcher);
        List<String> told = new ArrayList<>();
        for (String part : Arrays.asList("Active master address:", "Backup master addresses:", "Region server holding hbase:meta:",
          "Region servers:", "Quorum Server Statistics:")) {
          told.add(part + dump.contains(part));
        }
        return told;
      }
    });
    shell.command("processlist", "", () -> {
      ClusterStatus status = admin.getClusterStatus();
      String told = "";
      shell.note("GET /rs-status?format=json");
      for (ServerName each : status.getServers()) {
        String page = "http://" + each.getHostname() + ":" + status.getLoad(each).getInfoServerPort()
          + "/rs-status?format=json&filter=general";
        java.net.URLConnection asked = new URL(page).openConnection();
        asked.setConnectTimeout(HTTP_TIMEOUT_MS);
        asked.setReadTimeout(HTTP_TIMEOUT_MS);
        try (InputStream answer = asked.getInputStream()) {
          told = new String(answer.readAllBytes(), StandardCharsets.UTF_8).trim();
        } catch (IOException failed) { // its message has the port
          throw new IOException(failed.getClass().getName());
        }
      }
      return told.startsWith("[") && told.endsWith("]") ? "a list of tasks" : told;
    });
    shell.done("close_region", "'<region>'", () -> { }); // says that it is deprecated, and no more
    shell.command("trace", "", () -> false); // of the shell itself
  }

  private void logs() {
    for (String type : Arrays.asList("SLOW_LOG", "LARGE_LOG")) {
      String command = type.equals("SLOW_LOG") ? "get_slowlog_responses" : "get_largelog_responses";
      shell.command(command, "'*', {'TABLE_NAME' => 'nobody'}", () -> {
        Map<String, Object> filter = new HashMap<>(Collections.singletonMap("tableName", "nobody"));
        return admin.getLogEntries(new HashSet<>(admin.getClusterStatus().getServers()), type, ServerType.REGION_SERVER, 10, filter);
      });
    }
    shell.command("clear_slowlog_responses", "", () -> {
      List<Boolean> cleared = admin.clearSlowLogResponses(new HashSet<>(admin.getClusterStatus().getServers()));
      return "Cleared Slowlog responses from " + Collections.frequency(cleared, true) + "/" + cleared.size() + " RegionServers";
    });
    shell.command("get_balancer_decisions", "", () -> admin.getLogEntries(null, "BALANCER_DECISION", ServerType.MASTER, 250, null));
    shell.command("get_balancer_rejections", "", () -> admin.getLogEntries(null, "BALANCER_REJECTION", ServerType.MASTER, 250, null));
  }

  private void configurations() {
    shell.done("update_config", "'<server>'", () -> admin.updateConfiguration(server()));
    shell.done("update_all_config", "", () -> admin.updateConfiguration());
    shell.done("update_rsgroup_config", "'group'", () -> group("UpdateConfiguration"));
  }

  private void procedures() {
    shell.command("list_procedures", "", () -> admin.getProcedures().startsWith("["));
    shell.command("list_locks", "", () -> admin.getLocks().startsWith("["));
  }

  private void regions() {
    shell.done("move", "'<region>'", () -> admin.move(Story.b(region(0)), (byte[]) null));
    shell.done("move", "'<region>', '<server>'", () -> admin.move(Story.b(region(0)), Story.b(server().getServerName())));
    shell.done("move", "'0123456789abcdef0123456789abcdef'", () -> admin.move(Story.b("0123456789abcdef0123456789abcdef"), (byte[]) null));
    shell.done("unassign", "'<region>'", () -> admin.unassign(Story.b(region(2))));
    shell.done("assign", "'<region>'", () -> admin.assign(Story.b(region(2))));
    shell.done("assign", "'<region>' again", () -> admin.assign(Story.b(region(2))));
    shell.done("assign", "'nobody'", () -> admin.assign(Story.b("nobody")));
    shell.command("regioninfo", "'<region>'", () -> {
      org.apache.hadoop.hbase.client.ClusterConnection inner =
        (org.apache.hadoop.hbase.client.ClusterConnection) org.apache.hadoop.hbase.client.ConnectionFactory.createConnection(configuration);
      try (inner) {
        ServerName master = inner.getAdmin().getClusterMetrics().getMasterName();
        byte[] name = beside.getRegions(NAME).get(0).getRegionName();
        shell.note("Admin.getMaster");
        shell.note("AdminService.GetRegionInfo of the master");
        RegionInfo found = org.apache.hadoop.hbase.shaded.protobuf.ProtobufUtil.getRegionInfo(null, inner.getAdmin(master), name);
        return found.getTable();
      }
    });
    shell.command("split", "'shelltools', 'd'", () -> {
      either("shelltools", name -> admin.splitRegion(name, Story.b("d")), () -> admin.split(NAME, Story.b("d")));
      return regionsAre(4);
    });
    shell.done("split", "'<region>', 'x'", () -> admin.splitRegion(Story.b(region(0)), Story.b("x")));
    shell.command("merge_region", "'<region>', '<region>'", () -> {
      admin.mergeRegionsAsync(new byte[][] {Story.b(region(0)), Story.b(region(1))}, false).get();
      return regionsAre(3);
    });
    shell.done("merge_region", "'<region>', 'nobody'",
      () -> admin.mergeRegionsAsync(new byte[][] {Story.b(region(0)), Story.b("nobody")}, false).get());
    shell.done("truncate_region", "'<region>'", () -> admin.truncateRegionAsync(beside.getRegions(NAME).get(0).getRegionName()).get());
  }

  private int regionsAre(int expected) throws Exception {
    for (int tries = 0; tries < 100; tries++) {
      boolean settled = beside.getClusterMetrics().getRegionStatesInTransition().isEmpty() && beside.isTableAvailable(NAME);
      if (settled && beside.getRegions(NAME).size() == expected) {
        break;
      }
      Thread.sleep(100);
    }
    return beside.getRegions(NAME).size();
  }

  // --- snapshots, replication --------------------------------------------------------------------------------------------

  private static List<String> named(List<SnapshotDescription> snapshots) {
    List<String> names = new ArrayList<>();
    snapshots.forEach(each -> names.add(each.getName() + " of " + each.getTableNameAsString()));
    return names;
  }

  private void snapshots() {
    Pattern any = Pattern.compile(".*");
    shell.command("list_snapshots", "", () -> named(admin.listSnapshots(any)));
    shell.command("list_table_snapshots", "'shelltools'", () -> named(admin.listTableSnapshots(Pattern.compile("shelltools"), any)));
    shell.done("delete_snapshot", "'nobody'", () -> admin.deleteSnapshot("nobody"));
    shell.done("restore_snapshot", "'nobody'", () -> admin.restoreSnapshot("nobody", false, false));
    shell.done("clone_snapshot", "'nobody', 'shellclone'",
      () -> admin.cloneSnapshot("nobody", TableName.valueOf("shellclone"), false, (String) null));
    shell.done("snapshot", "'shelltools', 'kept'", () -> admin.snapshot("kept", NAME));
    shell.done("snapshot", "'shelltools', 'held'", () -> admin.snapshot("held", NAME));
    shell.done("snapshot", "'nobody', 'other'", () -> admin.snapshot("other", TableName.valueOf("nobody")));
    shell.done("clone_snapshot", "'kept', 'shellclone'", () -> {
      admin.cloneSnapshot("kept", TableName.valueOf("shellclone"), false, (String) null);
      beside.disableTable(TableName.valueOf("shellclone"));
      beside.deleteTable(TableName.valueOf("shellclone"));
    });
    shell.done("delete_all_snapshot", "'ke.*'", () -> {
      if (!admin.listSnapshots(Pattern.compile("ke.*")).isEmpty()) {
        admin.deleteSnapshots(Pattern.compile("ke.*"));
      }
    });
    shell.done("delete_table_snapshots", "'shelltools'", () -> {
      for (SnapshotDescription each : admin.listTableSnapshots(Pattern.compile("shelltools"), any)) {
        admin.deleteSnapshot(each.getName());
      }
    });
  }

  private interface ChangedPeer {
    ReplicationPeerConfig of(ReplicationPeerConfig config) throws Exception;
  }

  private void changesPeer(String command, String words, ChangedPeer change) {
    shell.done(command, words, () -> {
      shell.note("Admin.getReplicationPeerConfig");
      shell.note("Admin.updateReplicationPeerConfig"); // where there is the peer
      admin.updateReplicationPeerConfig(PEER, change.of(admin.getReplicationPeerConfig(PEER)));
    });
  }

  /** Of a peer that is not there; then one is made. */
  private void replication() {
    shell.command("list_peers", "", () -> admin.listReplicationPeers());
    shell.command("list_peer_configs", "", () -> admin.listReplicationPeers());
    shell.done("get_peer_config", "'1'", () -> admin.getReplicationPeerConfig(PEER));
    shell.done("show_peer_tableCFs", "'1'",
      () -> ReplicationPeerConfigUtil.convertToString(admin.getReplicationPeerConfig(PEER).getTableCFsMap()));
    shell.done("enable_peer", "'1'", () -> admin.enableReplicationPeer(PEER));
    shell.done("disable_peer", "'1'", () -> admin.disableReplicationPeer(PEER));
    shell.done("remove_peer", "'1'", () -> admin.removeReplicationPeer(PEER));
    changesPeer("update_peer_config", "'1', CONFIG => {'k' => 'v'}",
      config -> ReplicationPeerConfig.newBuilder(config).putConfiguration("k", "v").build());
    changesPeer("set_peer_tableCFs", "'1', {'shelltools' => ['f']}",
      config -> ReplicationPeerConfig.newBuilder(config).setTableCFsMap(FAMILIES).build());
    shell.done("append_peer_tableCFs", "'1', {'shelltools' => ['f']}", () -> admin.appendReplicationPeerTableCFs(PEER, FAMILIES));
    shell.done("remove_peer_tableCFs", "'1', {'shelltools' => ['f']}", () -> admin.removeReplicationPeerTableCFs(PEER, FAMILIES));
    for (String verb : Arrays.asList("set", "append", "remove")) {
      changesPeer(verb + "_peer_exclude_tableCFs", "'1', {'shelltools' => ['f']}",
        config -> ReplicationPeerConfig.newBuilder(config).setExcludeTableCFsMap(FAMILIES).build());
      changesPeer(verb + "_peer_namespaces", "'1', ['default']",
        config -> ReplicationPeerConfig.newBuilder(config).setNamespaces(Collections.singleton("default")).build());
      changesPeer(verb + "_peer_exclude_namespaces", "'1', ['default']",
        config -> ReplicationPeerConfig.newBuilder(config).setExcludeNamespaces(Collections.singleton("default")).build());
    }
    changesPeer("set_peer_bandwidth", "'1', 1024", config -> ReplicationPeerConfig.newBuilder(config).setBandwidth(1024).build());
    changesPeer("set_peer_replicate_all", "'1', true",
      config -> ReplicationPeerConfig.newBuilder(config).setReplicateAllUserTables(true).build());
    changesPeer("set_peer_serial", "'1', true", config -> ReplicationPeerConfig.newBuilder(config).setSerial(true).build());
    shell.command("list_replicated_tables", "", () -> admin.listReplicatedTableCFs());
    shell.done("enable_table_replication", "'shelltools'", () -> admin.enableTableReplication(NAME));
    shell.done("enable_table_replication", "'nobody'", () -> admin.enableTableReplication(TableName.valueOf("nobody")));
    shell.done("disable_table_replication", "'shelltools'", () -> admin.disableTableReplication(NAME));
    shell.command("peer_modification_enabled", "", () -> admin.isReplicationPeerModificationEnabled());
    shell.command("peer_modification_switch", "false", () -> admin.replicationPeerModificationSwitch(false, false));
    shell.command("peer_modification_switch", "true", () -> admin.replicationPeerModificationSwitch(true, false));
    shell.done("add_peer", "'1', CLUSTER_KEY => '127.0.0.1:1:/elsewhere', STATE => 'DISABLED'", () -> {
      admin.addReplicationPeer(PEER, ReplicationPeerConfig.newBuilder().setClusterKey("127.0.0.1:1:/elsewhere").build(), false);
      beside.removeReplicationPeer(PEER);
    });
  }

  // --- quotas, security --------------------------------------------------------------------------------------------------

  private void quotas() {
    shell.done("set_quota", "TYPE => THROTTLE, TABLE => 'shelltools', LIMIT => '10req/sec'",
      () -> admin.setQuota(QuotaSettingsFactory.throttleTable(NAME, ThrottleType.REQUEST_NUMBER, 10, TimeUnit.SECONDS)));
    shell.done("set_quota", "TYPE => SPACE, TABLE => 'shelltools', LIMIT => '1G', POLICY => NO_INSERTS",
      () -> admin.setQuota(QuotaSettingsFactory.limitTableSpace(NAME, 1 << 30, SpaceViolationPolicy.NO_INSERTS)));
    shell.done("set_quota", "USER => 'u', GLOBAL_BYPASS => true", () -> admin.setQuota(QuotaSettingsFactory.bypassGlobals("u", true)));
    shell.command("list_quotas", "TABLE => 'shelltools'", () -> {
      int count = 0;
      try (QuotaRetriever found = admin.getQuotaRetriever(new QuotaFilter().setTableFilter("shelltools"))) {
        for (QuotaSettings each : found) {
          count += each == null ? 0 : 1;
        }
      }
      return count;
    });
    shell.command("list_quota_table_sizes", "", () -> admin.getSpaceQuotaTableSizes());
    shell.command("list_quota_snapshots", "", () -> QuotaTableUtil.getSnapshots(connection));
    shell.command("list_quota_snapshots", "REGIONSERVER => '<server>'", () -> admin.getRegionServerSpaceQuotaSnapshots(server()));
    shell.command("list_snapshot_sizes", "", () -> QuotaTableUtil.getObservedSnapshotSizes(connection));
    shell.command("enable_rpc_throttle", "", () -> admin.switchRpcThrottle(true));
    shell.command("disable_rpc_throttle", "", () -> admin.switchRpcThrottle(false));
    shell.command("enable_exceed_throttle_quota", "", () -> admin.exceedThrottleQuotaSwitch(true));
    shell.command("disable_exceed_throttle_quota", "", () -> admin.exceedThrottleQuotaSwitch(false));
  }

  /** What commands of security and labels look for first. */
  private void available(SecurityCapability wanted, String what) throws Exception {
    if (!admin.getSecurityCapabilities().contains(wanted)) {
      throw new IllegalArgumentException("DISABLED: " + what + " not available");
    }
  }

  private void asked(String command, String words, Story.Work work) {
    shell.done(command, words, () -> {
      available(SecurityCapability.AUTHORIZATION, "Security features are");
      work.run();
    });
    shell.done(command, words + " without looking first", work);
  }

  private static void thrown(Throwable error) throws Exception {
    throw error instanceof Exception ? (Exception) error : new IllegalStateException(error);
  }

  private interface Any {
    void run() throws Throwable;
  }

  private static void any(Any work) throws Exception {
    try {
      work.run();
    } catch (Throwable error) { // what these clients declare
      thrown(error);
    }
  }

  private void security() {
    shell.command("list_security_capabilities", "", () -> admin.getSecurityCapabilities());
    asked("grant", "'u', 'RW', 'shelltools'",
      () -> any(() -> AccessControlClient.grant(connection, NAME, "u", null, null, Permission.Action.READ)));
    asked("revoke", "'u', 'shelltools'",
      () -> any(() -> AccessControlClient.revoke(connection, NAME, "u", null, null, Permission.Action.READ)));
    asked("user_permission", "'shelltools'", () -> any(() -> AccessControlClient.getUserPermissions(connection, "shelltools")));
  }

  private void labelled(String command, String words, Story.Work work) {
    shell.done(command, words, () -> {
      available(SecurityCapability.CELL_VISIBILITY, "Visibility labels feature is");
      work.run();
    });
    shell.done(command, words + " without looking first", work);
  }

  private void labels() {
    labelled("add_labels", "'secret'", () -> any(() -> VisibilityClient.addLabels(connection, new String[] {"secret"})));
    labelled("list_labels", "", () -> any(() -> VisibilityClient.listLabels(connection, ".*")));
    labelled("set_auths", "'u', 'secret'", () -> any(() -> VisibilityClient.setAuths(connection, new String[] {"secret"}, "u")));
    labelled("get_auths", "'u'", () -> any(() -> VisibilityClient.getAuths(connection, "u")));
    labelled("clear_auths", "'u', 'secret'", () -> any(() -> VisibilityClient.clearAuths(connection, new String[] {"secret"}, "u")));
  }

  /**
   * A call of RSGroupAdminService, as RSGroupAdminClient makes them; its messages are in a jar that clients have no other
   * need of, and here they are empty.
   */
  private void group(String method) throws Exception {
    FileDescriptor file = FileDescriptor.buildFrom(FileDescriptorProto.newBuilder().setName("groups").setPackage("hbase.pb")
      .addMessageType(DescriptorProto.newBuilder().setName("Empty")).addService(ServiceDescriptorProto.newBuilder()
        .setName("RSGroupAdminService").addMethod(MethodDescriptorProto.newBuilder().setName(method)
          .setInputType(".hbase.pb.Empty").setOutputType(".hbase.pb.Empty"))).build(), new FileDescriptor[0]);
    ServiceDescriptor service = file.findServiceByName("RSGroupAdminService");
    DynamicMessage empty = DynamicMessage.getDefaultInstance(file.findMessageTypeByName("Empty"));
    try {
      shell.note("RSGroupAdminService." + method);
      beside.coprocessorService().callBlockingMethod(service.findMethodByName(method), null, empty, empty);
    } catch (ServiceException failed) {
      thrown(failed.getCause() == null ? failed : failed.getCause());
    }
  }

  private void groups() {
    String[][] commands = {
      {"list_rsgroups", "", "ListRSGroupInfos"},
      {"get_rsgroup", "'group'", "GetRSGroupInfo"},
      {"add_rsgroup", "'group'", "AddRSGroup"},
      {"remove_rsgroup", "'group'", "RemoveRSGroup"},
      {"balance_rsgroup", "'group'", "BalanceRSGroup"},
      {"move_servers_rsgroup", "'group', ['<server>']", "MoveServers"},
      {"move_tables_rsgroup", "'group', ['shelltools']", "MoveTables"},
      {"move_namespaces_rsgroup", "'group', ['default']", "MoveTables"},
      {"move_servers_tables_rsgroup", "'group', ['<server>'], ['shelltools']", "MoveServersAndTables"},
      {"move_servers_namespaces_rsgroup", "'group', ['<server>'], ['default']", "MoveServersAndTables"},
      {"get_server_rsgroup", "'<server>'", "GetRSGroupInfoOfServer"},
      {"get_table_rsgroup", "'shelltools'", "GetRSGroupInfoOfTable"},
      {"remove_servers_rsgroup", "['<server>']", "RemoveServers"},
      {"rename_rsgroup", "'group', 'other'", "RenameRSGroup"},
      {"alter_rsgroup_config", "'group', {METHOD => 'set', 'k' => 'v'}", "GetRSGroupInfo"},
      {"show_rsgroup_config", "'group'", "GetRSGroupInfo"},
    };
    for (String[] each : commands) {
      shell.done(each[0], each[1], () -> group(each[2]));
    }
  }

  // --- the end -----------------------------------------------------------------------------------------------------------

  private void ends() {
    shell.command("stop_regionserver", "'<server>'", () -> {
      ServerName stopped = beside.getClusterMetrics().getServersName().get(0);
      admin.stopRegionServer(stopped.getHostname() + ":" + stopped.getPort());
      for (int tries = 0; tries < 300 && beside.getClusterMetrics().getServersName().contains(stopped); tries++) {
        Thread.sleep(100);
      }
      return beside.getClusterMetrics().getServersName().contains(stopped) ? "it is still there" : "it has gone";
    });
    shell.done("stop_master", "", () -> admin.stopMaster());
  }
}
