"""The garbage collector, set for a process that executes thousands of tasks at once."""

import gc

# New objects that start a collection of the young, and how many of those a
# collection of the middle and of the old generation takes.
_THRESHOLDS = (50_000, 20, 50)


def relax_collector() -> None:
    """Look for cycles less often, and never again among what was imported.

    With Python's own thresholds half of a busy worker's time went into walking
    live runs in search of garbage that reference counts had freed long before.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
