"""A running search as others see it: on a terminal, in plain lines, as JSON lines, in TensorBoard and MLflow.

What is shown comes from the driver; neither campaign nor store is known here, and nothing is decided.
"""
