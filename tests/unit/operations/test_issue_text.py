"""An issue's text taken apart."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.packs.operations.issue_text import MAX_BODY_CHARS, read_issue_text, stem, words


def test_sections_from_headings_bold_lines_and_key_values() -> None:
    text = read_issue_text(
        "t",
        "Type: bug\n**Priority:** High\n- Requester: Ada\n\n## Description\nIt is red.\nVery red.\n\n"
        "**Success criteria**\n- it is green\n\n### Other\nnot this",
    )
    assert text.sections == {
        "type": "bug",
        "priority": "High",
        "requester": "Ada",
        "description": "It is red.\nVery red.",
        "success_criteria": "- it is green",
    }


def test_the_first_value_of_a_section_counts() -> None:
    assert read_issue_text("t", "Priority: low\nPriority: P0").sections == {"priority": "low"}


def test_unanswered_sections_are_left_out() -> None:
    assert read_issue_text("t", "### Priority\n\n_No response_\n\n### Type\n\nbug").sections == {"type": "bug"}


def test_template_comments_and_unticked_boxes_are_not_prose() -> None:
    text = read_issue_text("t", "a <!-- security\nbreach --> b\n- [ ] outage\n- [x] question")
    assert "breach" not in text.prose
    assert "outage" not in text.prose
    assert "question" in text.prose
    assert text.hidden_lines == (" security", "breach ")


def test_code_quotes_and_traces_are_set_apart() -> None:
    body = "before\n```py\nraise Outage\n```\n> quoted words\n\n    indented code\nat com.x.Y.run(Y.java:3)\nafter"
    text = read_issue_text("t", body)
    assert text.body_lines == ("before", "after")
    assert text.quoted_lines == ("quoted words",)
    assert text.code_lines == ("raise Outage", "    indented code", "at com.x.Y.run(Y.java:3)")
    assert text.has_code
    assert text.has_stack_trace


def test_jira_code_blocks_are_code() -> None:
    text = read_issue_text("t", "{code:java}\nint x;\n{code}\nprose\n{noformat}\nlog\n{noformat}")
    assert (text.code_lines, text.body_lines) == (("int x;", "log"), ("prose",))


@pytest.mark.parametrize(
    "trace",
    ["Traceback (most recent call last):", "    at foo (a.js:1:2)", "Caused by: java.io.IOException: x"],
)
def test_stack_traces_are_recognised_outside_code_blocks(trace: str) -> None:
    assert read_issue_text("t", f"It fails:\n{trace}").has_stack_trace


def test_an_unclosed_comment_hides_the_rest_and_an_unclosed_fence_is_code() -> None:
    assert read_issue_text("t", "a\n<!-- b\nc").body_lines == ("a",)
    assert read_issue_text("t", "a\n```\nc").code_lines == ("c",)


def test_only_the_stated_length_is_considered() -> None:
    text = read_issue_text("t", "word " * MAX_BODY_CHARS)
    assert text.truncated
    assert len(text.prose) <= MAX_BODY_CHARS
    assert not read_issue_text("t", "short").truncated


def test_invisible_characters_and_wide_letters_are_folded() -> None:
    assert read_issue_text("ou\u200btage \uff34\uff39\uff30\uff25", "").title == "outage TYPE"


def test_word_endings_are_folded_alike() -> None:
    for family in ("crash crashes crashed crashing", "invoice invoices", "dependency dependencies", "bug bugs"):
        assert len({stem(word) for word in family.split()}) == 1, family
    assert stem("status") == "status"
    assert stem("analysis") == "analysis"


def test_very_long_tokens_are_no_words() -> None:
    assert words("a" * 100 + " outage") == [stem("outage")]


@given(st.text(max_size=300), st.text(max_size=2_000))
def test_any_text_can_be_read(title: str, body: str) -> None:
    text = read_issue_text(title, body)
    words(text.title)
    words(text.prose)


@given(
    st.lists(
        st.sampled_from(["```", "<!--", "-->", "> q", "# Type", "Type: x", "    i", "", "at a(b)", "w"]), max_size=40
    )
)
def test_every_line_goes_to_one_place(lines: list[str]) -> None:
    text = read_issue_text("t", "\n".join(lines))
    filed = len(text.body_lines) + len(text.quoted_lines) + len(text.code_lines)
    assert filed <= len(lines)


@pytest.mark.parametrize(
    "body",
    [
        "*" * 20_000,
        "<!--" * 5_000,
        " " * 20_000,
        "at " * 6_000,
        "#" * 20_000,
        "**" + "a" * 20_000,
        "a:" * 9_999,
        "\n" * 20_000,
    ],
)
def test_hostile_text_takes_linear_time(body: str) -> None:
    started = time.process_time()
    read_issue_text(body, body)
    # Twenty thousand characters take a few milliseconds; quadratic time would be many seconds.
    assert time.process_time() - started < 1.0
