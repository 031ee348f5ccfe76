"""Proposes at random: any length, technique and setting with equal chances."""

from .guided import GuidedProposer


class RandomProposer(GuidedProposer):
    """Draws without regard to what is known, but never the same twice."""

    at_random = 2**62


PROPOSER = RandomProposer
