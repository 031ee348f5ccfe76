"""A user's own task: how it is described, the code and weights it comes with, and what is prepared from them.

Only here is a user's code imported, and only where the user named it; what workers need is written down as a
prepared task (`evaluators/tasks/prepared.py`), which is read without it.
"""
