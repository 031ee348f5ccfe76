"""Atoll: a distributed AutoML search over ordered ensembles of compression techniques."""
