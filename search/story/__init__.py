"""What became of trials, told to people: one from its beginning to its end, several beside each other.

Reads the store alone; how a study ranks its trials is known by `search/store/` and the evaluators.
"""
