"""What a fix knows of itself and does next: rounds of checks and runs, decided from facts alone."""
