"""The Coral Dev Board: measurements, fitted cost models."""
