"""The orchestrator: the platform's own recurring jobs, as ordinary schedules of ordinary tasks."""

from bailiwick.orchestrator.extension import OrchestratorExtension

__all__ = ["OrchestratorExtension"]
