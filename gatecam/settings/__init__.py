"""Settings: their schema, loading them with line numbers, and explaining them."""
