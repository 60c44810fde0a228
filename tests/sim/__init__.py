"""Seeded simulations: pure machines against models, many thousand steps a second, each repeatable by its seed."""
