"""The audit log: who did what to what, append-only and chained, so that any later change shows."""

from bailiwick.audit.log import AuditLog
from bailiwick.audit.model import SYSTEM, Act, Actor, Entry, EntryFilter

__all__ = ["SYSTEM", "Act", "Actor", "AuditLog", "Entry", "EntryFilter"]
