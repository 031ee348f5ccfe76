"""Forms in which an exported network is handed over beside the LiteRT file: one file a form."""
