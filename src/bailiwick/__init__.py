"""Bailiwick: agents that run an organization's operations inside the authority people gave them."""

__version__ = "0.1.0"
