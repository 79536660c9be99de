"""The audit log: who did what to what, append-only and chained, so that any later change shows."""

from bailiwick.audit.log import AuditLog
from bailiwick.audit.model import ADMINISTRATOR, SYSTEM, Act, Actor, Entry, EntryFilter

__all__ = ["ADMINISTRATOR", "SYSTEM", "Act", "Actor", "AuditLog", "Entry", "EntryFilter"]
