"""Logins with a password: how it is kept and checked, and what is asked for beside it."""
