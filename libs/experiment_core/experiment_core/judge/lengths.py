"""What a judge's rates would be if both answers were equally long."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from experiment_core.arrays import Floats
from experiment_core.distributions import z
from experiment_core.intervals import NOTHING, Estimate, Interval

FEWEST_CASES = 10
"""Pairs with, and without, the verdict that a slope needs."""
_RIDGE = 1.0
"""Prior precision of the slope: finite where lengths part the verdicts completely."""
_STEPS = 50


@dataclass(frozen=True, slots=True)
class LengthControlled:
    """A rate at equal length."""

    rate: Estimate
    slope: Estimate
    """How the log odds of the verdict move with tanh(log length ratio / its deviation), about -1 to 1."""


UNCONTROLLED = LengthControlled(NOTHING, NOTHING)


def length_controlled(given: Floats, log_ratio: Floats, weight: Floats, confidence: float = 0.95) -> LengthControlled:
    """A verdict's rate at equal lengths, from a logistic regression (the idea of AlpacaEval 2, Dubois et al. 2024).

    `given` is 1 where a pair has the verdict, else 0; `log_ratio` the log of the candidate's length over the
    baseline's; `weight` how much of the traffic a pair stands for. The lengths enter through tanh, so that a few
    extreme ones do not rule. Nothing with fewer than ten pairs of either kind, or lengths that never differ.
    """
    kept = np.isfinite(log_ratio)
    y, lengths, w = given[kept], log_ratio[kept], weight[kept]
    deviation = float(lengths.std()) if len(lengths) else 0.0
    if min(float(y.sum()), float(len(y) - y.sum())) < FEWEST_CASES or deviation == 0:
        return UNCONTROLLED
    design = np.column_stack([np.ones(len(y)), np.tanh(lengths / deviation)])
    w = w / w.mean()
    beta = _fit(design, y, w)
    covariance = _sandwich(design, y, w, beta)
    errors = [z(confidence) * math.sqrt(float(covariance[i, i])) for i in range(2)]
    centre, slope = (float(each) for each in beta)
    rate = Estimate(_logistic(centre), Interval(_logistic(centre - errors[0]), _logistic(centre + errors[0])))
    return LengthControlled(rate, Estimate(slope, Interval(slope - errors[1], slope + errors[1])))


def log_length_ratio(baseline: int, candidate: int) -> float:
    """Of two answers' lengths; an empty answer counts as one character."""
    return math.log(max(candidate, 1) / max(baseline, 1))


def _fit(design: Floats, y: Floats, weight: Floats) -> Floats:
    """Newton's method on the penalised likelihood; it is concave, so the steps are halved until it rises."""
    beta = np.zeros(2)
    for _ in range(_STEPS):
        gradient, curvature = _derivatives(design, y, weight, beta)
        step = np.linalg.solve(curvature, gradient)
        while _likelihood(design, y, weight, beta + step) < _likelihood(design, y, weight, beta) - 1e-12:
            step = step / 2
        beta = beta + step
        if float(np.abs(step).max()) < 1e-10:
            break
    return beta


def _derivatives(design: Floats, y: Floats, weight: Floats, beta: Floats) -> tuple[Floats, Floats]:
    p = _probabilities(design, beta)
    penalty = np.array([0.0, _RIDGE])
    gradient = np.einsum("ij,i->j", design, weight * (y - p)) - penalty * beta
    curvature = np.einsum("ij,i,ik->jk", design, weight * p * (1 - p), design) + np.diag(penalty)
    return gradient, curvature


def _sandwich(design: Floats, y: Floats, weight: Floats, beta: Floats) -> Floats:
    """The covariance of the coefficients, true also where weights are not counts."""
    _, curvature = _derivatives(design, y, weight, beta)
    residual = weight * (y - _probabilities(design, beta))
    bread = np.linalg.inv(curvature)
    meat = np.einsum("ij,i,ik->jk", design, residual**2, design)
    return np.asarray(bread @ meat @ bread)


def _likelihood(design: Floats, y: Floats, weight: Floats, beta: Floats) -> float:
    odds = np.einsum("ij,j->i", design, beta)
    return float(np.sum(weight * (y * odds - np.logaddexp(0.0, odds)))) - _RIDGE * float(beta[1]) ** 2 / 2


def _probabilities(design: Floats, beta: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(np.einsum("ij,j->i", design, beta), -500, 500))))


def _logistic(odds: float) -> float:
    return 1 / (1 + math.exp(-odds)) if odds >= 0 else math.exp(odds) / (1 + math.exp(odds))
