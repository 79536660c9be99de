"""What a connector says about itself before it is connected."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConnectorManifest:
    """Name, needed rights and produced events of a connector.

    ``scopes`` are the rights a key needs to read, ``effect_scopes`` those for
    outgoing effects; ``webhook_events`` are to be ticked at the outside system.
    """

    name: str
    title: str
    scopes: tuple[str, ...]
    effect_scopes: tuple[str, ...]
    webhook_events: tuple[str, ...]
    event_types: tuple[str, ...]
    base_url: str
