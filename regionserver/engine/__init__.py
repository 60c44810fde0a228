"""Ordered stores under regions: one small interface, and the engines that keep it."""
