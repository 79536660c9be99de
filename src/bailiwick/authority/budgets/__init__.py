"""Budgets: money and tokens, reserved before a call, settled after it, bounded by what people set."""

from bailiwick.authority.budgets.budgets import Budgets
from bailiwick.authority.budgets.model import DEFAULT_LADDER, Account, Budget, NewBudget, Reservation, Rung

__all__ = ["DEFAULT_LADDER", "Account", "Budget", "Budgets", "NewBudget", "Reservation", "Rung"]
