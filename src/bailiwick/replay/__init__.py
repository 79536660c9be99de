"""Replay: what happened, stepped through again, and what other rules or agents would have done."""
