"""Images with labels, cut into train, validation and test split."""
