"""Outcomes: whether what was done worked, looked at later."""
