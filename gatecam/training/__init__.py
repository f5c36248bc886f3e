"""Learn and score: from raw folders to shipped weights."""
