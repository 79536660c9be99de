"""The operations pack: issues come in, departments work on them, people see status, service levels and evidence."""

from bailiwick.packs.operations.extension import OperationsExtension, extension

__all__ = ["OperationsExtension", "extension"]
