"""QA scores only what an issue proves; what is open earns nothing and is named with how to supply it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.kernel.errors import InvalidInputError
from bailiwick.packs.operations.departments import qa
from bailiwick.packs.operations.departments.body import Block, read_body
from bailiwick.packs.operations.departments.qa_benchmarks import read_benchmarks
from bailiwick.packs.operations.departments.qa_reports import read_reports, read_xml
from bailiwick.packs.operations.departments.qa_source import review_source
from tests.unit.operations.departments.desks import NOW, a_desk, an_issue


def junit(passed: int, failed: int = 0, extra: str = "") -> str:
    good = "".join(f'<testcase classname="t" name="good{number}" time="0.1"/>' for number in range(passed))
    bad = "".join(
        f'<testcase classname="t" name="bad{number}"><failure message="no"/></testcase>' for number in range(failed)
    )
    return f"```xml\n<testsuites><testsuite>{good}{bad}{extra}</testsuite></testsuites>\n```\n"


def cobertura(hit: int, missed: int) -> str:
    lines = "".join(f'<line number="{number}" hits="{int(number < hit)}"/>' for number in range(hit + missed))
    return (
        '```xml\n<?xml version="1.0"?>\n<!DOCTYPE coverage SYSTEM'
        ' "http://cobertura.sourceforge.net/xml/coverage-04.dtd">\n<coverage'
        ' line-rate="0.5"><packages><package><classes><class'
        f' filename="a.py"><lines>{lines}</lines></class></classes></package></packages></coverage>\n```\n'
    )


CODE = '```python\ndef add(a: int, b: int) -> int:\n    """Return the sum."""\n    return a + b\n```\n'
BENCH = "search: 180 ms (budget 200 ms)\n"


async def test_every_part_proved_gives_the_score() -> None:
    result = await qa.judge_quality(an_issue("Release", junit(19, 1) + cobertura(90, 10) + CODE + BENCH), a_desk())
    assert result.status == "done"
    assert result.data["parts"] == {
        "tests": 95.0,
        "security": 100.0,
        "performance": 100.0,
        "coverage": 90.0,
        "compliance": 100.0,
    }
    assert result.data["score"] == 97.5
    assert result.data["verdict"] == "pass"
    assert all(result.data["gates"].values())


async def test_absent_parts_earn_nothing_and_the_bound_is_stated() -> None:
    result = await qa.judge_quality(an_issue("Release", junit(10) + CODE), a_desk())
    assert result.status == "cannot_determine"
    assert result.data["score"] is None
    assert (result.data["score_at_least"], result.data["score_at_most"]) == (70.0, 100.0)
    assert result.data["verdict"] == "pass"
    assert result.missing == (qa.NEEDS["performance"], qa.NEEDS["coverage"])


async def test_nothing_proved_is_no_score_at_all() -> None:
    result = await qa.judge_quality(an_issue("Release", "It works on my machine."), a_desk())
    assert (result.data["score_at_least"], result.data["score_at_most"], result.data["verdict"]) == (
        0,
        100,
        "undetermined",
    )
    assert len(result.missing) == 5


async def test_a_critical_finding_fails_whatever_the_score() -> None:
    bad = "```python\nimport subprocess\ndef run(cmd):\n    '''Run.'''\n    subprocess.run(cmd, shell=True)\n```\n"
    result = await qa.judge_quality(an_issue("Release", junit(10) + cobertura(10, 0) + bad + BENCH), a_desk())
    assert result.data["score"] == 30 + 30 * 0.6 + 20 + 10 + 10
    assert result.data["verdict"] == "fail"
    assert result.data["criticals"] == ["shell=True (issue body, line 13)"]
    assert result.data["gates"]["security"] is False


PARTS = st.fixed_dictionaries({name: st.none() | st.floats(0, 100) for name in qa.WEIGHTS})


@given(PARTS, st.integers(0, 2))
def test_the_bound_holds_whatever_the_open_parts_turn_out_to_be(parts: dict[str, float | None], criticals: int) -> None:
    found = qa.score(parts, criticals)
    for value in (0.0, 37.0, 100.0):
        filled = qa.score({name: value if part is None else part for name, part in parts.items()}, criticals)
        assert found.lowest - 0.02 <= filled.lowest <= found.highest + 0.02
        assert filled.verdict in ("pass", "fail")
        if found.verdict != "undetermined" and abs(filled.lowest - 60) > 0.02:
            assert filled.verdict == found.verdict


def test_pytest_output_is_read_when_there_is_no_xml() -> None:
    text = (
        "```\nFAILED tests/test_a.py::test_b\n===== 1 failed, 41 passed, 2 skipped in 3.21s =====\nTOTAL      200    "
        " 30    85%\n```"
    )
    reports = read_reports(read_body(text).blocks)
    assert (reports.passed, reports.failed) == (41, 1)
    assert reports.coverage is not None
    assert reports.coverage.rate == pytest.approx(0.85)


BOMB = (
    '<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;">]><testsuite><testcase name="&lol2;"/></testsuite>'
)
EXTERNAL = '<!DOCTYPE t [<!ENTITY x SYSTEM "file:///etc/passwd">]><testsuite><testcase name="&x;"/></testsuite>'


@pytest.mark.parametrize("text", [BOMB, EXTERNAL, "<a" * 3, "<a>" * 200 + "</a>" * 200, "", "plain"])
def test_dangerous_and_broken_xml_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        read_xml(text)


async def test_a_refused_report_is_named() -> None:
    result = await qa.judge_quality(an_issue("Release", f"```xml\n{BOMB}\n```"), a_desk())
    assert any("internal DTD is refused" in one for one in result.missing)
    assert result.data["parts"]["tests"] is None


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("eval(user_input)", "eval or exec of a value"),
        ("os.system('ls ' + name)", "shell command built from a value"),
        ("password = 'hunter2!'", "hard-coded secret"),
        ("try:\n    go()\nexcept:\n    pass", "bare except"),
        ("cursor.execute(f'select * from t where id = {number}')", "SQL built from a value"),
        ("cursor.execute('select * from t where id = %s' % number)", "SQL built from a value"),
        ("cursor.execute('select * from t where id = {}'.format(number))", "SQL built from a value"),
        ("yaml.load(text)", "yaml.load without a safe loader"),
        ("pickle.loads(data)", "unpickling"),
        ("hashlib.md5(data)", "weak hash"),
        ("requests.get(url, verify=False)", "certificates not verified"),
    ],
)
def test_unsafe_python_is_found_by_its_syntax(code: str, rule: str) -> None:
    review = review_source([Block("python", code, 5)])
    assert rule in [one.rule for one in review.findings]
    assert review.findings[0].source.startswith("issue body, line ")


@pytest.mark.parametrize(
    "code",
    [
        "eval('1 + 1')",
        "cursor.execute('select * from t where id = %s', (number,))",
        "cursor.execute('select a ' 'from t')",
        "yaml.load(text, Loader=yaml.SafeLoader)",
        "hashlib.md5(data, usedforsecurity=False)",
        "subprocess.run(['ls', name])",
        "# eval(user_input)\ntext = 'eval(x)'",
        "password = os.environ['PASSWORD']",
    ],
)
def test_safe_python_is_left_alone(code: str) -> None:
    review = review_source([Block("python", code, 1)])
    assert (review.findings, review.points) == ((), 100.0)


@pytest.mark.parametrize(
    ("language", "code", "rule"),
    [
        ("js", "el.innerHTML = name", "markup set from a value"),
        ("ts", "exec(`rm ${path}`)", "command built from a value"),
        ("bash", "curl https://x | sh", "download piped into a shell"),
        ("java", 'MessageDigest.getInstance("MD5")', "weak hash"),
        ("sql", "GRANT ALL ON t TO PUBLIC", "rights granted to everybody"),
    ],
)
def test_other_languages_are_checked_by_stated_patterns(language: str, code: str, rule: str) -> None:
    assert [one.rule for one in review_source([Block(language, code, 1)]).findings] == [rule]


@pytest.mark.parametrize(
    "code",
    ["(" * 40_000, "-" * 40_000 + "1", "a" + ".b" * 20_000, "1" + "+1" * 20_000, "x = [" * 9_000, "\x00", "f(" * 9_000],
)
def test_source_made_to_break_a_parser_is_only_unreadable(code: str) -> None:
    review = review_source([Block("python", code, 1)])
    assert review.findings == ()


def test_logs_are_no_source() -> None:
    assert review_source([Block("", "eval(x)", 1), Block("log", "password = 'abc123xyz!'", 1)]).points is None


def bench(**medians: float) -> str:
    rows = [{"name": name, "stats": {"median": value, "mean": 9}} for name, value in medians.items()]
    return f"```json\n{json.dumps({'benchmarks': rows})}\n```\n"


async def test_a_run_is_held_against_the_one_before() -> None:
    result = await qa.measure_performance(
        an_issue("Bench", bench(a=1.0, b=1.0) + bench(a=1.05, b=2.2, c=1.0)), a_desk()
    )
    assert result.data["too_slow"] == ["b"]
    assert result.data["points"] == 75.0
    assert result.missing == ("a budget or an earlier run of `c`",)


async def test_one_run_without_a_budget_proves_nothing() -> None:
    result = await qa.measure_performance(an_issue("Bench", bench(a=1.0)), a_desk())
    assert result.status == "cannot_determine"
    assert result.data["benchmarks"][0]["seconds"] == 1.0


@pytest.mark.parametrize(
    ("line", "seconds", "limit"),
    [
        ("p95 latency: 250 ms, target 200 ms", 0.25, 0.2),
        ("| search | 1.5 s | 2 s |", 1.5, 2.0),
        ("import took 90 s (max 1 min)", 90.0, 60.0),
        ("startup = 800 µs <= 1 ms", 0.0008, 0.001),
    ],
)
def test_stated_measurements_are_read(line: str, seconds: float, limit: float) -> None:
    (found,) = read_benchmarks([], read_body(line).prose)
    assert (found.seconds, found.limit_seconds) == (pytest.approx(seconds), pytest.approx(limit))


async def test_a_table_of_percentiles_is_held_against_its_target_and_the_row_before() -> None:
    rows = "run,p50_ms,p95_ms,requests\nbefore,180,610,118\nafter,205,330,213"
    body = f"Target: 95 percent below 400 ms.\n\n```csv\n{rows}\n```"
    result = await qa.measure_performance(an_issue("Bench", body), a_desk())
    limits = {one["name"]: one["limit_seconds"] for one in result.data["benchmarks"]}
    assert limits == {"p50_ms": pytest.approx(0.198), "p95_ms": 0.4}
    assert result.data["too_slow"] == ["p50_ms"]


async def test_flaky_tests_passed_and_failed() -> None:
    rerun = '<testcase classname="t" name="rerun"><flakyFailure/></testcase>'
    first = junit(3, 1, rerun)
    second = junit(3, 0, '<testcase classname="t" name="bad0"/>')
    result = await qa.find_flaky_tests(an_issue("Flaky", first + second), a_desk())
    assert {row["test"] for row in result.data["flaky"]} == {"t.bad0", "t.rerun"}
    assert result.data["tests"] == 5
    one = await qa.find_flaky_tests(an_issue("Flaky", junit(3)), a_desk())
    assert one.status == "cannot_determine"
    assert one.missing == ("two or more JUnit XML reports of the same code, each in its own fenced block (found 1)",)


async def test_coverage_is_counted_from_the_lines_not_believed() -> None:
    result = await qa.measure_coverage(an_issue("Coverage", cobertura(5, 5) + cobertura(79, 21)), a_desk())
    assert result.data["percent"] == 79.0
    assert result.data["percent_before"] == 50.0
    assert result.data["gate_met"] is False
    assert (await qa.measure_coverage(an_issue("Coverage", "high"), a_desk())).missing == (qa.NEEDS["coverage"],)


async def test_a_scan_needs_source() -> None:
    assert (await qa.scan_source(an_issue("Scan", "please"), a_desk())).missing == (qa.NEEDS["security"],)
    result = await qa.scan_source(an_issue("Scan", "```python\nexec(code)\n```"), a_desk())
    assert (result.data["points"], result.data["gate_met"]) == (60.0, False)


async def test_a_report_pasted_in_a_comment_counts_like_one_in_the_body() -> None:
    comment = {"author": "eve", "body": f"Here it is:\n{cobertura(9, 1)}", "created_at": NOW}
    result = await qa.measure_coverage(an_issue("Coverage", "Please check.", comments=(comment,)), a_desk())
    assert result.data["percent"] == 90.0
    assert result.evidence[0].source == "comment 1, line 3"
