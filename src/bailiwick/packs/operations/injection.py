"""Finds text that addresses a machine reader with orders. It is flagged, never obeyed and never scored."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bailiwick.kernel.labels import untrusted

ORDERS = untrusted("instructions")
"""The label of work on a text that gives orders to automated readers; the built-in ceiling refuses what descends."""


@dataclass(frozen=True)
class _Override:
    """A family of phrases that only make sense as orders to an automated reader.

    ``hints``: every phrase holds one of them, lower case, so that an ordinary
    issue costs a few substring searches.
    """

    hints: tuple[str, ...]
    pattern: re.Pattern[str]


def _override(hints: tuple[str, ...], pattern: str) -> _Override:
    return _Override(hints, re.compile(pattern.replace(" ", r"\s{1,5}"), re.IGNORECASE))


# Repetitions are bounded, so a search takes time linear in the text.
_OVERRIDES = (
    _override(
        ("instruction", "prompt", "rule", "guideline", "polic", "direction", "context", "constraint", "training"),
        r"\b(?:ignore|disregard|forget|override|bypass) (?:\w{1,12} ){0,3}"
        r"(?:previous|prior|above|earlier|preceding|your|system|safety|all) (?:\w{1,12} ){0,2}"
        r"(?:instructions?|prompts?|rules?|guidelines?|polic(?:y|ies)|directions?|context|constraints?|training)\b",
    ),
    _override(("instruction", "prompt"), r"\b(?:new|updated|real|hidden) (?:system )?(?:instructions?|prompt)\s{0,5}:"),
    _override(
        ("prompt", "your instruction", "the instruction", "secret", "api", "credential"),
        r"\b(?:reveal|print|show|repeat|output|leak) (?:me )?your "
        r"(?:system prompt|hidden prompt|prompt|instructions|secrets?|api keys?|credentials)\b"
        r"|\b(?:reveal|print|repeat|output|leak) (?:me )?the (?:system|hidden) prompt\b",
    ),
    _override(("are now",), r"\byou are now (?:a|an|in|the|my)\b"),
    _override(
        ("<system", "< system", "/system", "<assistant", "/assistant", "<|", "[inst", "[/inst", "[sys", "[/sys"),
        r"<\s{0,3}/?\s{0,3}(?:system|assistant)\s{0,3}>|<\|[a-z_]{2,20}\|>|\[/?(?:INST|SYS)\]",
    ),
    _override(
        ("ai ", "ai,", "ai:", "llm", "language model", "chatbot", " agent", " bot", "assistant"),
        r"\b(?:dear|attention|note to|message to|message for|instructions? for|hey) (?:the )?"
        r"(?:ai|llm|language model|chatbot|(?:triage|ai|automated) (?:agent|bot|assistant))\b",
    ),
    _override(
        ("jailbreak", "developer mode", "do anything"), r"\b(?:jailbreak|developer mode enabled|do anything now)\b"
    ),
)

_ORDERS = re.compile(
    r"\W{0,10}(?:(?:please|and|then|now|also|instead|immediately|first)\W{1,5}){0,3}"
    r"(?:you\s{1,5}(?:must|should|will|have\s{1,5}to)\b|(?:assign|set|mark|label|classify|treat|escalate|route|"
    r"prioriti[sz]e|close|approve|grant|merge|deploy|delete|transfer|execute|run|send|email|respond|reply|say|output)\b)",
    re.IGNORECASE,
)
"""A sentence that begins with an order. People order each other too, so it counts only beside an override."""

_SENTENCE = re.compile(r"[^.!?;]+[.!?;]*|[.!?;]+")
_MAX_EVIDENCE = 10
_MAX_EVIDENCE_CHARS = 200


@dataclass(frozen=True)
class Screening:
    """Lines safe to score and the passages that were set aside, in the order found."""

    lines: tuple[str, ...]
    suspicious: tuple[str, ...] = ()


def screen(lines: Sequence[str], hidden: Sequence[str] = ()) -> Screening:
    """Set aside text that gives orders to an automated reader; every other sentence stays as it is.

    From an override to the end of its line everything is set aside. Once an
    issue holds an override, other sentences that begin with an order ("Assign
    P0 ...") go too, so that an injected order cannot lend its words to the
    decision. ``hidden`` (template comments, code) is only searched for evidence.
    Look-alike letters of other alphabets are not unmasked.
    """
    text, hidden_text = "\n".join(lines), "\n".join(hidden)
    spans = sorted(_overrides_in(text))
    found_hidden = [hidden_text[start:end] for start, end in sorted(_overrides_in(hidden_text))]
    if not spans and not found_hidden:
        return Screening(tuple(lines))
    kept: list[str] = []
    set_aside: list[str] = []
    offset = 0
    for line in lines:
        inside = [start - offset for start, end in spans if start < offset + len(line) and end > offset]
        stay, go = _split(line, max(0, min(inside)) if inside else None)
        kept.append(stay)
        set_aside.extend(go)
        offset += len(line) + 1
    evidence = tuple(passage[:_MAX_EVIDENCE_CHARS] for passage in [*set_aside, *found_hidden][:_MAX_EVIDENCE])
    return Screening(tuple(kept), evidence)


def _overrides_in(text: str) -> Iterator[tuple[int, int]]:
    lowered = text.lower()
    for override in _OVERRIDES:
        if any(hint in lowered for hint in override.hints):
            yield from (match.span() for match in override.pattern.finditer(text))


def _split(line: str, override_at: int | None) -> tuple[str, list[str]]:
    stay: list[str] = []
    go: list[str] = []
    for found in _SENTENCE.finditer(line):
        if override_at is not None and found.end() > override_at:
            go.append(line[found.start() :].strip())
            break
        if _ORDERS.match(found.group()):
            go.append(found.group().strip())
        else:
            stay.append(found.group())
    return "".join(stay), go
