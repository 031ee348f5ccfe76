"""Where trials live: the journal that is written first, and the DuckDB file that is folded from it.

What the rows mean to a study is known by the driver; what people see of them by the commands.
"""
