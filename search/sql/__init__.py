"""The SQL of a store: its tables, the views over them, and what every column of both means.

Rows are written, and files opened, in the store; here is only what any DuckDB client finds in the file.
"""
