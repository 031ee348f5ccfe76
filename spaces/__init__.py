"""What a candidate is: techniques, recipes, their legal orders and the layers they leave behind."""
