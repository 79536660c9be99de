"""DBOS: workflows of one and of five steps, called, started and through its queue.

Usage: python -m bailiwick.bench.rivals.dbos_rival --url URL --seconds N [--json]
"""

import importlib
import sys

from bailiwick.bench.rivals.entry import Measure, run_entry


def _load() -> Measure:
    # DBOS is an optional package, and its decorators act when their module is imported.
    measure: Measure = importlib.import_module("bailiwick.bench.rivals.dbos_workloads").run
    return measure


if __name__ == "__main__":
    sys.exit(run_entry("dbos", _load, package="dbos"))
