"""This machine: LiteRT with its XNNPACK delegate on an x86 processor."""
