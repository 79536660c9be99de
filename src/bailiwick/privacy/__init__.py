"""Privacy: whose data is held, what they consent to, and their rights to see it and have it erased."""

from bailiwick.privacy.consents import Consent, Consents, Evidence
from bailiwick.privacy.errors import ConsentMissingError, LegalHoldError
from bailiwick.privacy.identifiers import Identifier
from bailiwick.privacy.locations import DataMap, Location
from bailiwick.privacy.purposes import ConsentState, Purpose
from bailiwick.privacy.service import Privacy

__all__ = [
    "Consent", "ConsentMissingError", "ConsentState", "Consents", "DataMap", "Evidence", "Identifier",
    "LegalHoldError", "Location", "Privacy", "Purpose",
]  # fmt: skip
