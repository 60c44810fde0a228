"""Tables, namespaces and regions: making, changing and moving them."""
