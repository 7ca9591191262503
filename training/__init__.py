"""Learns: data sets to checkpoints (see docs/design.md)."""
