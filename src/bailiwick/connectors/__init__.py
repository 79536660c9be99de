"""Connectors: how facts from outside systems come in, and effects go out."""
