"""What others reach on the same server: each rival is measured in a process of its own.

A rival's process prints one JSON document; :func:`run_rival` starts it and
reads that. A rival whose package is not installed says so and is no error.
"""

from bailiwick.bench.rivals.launching import RIVALS, run_rival
from bailiwick.bench.rivals.result import Measurement, RivalResult

__all__ = ["RIVALS", "Measurement", "RivalResult", "run_rival"]
