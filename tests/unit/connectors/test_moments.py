"""Times of records that nobody could keep are refused with the record, whichever door it comes by."""

from typing import Any

import pytest
from pydantic import ValidationError

from bailiwick.connectors.issues import IssueRecord
from bailiwick.connectors.meters import MeterReading

ISSUE: dict[str, Any] = {
    "source": "test", "repository": "acme/shop", "number": 1, "title": "x", "created_at": "2026-01-31T12:00:00Z",
}  # fmt: skip
READING: dict[str, Any] = {"meter_id": "M-1", "unit": "kWh", "value": 1, "interval_minutes": 15}


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:00:00-12:00", "1899-12-31T00:00:00Z"])
def test_a_time_that_cannot_be_kept_is_refused(moment: str) -> None:
    for name in ("created_at", "updated_at", "closed_at"):
        with pytest.raises(ValidationError, match="1900"):
            IssueRecord.model_validate({**ISSUE, name: moment})
    with pytest.raises(ValidationError, match="1900"):
        MeterReading.model_validate({**READING, "read_at": moment})
