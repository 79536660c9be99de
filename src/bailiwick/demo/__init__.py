"""The demo organization's input: issues and meter readings of Harbour Lane Bakeries, an invented company."""

from bailiwick.demo.content import DEMO_REPOSITORY, demo_issue_lines, demo_meter_rows

__all__ = ["DEMO_REPOSITORY", "demo_issue_lines", "demo_meter_rows"]
