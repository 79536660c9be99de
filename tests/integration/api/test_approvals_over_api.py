"""Approvals over the API: seen whole, answered by people, signed where the account has a passkey."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from bailiwick.audit import SYSTEM
from bailiwick.authority.approvals.signing import verify_answer
from bailiwick.identity.people.accounts import User
from bailiwick.kernel.errors import UnauthorizedError
from tests.integration.api.conftest import Premises
from tests.support.approvals import ask, furnish_tool
from tests.support.authenticator import Authenticator


@pytest.fixture(autouse=True)
def _tool(premises: Premises, tmp_path: Path) -> None:
    furnish_tool(premises.installation, tmp_path)


async def logged_in(premises: Premises, user: User) -> httpx.AsyncClient:
    return premises.client((await premises.log_in(user)).access)


async def with_passkey(premises: Premises, user: User) -> Authenticator:
    passkeys = premises.installation.ways_in.passkeys
    key = Authenticator(passkeys.relying_party.origin)
    begun = await passkeys.begin_registration(user.id, user.email, user.name)
    await passkeys.finish_registration(
        user.id, begun.ceremony, key.create(begun.options), "key", actor=SYSTEM
    )  # fmt: skip
    return key


async def signed(client: httpx.AsyncClient, key: Authenticator, path: str, said: dict[str, Any]) -> dict[str, Any]:
    """What a browser sends with an answer once its owner touched the key."""
    begun = (await client.post(path, json=said)).raise_for_status().json()
    return {"ceremony": begun["ceremony"], "credential": key.get(begun["options"])}


async def test_everything_that_an_answer_is_about_is_shown(premises: Premises) -> None:
    admin = await premises.user("ada", acme="admin")
    labels = frozenset({"untrusted:github"})
    made = await ask(premises.installation, premises.acme.id, labels=labels, free_text=("text",))
    async with await logged_in(premises, admin) as client:
        [listed] = (await client.get("/api/v1/approvals?state=waiting")).json()["items"]
        shown = (await client.get(f"/api/v1/approvals/{made.id}")).json()
    assert listed["id"] == shown["id"] == made.id
    assert shown["arguments"] == {"name": "greetings", "text": "hello"}
    assert (shown["observed"], shown["price"], shown["reason"]) == ([], "0.50", "an answer is due")
    assert (shown["rule"], shown["undo"]) == ("greetings", "a line takes it back within a day")
    assert (shown["untrusted"], shown["free_text"], shown["on_expiry"]) == (True, ["text"], "deny")
    assert {"ada", "Founder"} == {one["name"] for one in shown["eligible"]}
    assert shown["is_rememberable"] is False


async def test_a_person_answers_and_is_refused_another_digest(premises: Premises) -> None:
    admin = await premises.user("ada", acme="admin")
    made = await ask(premises.installation, premises.acme.id)
    path = f"/api/v1/approvals/{made.id}/answer"
    async with await logged_in(premises, admin) as client:
        stale = await client.post(path, json={"decision": "approve", "digest": "0" * 64})
        assert (stale.status_code, stale.json()["code"]) == (409, "approval.changed")
        assert "look again" in stale.json()["detail"]
        answered = await client.post(path, json={"decision": "approve", "digest": made.digest, "reason": "fine"})
        assert (answered.status_code, answered.json()["state"]) == (200, "approved")
        again = await client.post(path, json={"decision": "reject", "digest": made.digest})
        assert (again.status_code, again.json()["code"]) == (409, "approval.over")


async def test_a_programs_key_answers_nothing_and_a_persons_counts_as_the_person(premises: Premises) -> None:
    admin = await premises.user("ada", acme="admin")
    made = await ask(premises.installation, premises.acme.id, quorum=2)
    body = {"decision": "approve", "digest": made.digest}
    path = f"/api/v1/approvals/{made.id}/answer"
    async with premises.client(premises.acme_key) as program:
        refused = await program.post(path, json=body)
        assert (refused.status_code, refused.json()["code"]) == (403, "approval.not_yours")
    async with await logged_in(premises, admin) as client:
        assert (await client.post(path, json=body)).json()["missing"] == 1
        key = (await client.post("/api/v1/keys", json={"name": "mine"})).json()
    async with premises.client(key["key"]) as own:
        again = await own.post(path, json=body)
        assert again.json()["code"] == "approval.over", "the key's owner was heard"


async def test_a_key_answers_no_more_than_it_was_made_for(premises: Premises) -> None:
    admin = await premises.user("ada", acme="admin")
    made = await ask(premises.installation, premises.acme.id)
    said = {"digest": made.digest, "decision": "approve"}
    async with await logged_in(premises, admin) as client:
        lesser = (await client.post("/api/v1/keys", json={"name": "lesser", "role": "operator"})).json()["key"]
        whole = (await client.post("/api/v1/keys", json={"name": "whole"})).json()["key"]
    async with premises.client(lesser) as client:
        refused = await client.post(f"/api/v1/approvals/{made.id}/answer", json=said)
        assert (refused.status_code, refused.json()["code"]) == (403, "approval.not_yours")
    async with premises.client(whole) as client:
        assert (await client.post(f"/api/v1/approvals/{made.id}/answer", json=said)).json()["state"] == "approved"


async def test_an_account_with_a_passkey_signs_what_it_says(premises: Premises) -> None:
    admin = await premises.user("ada", acme="admin")
    key = await with_passkey(premises, admin)
    made = await ask(premises.installation, premises.acme.id)
    path = f"/api/v1/approvals/{made.id}"
    said = {"decision": "approve", "digest": made.digest}
    async with await logged_in(premises, admin) as client:
        bare = await client.post(f"{path}/answer", json=said)
        assert (bare.status_code, bare.json()["code"]) == (403, "approval.signature_needed")
        no = await signed(client, key, f"{path}/signature", said | {"decision": "reject"})
        crossed = await client.post(f"{path}/answer", json=said | {"signature": no})
        assert crossed.status_code == 401, "a signature of a no says no yes"
        other = await ask(premises.installation, premises.acme.id, target="file:other")
        elsewhere = await signed(
            client, key, f"/api/v1/approvals/{other.id}/signature", said | {"digest": other.digest}
        )
        assert (await client.post(f"{path}/answer", json=said | {"signature": elsewhere})).status_code == 401
        yes = await signed(client, key, f"{path}/signature", said)
        answered = await client.post(f"{path}/answer", json=said | {"signature": yes})
        assert answered.json()["state"] == "approved"
        replayed = await client.post(f"{path}/answer", json=said | {"signature": yes})
        assert replayed.status_code == 401
    await _verifies_offline(premises, made.id)


async def _verifies_offline(premises: Premises, approval_id: str) -> None:

    approvals = premises.installation.approvals
    found = await approvals.get(premises.acme.id, approval_id)
    [answer] = await approvals.answers(premises.acme.id, approval_id)
    assert await verify_answer(found, answer)
    assert answer.proof is not None
    for bent in (
        replace(answer, decision="reject"),
        replace(answer, answered_by="user:somebody-else"),
        replace(answer, proof={**answer.proof, "statement": answer.proof["statement"].replace("approve", "reject")}),
        replace(answer, proof={**answer.proof, "public_key": "00"}),
        replace(answer, proof={"user": answer.proof["user"]}),
    ):
        with pytest.raises(UnauthorizedError):
            await verify_answer(found, bent)
    with pytest.raises(UnauthorizedError):
        await verify_answer(replace(found, digest="0" * 64), answer)


async def test_somebody_elses_passkey_signs_nothing_here(premises: Premises) -> None:
    ada, bob = await premises.user("ada", acme="admin"), await premises.user("bob", acme="admin")
    await with_passkey(premises, ada)
    key = await with_passkey(premises, bob)
    made = await ask(premises.installation, premises.acme.id)
    said = {"decision": "approve", "digest": made.digest}
    async with await logged_in(premises, ada) as client:
        wrong = await signed(client, key, f"/api/v1/approvals/{made.id}/signature", said)
        refused = await client.post(f"/api/v1/approvals/{made.id}/answer", json=said | {"signature": wrong})
        assert refused.status_code == 401


async def test_an_edit_is_signed_with_its_arguments_and_fits_the_tool(premises: Premises) -> None:
    admin = await premises.user("ada", acme="admin")
    key = await with_passkey(premises, admin)
    made = await ask(premises.installation, premises.acme.id)
    path = f"/api/v1/approvals/{made.id}"
    wanted = {"name": "greetings", "text": "good morning"}
    said = {"digest": made.digest, "arguments": wanted}
    async with await logged_in(premises, admin) as client:
        misfit = await client.post(f"{path}/edit", json=said | {"arguments": {"name": "NO SUCH NAME"}})
        assert misfit.status_code == 422
        signature = await signed(client, key, f"{path}/signature", said | {"decision": "edit"})
        bent = said | {"arguments": wanted | {"text": "pay"}, "signature": signature}
        assert (await client.post(f"{path}/edit", json=bent)).status_code == 401
        signature = await signed(client, key, f"{path}/signature", said | {"decision": "edit"})
        assert (await client.post(f"{path}/edit", json=said | {"signature": signature})).json()["state"] == "edited"
        shown = (await client.get(path)).json()
    assert shown["edited"] == wanted
    found = await premises.installation.approvals.get(premises.acme.id, made.id)
    [answer] = await premises.installation.approvals.answers(premises.acme.id, made.id)
    assert await verify_answer(found, answer)


async def test_a_rule_is_signed_listed_and_revoked(premises: Premises) -> None:
    admin = await premises.user("ada", acme="admin")
    key = await with_passkey(premises, admin)
    made = await ask(premises.installation, premises.acme.id)
    path = f"/api/v1/approvals/{made.id}"
    said = {"decision": "approve", "digest": made.digest}
    rule: dict[str, Any] = {"name": "greetings", "max_price": "1.00", "bounds": {"text": {"max_length": 20}}}
    async with await logged_in(premises, admin) as client:
        signature = await signed(client, key, f"{path}/signature", said)
        await client.post(f"{path}/answer", json=said | {"signature": signature})
        assert (await client.post(f"{path}/rule", json=rule)).status_code == 403
        signature = await signed(client, key, f"{path}/rule/signature", rule)
        wider = rule | {"max_price": "1000", "signature": signature}
        assert (await client.post(f"{path}/rule", json=wider)).status_code == 401
        signature = await signed(client, key, f"{path}/rule/signature", rule)
        remembered = await client.post(f"{path}/rule", json=rule | {"signature": signature})
        assert (remembered.status_code, remembered.json()["target"]) == (201, "file:greetings")
        [listed] = (await client.get("/api/v1/approval-rules")).json()["items"]
        assert listed["revoked_at"] is None
        ended = await client.delete(f"/api/v1/approval-rules/{listed['id']}")
        assert ended.json()["revoked_at"] is not None


async def test_a_delegate_answers_for_somebody_else(premises: Premises) -> None:
    boss, helper = await premises.user("boss", acme="admin"), await premises.user("helper", acme="operator")
    made = await ask(premises.installation, premises.acme.id)
    async with await logged_in(premises, boss) as client:
        given = await client.post(
            "/api/v1/approval-delegations", json={"to_user": helper.id, "approval_id": made.id, "reason": "holidays"}
        )
        assert given.status_code == 201
    async with await logged_in(premises, helper) as client:
        body = {"decision": "approve", "digest": made.digest, "on_behalf_of": boss.id}
        assert (await client.post(f"/api/v1/approvals/{made.id}/answer", json=body)).json()["state"] == "approved"
        ended = await client.delete(f"/api/v1/approval-delegations/{given.json()['id']}")
        assert ended.status_code == 403
    async with await logged_in(premises, boss) as client:
        assert (await client.delete(f"/api/v1/approval-delegations/{given.json()['id']}")).status_code == 204
        [listed] = (await client.get("/api/v1/approval-delegations")).json()["items"]
        assert listed["revoked_at"] is not None


async def test_a_link_leads_its_logged_in_person_to_the_approval_once(premises: Premises) -> None:
    admin, other = await premises.user("ada", acme="admin"), await premises.user("bob", acme="admin")
    made = await ask(premises.installation, premises.acme.id)
    async with premises.client(premises.acme_key) as channel:
        link = (await channel.post(f"/api/v1/approvals/{made.id}/links", json={"user_id": admin.id})).json()
        refused = await channel.post("/api/v1/approvals/links/redeem", json={"token": link["token"]})
        assert refused.status_code == 403
    async with premises.client() as nobody:
        assert (await nobody.post("/api/v1/approvals/links/redeem", json={"token": link["token"]})).status_code == 401
    async with await logged_in(premises, other) as client:
        assert (await client.post("/api/v1/approvals/links/redeem", json={"token": link["token"]})).status_code == 422
    async with await logged_in(premises, admin) as client:
        led = await client.post("/api/v1/approvals/links/redeem", json={"token": link["token"]})
        assert led.json() == {"organization_id": premises.acme.id, "approval_id": made.id}
        assert (await client.post("/api/v1/approvals/links/redeem", json={"token": link["token"]})).status_code == 422
        assert (await client.get(f"/api/v1/approvals/{made.id}")).json()["state"] == "waiting"


async def test_another_organization_sees_and_moves_nothing(premises: Premises) -> None:
    admin = await premises.user("eve", rival="owner")
    made = await ask(premises.installation, premises.acme.id)
    body = {"decision": "approve", "digest": made.digest}
    async with await logged_in(premises, admin) as client:
        assert (await client.get("/api/v1/approvals")).json()["items"] == []
        path = f"/api/v1/approvals/{made.id}"
        for answer in (
            await client.get(path),
            await client.post(f"{path}/answer", json=body),
            await client.post(f"{path}/signature", json=body),
            await client.post(f"{path}/edit", json={"digest": made.digest, "arguments": {}}),
            await client.post(f"{path}/rule", json={}),
            await client.post(f"{path}/links", json={"user_id": admin.id}),
        ):
            assert answer.status_code == 404, answer.text
    assert (await premises.installation.approvals.get(premises.acme.id, made.id)).state == "waiting"


async def test_odd_answers_are_refused_and_break_nothing(premises: Premises) -> None:
    admin = await premises.user("ada", acme="admin")
    await with_passkey(premises, admin)
    made = await ask(premises.installation, premises.acme.id)
    path, digest = f"/api/v1/approvals/{made.id}", made.digest
    signature = '{"ceremony": "x", "credential": {"rawId": 7, "response": [1e999]}}'
    bodies = {
        "answer": (
            '{"decision": "approve", "digest": "%s", "reason": "\\ud800"}',
            '{"decision": "approve", "digest": "%s", "signature": ' + signature + "}",
            '{"decision": "approve", "digest": "%s", "on_behalf_of": "00000000-0000-0000-0000-000000000000"}',
        ),
        "edit": (
            '{"digest": "%s", "arguments": {"name": "a", "text": 123456789012345678901234567890}}',
            '{"digest": "%s", "arguments": {"name": "a", "text": "\\ud800"}}',
        ),
        "rule": ('{"name": "%s\\ud800"}', '{"bounds": {"%s": {"max": 123456789012345678901234567890}}}'),
        "rule/signature": ('{"bounds": {"%s": {"equals": 123456789012345678901234567890}}}',),
    }
    async with await logged_in(premises, admin) as client:
        for place, texts in bodies.items():
            for text in texts:
                answer = await client.post(
                    f"{path}/{place}", content=text % digest, headers={"content-type": "application/json"}
                )
                assert 400 <= answer.status_code < 500, (place, text, answer.text)
    assert (await premises.installation.approvals.get(premises.acme.id, made.id)).state == "waiting"
