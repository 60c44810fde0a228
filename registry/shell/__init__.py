"""`hbeacon shell`: the words of hbase shell, at a prompt, in one line (`-e`) or from a file."""
