"""Coprocessor endpoints: HBase's own, done on the loop turn by turn, and users' own, each call in a thread."""
