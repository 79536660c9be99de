"""Procrastinate: defer, worker, done, with several concurrencies.

Usage: python -m bailiwick.bench.rivals.procrastinate_rival --url URL --seconds N [--json]
"""

import importlib
import sys

from bailiwick.bench.rivals.entry import Measure, run_entry


def _load() -> Measure:
    measure: Measure = importlib.import_module("bailiwick.bench.rivals.procrastinate_workloads").run
    return measure


if __name__ == "__main__":
    sys.exit(run_entry("procrastinate", _load, package="procrastinate"))
