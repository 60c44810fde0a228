import static org.apache.hadoop.hbase.util.Bytes.toBytes;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.Admin;
import org.apache.hadoop.hbase.client.ColumnFamilyDescriptorBuilder;
import org.apache.hadoop.hbase.client.Get;
import org.apache.hadoop.hbase.client.Increment;
import org.apache.hadoop.hbase.client.Put;
import org.apache.hadoop.hbase.client.Table;
import org.apache.hadoop.hbase.client.TableDescriptorBuilder;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

class GreetingsTest {
  @RegisterExtension static final HBeacon hbase = new HBeacon();

  private static final TableName GREETINGS = TableName.valueOf("greetings");
  private static final byte[] F = toBytes("f"), Q = toBytes("q"), ROW = toBytes("row"), HELLO = toBytes("hello");

  /** Each test finds an empty cluster: this would fail before the second one otherwise. */
  @BeforeEach
  void create() throws IOException {
    try (Admin admin = hbase.connection().getAdmin()) {
      admin.createTable(TableDescriptorBuilder.newBuilder(GREETINGS)
          .setColumnFamily(ColumnFamilyDescriptorBuilder.newBuilder(F).setTimeToLive(3600).build())
          .build());
    }
  }

  @Test
  void whatIsWrittenIsRead() throws IOException {
    try (Table table = hbase.connection().getTable(GREETINGS)) {
      table.put(new Put(ROW).addColumn(F, Q, HELLO));
      assertArrayEquals(HELLO, table.get(new Get(ROW)).getValue(F, Q));
    }
  }

  @Test
  void cellsExpireAnHourLater() throws IOException {
    try (Table table = hbase.connection().getTable(GREETINGS)) {
      table.put(new Put(ROW).addColumn(F, Q, HELLO));
      hbase.ask("advance", "minutes=59");
      assertTrue(table.exists(new Get(ROW)));
      hbase.ask("advance", "minutes=2");
      assertFalse(table.exists(new Get(ROW)));
    }
  }

  @Test
  void aLostAnswerDoesNotCountTwice() throws IOException {
    try (Table table = hbase.connection().getTable(GREETINGS)) {
      table.increment(new Increment(ROW).addColumn(F, Q, 1));
      hbase.ask("fault", "drop", "methods=Mutate", "count=1");
      table.increment(new Increment(ROW).addColumn(F, Q, 1)); // the client asks again, with the same nonce
      assertArrayEquals(toBytes(2L), table.get(new Get(ROW)).getValue(F, Q));
    }
  }
}
