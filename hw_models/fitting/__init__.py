"""From measurements to fitted cost models, with honest intervals and a report of their errors.

The formulas that are fitted stand in `formulas`.
"""
