"""A package by name, so that no installed package's ``tests`` is taken for ours."""
