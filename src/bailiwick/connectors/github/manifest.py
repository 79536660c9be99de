"""What the GitHub connector needs and gives."""

from bailiwick.connectors.facts import ISSUE_CHANGED, ISSUE_CLOSED, ISSUE_IMPORTED, ISSUE_OPENED, ISSUE_REOPENED
from bailiwick.connectors.manifests import ConnectorManifest

# Scopes are the repository permissions of a fine-grained token or a GitHub App.
MANIFEST = ConnectorManifest(
    name="github",
    title="GitHub issues",
    scopes=("metadata:read", "issues:read"),
    effect_scopes=("issues:write",),
    webhook_events=("issues",),
    event_types=(ISSUE_OPENED, ISSUE_REOPENED, ISSUE_CLOSED, ISSUE_CHANGED, ISSUE_IMPORTED),
    base_url="https://api.github.com/",
)
