"""What comes before a search: a study file drafted, a study looked at, its space and its costs foreseen."""
