"""Benchmarks: what Bailiwick does per second, beside rivals and limits measured in the same run."""
