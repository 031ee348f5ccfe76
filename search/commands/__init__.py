"""The commands of `atoll`, one file each; `cli.py` lists them.

A command is a plain function with typer annotations. Its module must import in milliseconds, so whatever
is heavy (torch, ray, optuna, duckdb, nni, tensorly) is imported inside the function.
"""
