"""Policy: rules as data, read, tested, compiled and kept by version."""

from bailiwick.authority.policy.policies import Policies

__all__ = ["Policies"]
