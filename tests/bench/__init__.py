"""Benchmarks: `make bench`. Ratios against the floor measured in the same run; nothing here is asserted on time."""
