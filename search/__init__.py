"""Finding the best candidate: studies, the searcher, the store, the command line."""
