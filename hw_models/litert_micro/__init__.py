"""LiteRT Micro on any microcontroller: a device whose time nobody here has measured."""
