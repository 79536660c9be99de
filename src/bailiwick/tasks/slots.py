"""A worker's slots: how many tasks it takes on, and how many of one organization."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bailiwick.tasks.model import Task


class Slots:
    """Counts what a worker holds. One organization gets at most ``share`` of ``total`` slots."""

    def __init__(self, total: int) -> None:
        self._total = total
        # A fifth stays open to others, so that the first task of another
        # organization never waits for the backlog of one.
        self.share = max(1, total - max(1, total // 5)) if total > 1 else 1
        self._taken = 0
        self._held_by: Counter[str] = Counter()

    @property
    def free(self) -> int:
        """How many tasks more may be taken on."""
        return self._total - self._taken

    def has_room(self, organization_id: str) -> bool:
        """Tell whether a task of that organization may be taken on."""
        return self.free > 0 and self._held_by[organization_id] < self.share

    def take(self, organization_id: str) -> None:
        """Count a task that is taken on."""
        self._taken += 1
        self._held_by[organization_id] += 1

    def take_what_fits(self, tasks: "Sequence[Task]") -> "tuple[list[Task], list[Task]]":
        """Count the tasks there is room for, in their order; return them, and those there is none for."""
        fitting: list[Task] = []
        surplus: list[Task] = []
        for task in tasks:
            if self.has_room(task.organization_id):
                self.take(task.organization_id)
                fitting.append(task)
            else:
                surplus.append(task)
        return fitting, surplus

    def leave(self, organization_id: str) -> None:
        """Count a task that has ended here."""
        self._taken -= 1
        self._held_by[organization_id] -= 1
        if not self._held_by[organization_id]:
            del self._held_by[organization_id]

    def rooms(self) -> dict[str, int]:
        """Return how many more may be taken of each organization that has some here; of others, the share."""
        return {organization: max(0, self.share - held) for organization, held in self._held_by.items()}

    def capped(self, tasks: "Sequence[Task]", rooms: Mapping[str, int]) -> list[str]:
        """Return the organizations that were given all there was room for: they may have more."""
        given = Counter(task.organization_id for task in tasks)
        return [one for one in {*given, *rooms} if given[one] >= rooms.get(one, self.share)]
