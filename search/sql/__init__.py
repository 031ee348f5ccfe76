"""The SQL of a store: its tables, the views and macros over them, and what every column means.

Rows are written, and files opened, in the store; here is only what any DuckDB client finds in the file.
"""
