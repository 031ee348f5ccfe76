"""LiteRT: writing ``.tflite`` files byte for byte, running them, reading back what is inside."""
