"""Every table is declared: as a place of personal data, or as holding none."""

from bailiwick.privacy.finding import Search
from bailiwick.privacy.redaction import Redaction
from tests.integration.privacy.conftest import Bureau


async def test_every_table_with_texts_is_declared(bureau: Bureau) -> None:
    privacy = bureau.installation.privacy
    undeclared = await privacy.data_map.undeclared(bureau.installation.database)
    assert not undeclared, "declare them in privacy/platform.py, or through the registrar in the pack"


async def test_every_declared_table_and_column_exists(bureau: Bureau) -> None:
    rows = await bureau.installation.database.fetch_all(
        "select c.relname as name, array_agg(a.attname::text) as columns from pg_class c "
        "join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped "
        "where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') group by 1"
    )
    columns = {row["name"]: set(row["columns"]) for row in rows}
    data_map = bureau.installation.privacy.data_map
    assert {*data_map.without, *(one.table for one in data_map.locations)} <= columns.keys()
    for location in data_map.locations:
        assert {*location.columns, *location.key} <= columns[location.table], location.table
        assert location.age is None or location.age in columns[location.table]


async def test_every_place_can_be_searched(bureau: Bureau) -> None:
    privacy = bureau.installation.privacy
    search = Search(bureau.acme.id, bureau.acme.id, Redaction(()), [bureau.acme.id], ["acme/shop#1"])
    for location in privacy.data_map.locations:
        assert await privacy.finder.count(location, search) == 0, location.table
