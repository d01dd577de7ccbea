"""Networks: shared ones, those of a wave, and those of one attempt, with addresses of our choosing."""
