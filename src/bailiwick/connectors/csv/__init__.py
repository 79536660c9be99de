"""Issues from CSV exports of any tracker, by a mapping of columns."""

from bailiwick.connectors.csv.mapping import CsvMapping
from bailiwick.connectors.csv.reader import read_csv_issues

__all__ = ["CsvMapping", "read_csv_issues"]
