"""Messages of our own, generated from the definitions beside them; HBase does not know them."""
