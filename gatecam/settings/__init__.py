"""Define the settings, load them with line numbers, and explain them."""
