"""``make audit``: known weaknesses of dependencies, a static scan of our source, and a search for secrets.

Exit code 0 when nothing was found, 1 otherwise. With ``--strict`` it is also 1
when the advisories could not be had, for where the network is known to be there.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from devtools.secret_scan import ROOT, default_passwords, leaky_comparisons, planted_secrets, tracked_files

_BIN = Path(sys.executable).parent
_SOURCE = "src"
_PATIENCE_SECONDS = 300

# Rules that do not fit this code base as a whole. The linter carries the same decisions, with the same reasons.
_NOT_OURS = {
    "B101": "assert states what must hold; nothing depends on it running",
    "B404": "importing subprocess does nothing; its calls are looked at one by one (B603)",
    "B608": "SQL is assembled from constants of ours; values from outside travel as parameters",
}
# Single findings that are none; each was looked at.
_LOOKED_AT = {
    ("B202", "recovery/rewinding.py"): "the filter refuses what would leave the target folder",
    ("B113", "outbound/__init__.py"): "a timeout is given, through a name that the scanner does not follow",
    ("B105", "storage/embedded_cluster.py"): "the name of a hash function",
}


def main(arguments: list[str]) -> int:
    """Run all three parts; say of each what was found."""
    is_strict = "--strict" in arguments
    # All of them, so that one finding does not hide another.
    return max([_dependencies(is_strict=is_strict), _static_scan(), _secrets()])


def _dependencies(*, is_strict: bool) -> int:
    run = subprocess.run(  # noqa: S603 - our own tool
        [_BIN / "pip-audit", "--skip-editable", "--progress-spinner", "off", "--format", "json", "--desc", "off"],
        cwd=ROOT, capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=False,
    )  # fmt: skip
    try:
        found: list[dict[str, Any]] = json.loads(run.stdout)["dependencies"]
    except (ValueError, KeyError):
        found = []
    audited = [one for one in found if "vulns" in one]
    weak = [one for one in audited if one["vulns"]]
    for one in weak:
        fixes = {version for flaw in one["vulns"] for version in flaw["fix_versions"]}
        names = ", ".join(flaw["id"] for flaw in one["vulns"])
        _say(f"  {one['name']} {one['version']}: {names}; fixed in {', '.join(sorted(fixes)) or 'no version yet'}")
    if weak:
        _say(f"dependencies: {len(weak)} of {len(audited)} have known weaknesses")
        return 1
    if not audited or len(audited) < len(found) // 2:
        _say(
            f"dependencies: NOT AUDITED. Of {len(found)} packages {len(audited)} could be looked up: the advisories of "
            "PyPI cannot be reached from here. Run make audit where they can"
        )
        return 1 if is_strict else 0
    _say(f"dependencies: {len(audited)} audited, none with a known weakness; {len(found) - len(audited)} unknown there")
    return 0


def _static_scan() -> int:
    run = subprocess.run(  # noqa: S603 - our own tool
        [_BIN / "bandit", "-q", "-r", _SOURCE, "-f", "json"],
        cwd=ROOT, capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=False,
    )  # fmt: skip
    report = json.loads(run.stdout)
    open_findings = [one for one in report["results"] if not _is_excepted(one)]
    for one in [*open_findings, *report["errors"]]:
        _say(f"  {one['filename']}:{one.get('line_number', 0)}: {one.get('test_id', '')} {one.get('issue_text', one)}")
    excepted = len(report["results"]) - len(open_findings)
    _say(f"static scan: {len(open_findings)} findings; {excepted} excepted with a reason")
    return 1 if open_findings or report["errors"] else 0


def _is_excepted(finding: dict[str, Any]) -> bool:
    rule: str = finding["test_id"]
    if rule in _NOT_OURS or any(rule == known and finding["filename"].endswith(path) for known, path in _LOOKED_AT):
        return True
    # The linter knows the rule by the same number; its exception stands on the line, with the reason behind it.
    lines = (ROOT / finding["filename"]).read_text(encoding="utf-8").splitlines()
    here = "\n".join(lines[number - 1] for number in finding["line_range"])
    return re.search(rf"# noqa: [A-Z0-9, ]*\bS{rule[1:]}\b", here) is not None


def _secrets() -> int:
    files = tracked_files()
    source = [path for path in files if path.is_relative_to(ROOT / _SOURCE)]
    findings = [*planted_secrets(files), *default_passwords(source), *leaky_comparisons(source)]
    for finding in findings:
        _say(f"  {finding}")
    _say(f"secrets: {len(findings)} findings in {len(files)} files")
    return 1 if findings else 0


def _say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
