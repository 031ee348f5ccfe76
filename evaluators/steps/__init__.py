"""From a recipe to a result: step by step, over a cache of what was already done.

Knows neither Ray nor DuckDB: a worker runs it.
"""
