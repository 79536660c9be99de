"""Extensions: the one way in for features, ours and others' alike."""

from bailiwick.extensions.loading import ExtensionStatus, find_extensions, register_extensions
from bailiwick.extensions.registrar import Extension, Kernel, Registrar, Registry

__all__ = ["Extension", "ExtensionStatus", "Kernel", "Registrar", "Registry", "find_extensions", "register_extensions"]
