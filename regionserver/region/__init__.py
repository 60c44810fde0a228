"""A region: HBase's rows, cells and versions over an ordered store that knows none of them."""
