"""Measurements of Coral's Dev Board with its Edge TPU and on its CPU, and what was fitted to them."""
