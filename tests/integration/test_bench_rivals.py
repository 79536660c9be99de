"""The bare loop really passes tasks through PostgreSQL and leaves nothing behind."""

import psycopg

from bailiwick.bench.rivals import run_rival
from bailiwick.storage.embedded import EmbeddedServer


async def test_the_bare_loop_reports_rates_latencies_and_the_server_it_ran_on(postgres: EmbeddedServer) -> None:
    result = await run_rival("bare_loop", postgres.admin_url, seconds=0.5)
    assert result.reason is None
    assert result.available
    assert set(result.figures) == {"tasks_per_second", "serial_p50_ms", "serial_p95_ms"}
    assert all(figure > 0 for figure in result.figures.values())
    assert result.figures["serial_p50_ms"] <= result.figures["serial_p95_ms"]
    assert result.server["fsync"] == "off"  # this test server's setting, which a reader has to be told
    with psycopg.connect(postgres.admin_url) as admin:
        left_over = admin.execute("select datname from pg_database where datname like 'bench%'").fetchall()
    assert left_over == []
