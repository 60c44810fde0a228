"""The Python client: where the cluster is, asked of registry servers or of ZooKeeper."""
