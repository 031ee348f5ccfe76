"""What became of trials, told to people: one from its beginning to its end, and several beside each other.

Reads the store alone; nothing is ranked here that `search/store/` and the evaluators do not rank.
"""
