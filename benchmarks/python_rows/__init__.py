"""Rows from Python: hbeacon's client and its façade of happybase beside happybase through Thrift, and hbase-driver."""
