"""Packs: what gives the platform a meaning in one domain. Each registers like any extension."""
