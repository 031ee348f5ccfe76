"""Layer tables of published networks that the zoo does not hold yet, as configuration."""
