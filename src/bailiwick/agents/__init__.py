"""Agents, the third stage: who does the work, chosen by quality, price and load."""

from bailiwick.agents.choice import Candidate, Choice, Weights, choose
from bailiwick.agents.directory import AgentDirectory, AgentStatistics, NewAgent
from bailiwick.agents.model import Agent, AgentRecord

__all__ = [
    "Agent", "AgentDirectory", "AgentRecord", "AgentStatistics", "Candidate", "Choice", "NewAgent", "Weights", "choose",
]  # fmt: skip
