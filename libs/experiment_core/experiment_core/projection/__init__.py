"""What a log would have cost and met at other targets, with the error that remains."""

from experiment_core.projection.calls import KINDS, Calls, Draw, Draws
from experiment_core.projection.costs import costs
from experiment_core.projection.draws import row_keys
from experiment_core.projection.evidence import Evidence
from experiment_core.projection.pairs import Pairs
from experiment_core.projection.pilots import Pilot, choose
from experiment_core.projection.project import Knowledge, Logged, Projection, project
from experiment_core.projection.tokens import FEWEST_PAIRS, TokenModel
from experiment_core.projection.totals import Models, Share, TotalCost, total_cost

__all__ = [
    "FEWEST_PAIRS",
    "KINDS",
    "Calls",
    "Draw",
    "Draws",
    "Evidence",
    "Knowledge",
    "Logged",
    "Models",
    "Pairs",
    "Pilot",
    "Projection",
    "Share",
    "TokenModel",
    "TotalCost",
    "choose",
    "costs",
    "project",
    "row_keys",
    "total_cost",
]
