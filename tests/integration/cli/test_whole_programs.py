"""The two commands that run everything, each as a process of its own on a data folder of its own."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import orjson
import pytest

PROGRAM = (sys.executable, "-m", "bailiwick.main")


@pytest.fixture
def environment(data_dir: Path) -> dict[str, str]:
    """The environment of a user whose data lies in a new folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BAILIWICK_")}
    return {**kept, "BAILIWICK_DATA_DIR": str(data_dir)}


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port on which another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


@pytest.mark.timeout(300)
def test_the_demo_does_its_whole_work_and_tells_it_in_one_document(environment: dict[str, str], data_dir: Path):
    done = _run("demo", "--headless", "--json", env=environment)

    assert done.returncode == 0, done.stderr
    told = orjson.loads(done.stdout)
    assert told["is_idle"] is True
    assert told["rejected"] == 11
    assert told["tasks"]["completed"] > 114
    assert told["tasks"]["discarded"] == 0
    assert sum(agent["tasks"] for agent in told["agents"]) > 0
    assert all(
        agent["success"] == 1.0 and 0 < agent["p50_seconds"] <= agent["p95_seconds"]
        for agent in told["agents"]
        if agent["tasks"]
    )
    assert told["sla"]["breached"] >= 1
    assert told["events"] > 493
    assert 0 < told["wall_seconds"] < 60
    effects = told["effects"]
    assert effects["verified"] > 0
    assert effects["verified"] <= effects["applied"] < effects["proposed"]
    assert (effects["failed"], effects["unknown"]) == (0, 0)
    assert told["waiting_for_people"] >= effects["waiting_for_approval"] > 0
    (refusal,) = effects["refusals"]
    assert refusal["rule"] == "ceiling/orders-to-agents"
    assert refusal["target"] == "issue:harbour-lane/operations#198"
    assert refusal["count"] == effects["denied"]
    demo = {**environment, "BAILIWICK_DATA_DIR": str(data_dir / "demo")}
    traced = _run("trace", "harbour-lane/operations#213", "--org", told["organization"], "--json", env=demo)
    root = orjson.loads(traced.stdout)["roots"][0]
    assert root["type"] == "issue.opened"
    handled = root["followed_by"][0]
    assert (handled["kind"], handled["state"]) == ("issue.handle", "completed")
    assert handled["steps"]
    assert "issue.classified" in {following.get("type") for following in handled["followed_by"]}

    org = ("--org", told["organization"])
    why = _run("why", refusal["effect_id"], *org, env=demo)
    assert "ceiling/orders-to-agents" in why.stdout
    answered = _run(
        "approvals",
        "approve",
        effects["to_approve"]["approval_id"],
        "--digest",
        effects["to_approve"]["digest"],
        *org,
        env=demo,
    )
    assert answered.returncode == 0, answered.stderr
    again = _run("demo", "--headless", "--json", "--keep", env=environment)
    assert again.returncode == 0, again.stderr
    later = orjson.loads(again.stdout)["effects"]
    assert later["applied"] == effects["applied"] + 1
    assert later["waiting_for_approval"] == effects["waiting_for_approval"] - 1


@pytest.mark.timeout(300)
def test_what_the_demo_prints_works_as_printed_in_another_terminal(environment: dict[str, str], tmp_path: Path):
    process = subprocess.Popen(
        [*PROGRAM, "demo"], env={**environment, "BAILIWICK_PORT": "0"}, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        lines: list[str] = []
        while not (lines and "Your own" in lines[-1]):
            lines.append(process.stdout.readline())
            assert lines[-1], "the demo ended"
        commands = [line.strip() for line in lines if re.match(r"  (export|\S+ -m bailiwick|bailiwick|/)", line)]
        exports = [line for line in commands if line.startswith("export ")]

        def typed(*words: str) -> str:
            (command,) = [line for line in commands if all(word in line.split() for word in words)]
            return _in_a_shell("\n".join([*exports, command]), environment, tmp_path)

        assert "state" in typed("approvals", "show")
        typed("approvals", "approve")
        typed("approvals", "reject")
        assert "github.remove_labels" in typed("rewind", "--dry-run")
        (rewind,) = [line for line in commands if "rewind" in line.split() and "--dry-run" not in line]
        assert "rewinding as task" in _in_a_shell("\n".join([*exports, rewind]), environment, tmp_path)
        while "reverted" not in typed("effects", "list"):
            assert process.poll() is None
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


@pytest.mark.timeout(120)
def test_up_prints_the_key_once_serves_and_stops_in_order(environment: dict[str, str]):
    first = _started_and_stopped(environment)
    second = _started_and_stopped(environment)

    assert re.search(r"^ +bw_[\w-]{43}$", first, re.MULTILINE)
    assert re.search(r"^ +http://127\.0\.0\.1:\d+/setup\?token=[\w-]{43}$", first, re.MULTILINE)
    assert "bw_" not in second
    assert "token=" not in second
    assert re.search(r"^ready in \d+\.\d s$", second, re.MULTILINE)


def test_a_port_in_use_is_told_before_anything_else(environment: dict[str, str], data_dir: Path, taken_port: int):
    done = _run("up", "--port", str(taken_port), env=environment)

    assert done.returncode == 75
    assert f"port {taken_port}" in done.stderr
    assert not list(data_dir.iterdir())


def _run(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *arguments], env=env, capture_output=True, text=True, check=False)


def _in_a_shell(script: str, environment: dict[str, str], folder: Path) -> str:
    """Return what lines print that are typed in a new terminal, which knows nothing of the demo's settings."""
    kept = {name: value for name, value in environment.items() if not name.startswith("BAILIWICK_")}
    ran = subprocess.run(["sh", "-ec", script], env=kept, cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout + ran.stderr


def _started_and_stopped(environment: dict[str, str]) -> str:
    process = subprocess.Popen(
        [*PROGRAM, "up", "--port", "0"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    printed: list[str] = []
    try:
        for line in process.stdout:
            printed.append(line)
            if line.startswith("ready"):
                break
        address = re.search(r"(http://\S+)/healthz", "".join(printed))
        assert address is not None
        with urlopen(f"{address[1]}/readyz", timeout=10) as answer:  # noqa: S310 - our own server
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        rest, noise = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, noise
    return "".join(printed) + rest
