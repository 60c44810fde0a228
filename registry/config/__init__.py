"""Settings from hbase-site.xml, environment and flags, each with its origin."""
