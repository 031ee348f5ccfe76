"""What a candidate is worth: tasks, training, metrics, ranking, artifacts."""
