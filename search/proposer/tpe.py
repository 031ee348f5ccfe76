"""Proposes by Optuna's TPE alone, as one would who plugs it into Ray Tune; others are held against it."""

from .guided import STARTUP_RESULTS, GuidedProposer


class TpeProposer(GuidedProposer):
    """Random recipes until TPE has enough results, then TPE; it hears of constraints, and never repeats."""

    at_random, turns = STARTUP_RESULTS, 1


PROPOSER = TpeProposer
