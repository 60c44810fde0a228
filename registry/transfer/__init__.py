"""Tables into files and back: what `hbeacon export` and `hbeacon import` do."""
