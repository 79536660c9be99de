"""Named sensitive fields: which columns hold sealed values, so that they can be sealed anew."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column of type ``bytea`` whose values went through ``Vault.seal``.

    ``purpose`` is what they are sealed for, with the row's own columns in
    braces: ``connections.credentials:{id}``. Naming the row keeps a value from
    being moved to another row. ``key`` is the primary key. A table that
    belongs to no organization seals for ``INSTALLATION``.
    """

    table: str
    column: str
    purpose: str
    key: str = "id"
    is_tenants: bool = True

    def purpose_of(self, row: Mapping[str, object]) -> str:
        """Return the purpose of the value in one row, given the columns that the purpose names."""
        return self.purpose.format(**row)
