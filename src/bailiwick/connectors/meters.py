"""Meter readings as every connector hands them over."""

from pydantic import BaseModel, ConfigDict, Field

from bailiwick.kernel.clock import Moment

# Where readings come from, for whoever reads them from where they are kept.
METERS = "meters"


class MeterReading(BaseModel):
    """One interval reading: payload of ``meter.read``.

    ``value`` is what was used in the interval that ends at ``read_at``, in
    ``unit`` (``kWh``, ``m3``); a gap is a reading that never came.
    """

    model_config = ConfigDict(frozen=True)

    meter_id: str = Field(min_length=1, max_length=100)
    unit: str = Field(min_length=1, max_length=20)
    value: float = Field(allow_inf_nan=False)
    read_at: Moment
    interval_minutes: int = Field(gt=0, le=1440)

    @property
    def key(self) -> str:
        """The correlation key: the meter."""
        return self.meter_id
