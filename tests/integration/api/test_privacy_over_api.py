"""People's data over the API."""

import httpx

from tests.integration.api.conftest import Premises
from tests.support.engine import until

PRIVACY = "/api/v1/privacy"
ANN = {"identifiers": [{"kind": "email", "value": "ann@canary.test"}, {"kind": "name", "value": "Ann Lee"}]}


async def test_a_person_is_registered_asked_copied_and_erased(premises: Premises, acme: httpx.AsyncClient) -> None:
    subject = (await acme.post(f"{PRIVACY}/subjects", json=ANN)).json()["id"]
    assert (await acme.get(f"{PRIVACY}/subjects/email:Ann@canary.test")).json()["id"] == subject
    path = f"{PRIVACY}/subjects/{subject}/consents/marketing"
    body = {"state": "granted", "method": "web form", "text_version": "2"}
    assert (await acme.put(path, json=body)).json()["state"] == "granted"
    assert (await acme.put(path, json=body | {"state": "denied"})).status_code == 409
    history = (await acme.get(f"{path}/history")).json()
    assert [(one["from_state"], one["to_state"], one["actor_kind"]) for one in history] == [(None, "granted", "key")]
    assert len((await acme.get(f"{PRIVACY}/consents", params={"subject": subject})).json()["items"]) == 1

    hold = (await acme.post(f"{PRIVACY}/holds", json={"reason": "a case", "subject": subject})).json()["id"]
    wish = {"subject": "email:ann@canary.test", "kind": "erasure"}
    refused = await acme.post(f"{PRIVACY}/requests", json=wish)
    assert (refused.status_code, refused.json()["code"]) == (409, "legal_hold")
    assert (await acme.post(f"{PRIVACY}/holds/{hold}/release", json={"reason": "settled"})).status_code == 200

    copy = (await acme.post(f"{PRIVACY}/requests", json=wish | {"kind": "export"})).json()
    assert (await acme.get(f"{PRIVACY}/requests/{copy['id']}/archive")).status_code == 404
    async with premises.installation.run_worker():
        await _ends(acme, copy["id"])
        archive = await acme.get(f"{PRIVACY}/requests/{copy['id']}/archive")
        assert archive.json()["sections"]["identifiers"][0] == {"kind": "email", "value": "ann@canary.test"}
        assert archive.headers["cache-control"] == "no-store"
        erasure = (await acme.post(f"{PRIVACY}/requests", json=wish)).json()
        await _ends(acme, erasure["id"])
    certificate = (await acme.get(f"{PRIVACY}/requests/{erasure['id']}/certificate")).json()
    assert (await premises.installation.privacy.certificates.verify(certificate)).is_valid
    assert (await acme.get(f"{PRIVACY}/requests/{copy['id']}/archive")).status_code == 404
    assert (await acme.get(f"{PRIVACY}/subjects/{subject}")).json()["erased_at"] is not None


async def test_another_organization_finds_nobody(premises: Premises, acme: httpx.AsyncClient) -> None:
    subject = (await acme.post(f"{PRIVACY}/subjects", json=ANN)).json()["id"]
    copy = (await acme.post(f"{PRIVACY}/requests", json={"subject": subject, "kind": "export"})).json()["id"]
    hold = (await acme.post(f"{PRIVACY}/holds", json={"reason": "a case"})).json()["id"]
    async with premises.client(premises.rival_key) as rival:
        for path in (
            f"subjects/{subject}", "subjects/email:ann@canary.test", f"subjects/{subject}/consents/marketing/history",
            f"requests/{copy}", f"requests/{copy}/archive", f"requests/{copy}/certificate",
        ):  # fmt: skip
            assert (await rival.get(f"{PRIVACY}/{path}")).status_code == 404, path
        for path in ("subjects", "consents", "requests", "holds"):
            assert (await rival.get(f"{PRIVACY}/{path}")).json()["items"] == [], path
        for path, body in (
            ("requests", {"subject": subject, "kind": "erasure"}), (f"holds/{hold}/release", {"reason": "mine"}),
            ("holds", {"reason": "mine", "subject": subject}),
        ):  # fmt: skip
            assert (await rival.post(f"{PRIVACY}/{path}", json=body)).status_code == 404, path
        consent = {"state": "granted", "method": "x"}
        answer = await rival.put(f"{PRIVACY}/subjects/{subject}/consents/marketing", json=consent)
        assert answer.status_code == 404


async def test_retention_is_read_and_set(acme: httpx.AsyncClient) -> None:
    answer = await acme.put(f"{PRIVACY}/retention/operations", json={"days": 90})
    assert answer.json()["days"] == 90
    items = {one["name"]: one for one in (await acme.get(f"{PRIVACY}/retention")).json()["items"]}
    assert (items["operations"]["days"], items["audit"]["days"]) == (90, 7 * 365)
    assert (await acme.put(f"{PRIVACY}/retention/audit", json={"days": 90})).status_code == 422


async def _ends(client: httpx.AsyncClient, request_id: str) -> None:
    async def ended() -> bool:
        return (await client.get(f"{PRIVACY}/requests/{request_id}")).json()["state"] == "done"

    await until(ended, "the request is done", seconds=30, every_seconds=0.05)
