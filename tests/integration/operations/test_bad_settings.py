"""Settings that went bad in the database: the sweep says so, and goes on once they are mended."""

from bailiwick.packs.operations.settings import save_settings
from bailiwick.tasks import NewTask
from tests.integration.operations.conftest import Office


async def test_a_sweep_over_bad_settings_is_discarded_once_with_what_to_mend(office: Office):
    installation, organization_id = office.installation, office.organization.id
    await installation.database.execute(
        """update organizations set settings = '{"operations": {"sla_seconds": {"P1": "soon"}}}' where id = %s""",
        (organization_id,),
        organization_id=organization_id,
    )
    await installation.queue.enqueue(organization_id, NewTask("sla.sweep", {}))

    async with installation.run_worker():
        await office.idle()
        (failed,) = [one for one in await office.discarded() if one["kind"] == "sla.sweep"]
        assert "sla_seconds.P1" in failed["reason"]
        assert f"bailiwick orgs settings set {organization_id}" in failed["reason"]
        assert len(failed["errors"]) == 1

        await save_settings(installation.database, organization_id, {"sla_seconds": {"P1": 60}})
        await installation.queue.enqueue(organization_id, NewTask("sla.sweep", {}))
        await office.idle()

    assert len([one for one in await office.discarded() if one["kind"] == "sla.sweep"]) == 1
