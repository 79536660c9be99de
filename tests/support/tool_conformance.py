"""What every tool must keep, as one suite: subclass ``ToolConformance`` and give it a ``bench``.

class TestMyTool(ToolConformance):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[ToolBench]:
        ...
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, get_args

import orjson
import pytest
from pydantic import BaseModel, ValidationError

from bailiwick.authority.model import EffectClass
from bailiwick.effects import Call, Tool, ToolRegistry
from bailiwick.effects.tool import Recovery
from bailiwick.kernel.errors import BailiwickError


@dataclass
class ToolBench:
    """A tool beside an outside that can be looked at, disturbed and made to fail.

    ``written`` counts what the outside was made to hold by the tool's calls;
    ``disturb`` changes there what a decision depends on, ``unrelated`` something
    it does not; ``take_away`` has somebody else end the effect of a result.
    ``lose_answer`` lets the next write succeed and its answer be lost,
    ``refuse`` and ``break_down`` make the next call fail for good, or for now.
    ``disconnect`` takes away what the tool needs; ``missing`` is a word of the
    refusal that follows.
    """

    organization_id: str
    tool: Tool[Any]
    tools: ToolRegistry
    arguments: BaseModel
    written: Callable[[], object]
    disturb: Callable[[], object]
    unrelated: Callable[[], object]
    take_away: Callable[[Any], object]
    lose_answer: Callable[[], object]
    refuse: Callable[[], object]
    break_down: Callable[[], object]
    disconnect: Callable[[], Awaitable[object]]
    missing: str
    secrets: tuple[str, ...] = ()
    bad_arguments: tuple[Mapping[str, Any], ...] = ()
    since: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(minutes=1))

    def call(self, key: str = "effect:0199f0a4-5d2e-7c11-8000-3b1f5f7a9c01") -> Call[Any]:
        """A call of the tool with its arguments."""
        return Call(self.organization_id, self.arguments, key, self.since)

    async def seen(self) -> Any:
        """What the tool sees now, as it is kept."""
        return orjson.loads(orjson.dumps((await self.tool.observe(self.call())).state))

    async def applied(self) -> Any:
        """The result of applying, as it is kept."""
        return orjson.loads(orjson.dumps(await self.tool.apply(self.call())))


class ToolConformance:
    """The promises of a tool; each subclass runs all of them."""

    def test_it_declares_what_it_is(self, bench: ToolBench) -> None:
        tool = bench.tool
        assert tool.name.partition(".")[2], "SYSTEM.VERB"
        assert tool.version
        assert tool.summary
        assert tool.effect_class in get_args(EffectClass)
        assert tool.recovery in get_args(Recovery)
        assert tool.timeout_seconds > 0
        assert isinstance(tool.price(bench.arguments), Decimal)

    def test_its_schema_is_closed_and_survives_storage(self, bench: ToolBench) -> None:
        schema = bench.tool.arguments
        document = bench.arguments.model_dump(mode="json")
        assert schema.model_validate(orjson.loads(orjson.dumps(document))) == bench.arguments
        with pytest.raises(ValidationError):
            schema.model_validate({**document, "of_nobody": 1})
        for bad in bench.bad_arguments:
            with pytest.raises(ValidationError):
                schema.model_validate({**document, **bad})

    def test_its_target_is_stable_and_has_a_kind(self, bench: ToolBench) -> None:
        again = bench.tool.arguments.model_validate(bench.arguments.model_dump(mode="json"))
        assert bench.tool.target(bench.arguments) == bench.tool.target(again)
        assert all(bench.tool.target(again).partition(":"))

    async def test_what_it_sees_is_stable_and_changes_nothing(self, bench: ToolBench) -> None:
        before = bench.written()
        first = await bench.seen()
        bench.unrelated()
        assert await bench.seen() == first
        assert bench.written() == before

    async def test_it_sees_what_a_decision_depends_on(self, bench: ToolBench) -> None:
        before = await bench.seen()
        bench.disturb()
        assert await bench.seen() != before

    async def test_the_same_key_counts_once(self, bench: ToolBench) -> None:
        before = bench.written()
        first = await bench.applied()
        after = bench.written()
        assert after != before
        assert await bench.applied() == first or bench.tool.recovery == "idempotent"
        assert bench.written() == after

    async def test_a_lost_answer_is_made_up_for(self, bench: ToolBench) -> None:
        bench.lose_answer()
        with pytest.raises(Exception) as lost:  # noqa: PT011 - of whatever sort; only a final refusal would be wrong
            await bench.applied()
        assert not isinstance(lost.value, BailiwickError) or lost.value.retryable
        after = bench.written()
        result = await self._recovered(bench)
        assert bench.written() == after
        assert (await bench.tool.verify(bench.call(), result)).outcome == "verified"

    async def _recovered(self, bench: ToolBench) -> Any:
        if bench.tool.recovery == "findable":
            found = await bench.tool.find(bench.call())
            assert found is not None
            return found
        if bench.tool.recovery == "none":
            pytest.skip("nobody can tell, and the tool says so")
        return await bench.applied()

    async def test_what_was_never_done_is_not_found(self, bench: ToolBench) -> None:
        if bench.tool.recovery != "findable":
            pytest.skip("it is called again instead of looked for")
        assert await bench.tool.find(bench.call()) is None
        await bench.applied()
        assert await bench.tool.find(bench.call("effect:another-one")) is None

    async def test_it_sees_whether_it_stands_and_that_others_took_it_away(self, bench: ToolBench) -> None:
        result = await bench.applied()
        assert (await bench.tool.verify(bench.call(), result)).outcome == "verified"
        bench.take_away(result)
        verdict = await bench.tool.verify(bench.call(), result)
        assert verdict.outcome == "refuted"
        assert verdict.evidence

    async def test_what_may_not_be_seen_any_more_is_unverifiable(self, bench: ToolBench) -> None:
        result = await bench.applied()
        bench.refuse()
        assert (await bench.tool.verify(bench.call(), result)).outcome == "unverifiable"

    async def test_undoing_restores_what_was_seen(self, bench: ToolBench) -> None:
        before = await bench.seen()
        result = await bench.applied()
        undo = bench.tool.undo(bench.call(), before, result)
        assert (undo is not None) == (bench.tool.undo_of(bench.arguments) is not None)
        if undo is None:
            pytest.skip("nothing takes it back, and the tool says so")
        inverse = bench.tools.get(undo.tool)
        # As it is kept until then.
        arguments = inverse.arguments.model_validate(undo.arguments.model_dump(mode="json"))
        call = Call(bench.organization_id, arguments, "effect:the-undoing-of-it", bench.since)
        undone = await inverse.apply(call)
        assert (await inverse.verify(call, undone)).outcome == "verified"
        assert await bench.seen() == before

    async def test_what_changed_nothing_is_not_undone(self, bench: ToolBench) -> None:
        await bench.applied()
        seen = await bench.seen()
        if bench.tool.recovery != "idempotent":
            pytest.skip("each of its calls changes something")
        again = await bench.tool.apply(bench.call("effect:once-more"))
        assert bench.tool.undo(bench.call(), seen, again) is None

    async def test_a_refusal_is_final_and_nothing_happened(self, bench: ToolBench) -> None:
        before = bench.written()
        bench.refuse()
        with pytest.raises(BailiwickError) as refused:
            await bench.applied()
        assert not refused.value.retryable
        assert bench.written() == before

    async def test_a_fault_of_the_outside_may_pass(self, bench: ToolBench) -> None:
        bench.break_down()
        with pytest.raises(BailiwickError) as fault:
            await bench.seen()
        assert fault.value.retryable
        await bench.seen()

    async def test_without_what_it_needs_it_refuses_and_says_what_is_missing(self, bench: ToolBench) -> None:
        before = bench.written()
        await bench.disconnect()
        for attempt in (bench.tool.observe, bench.tool.apply):
            with pytest.raises(BailiwickError, match=bench.missing) as refused:
                await attempt(bench.call())
            assert not refused.value.retryable
        assert bench.written() == before

    async def test_no_secret_is_in_what_it_returns(self, bench: ToolBench) -> None:
        seen = await bench.seen()
        result = await bench.applied()
        verdict = await bench.tool.verify(bench.call(), result)
        told = repr((seen, result, verdict, bench.tool, bench.tool.undo(bench.call(), seen, result)))
        bench.refuse()
        with pytest.raises(BailiwickError) as refused:
            await bench.seen()
        told += str(refused.value)
        assert not [secret for secret in bench.secrets if secret in told]
