"""How fast a run's model is in each form it can have, what memory that takes, and what its predictions are worth."""
