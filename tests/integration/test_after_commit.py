"""What is to be said of a transaction is said once it is committed, and never if it is not."""

import pytest

from bailiwick.storage import Database
from bailiwick.storage.database import after_commit


async def test_it_is_called_once_after_the_commit(database: Database) -> None:
    called: list[bool] = []

    def call() -> None:
        called.append(True)

    async with database.transaction() as connection:
        after_commit(connection, call)
        after_commit(connection, call)
        assert called == []
    assert called == [True]
    async with database.transaction():
        pass
    assert called == [True]


async def test_nothing_is_called_after_a_rollback_not_even_by_who_commits_next(database: Database) -> None:
    called: list[bool] = []

    async def rolled_back() -> None:
        async with database.transaction() as connection:
            after_commit(connection, lambda: called.append(True))
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await rolled_back()
    for _ in range(10):
        async with database.transaction():
            pass
    assert called == []
