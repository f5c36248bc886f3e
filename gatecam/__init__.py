"""gatecam: an entrance monitor that sees whether a mask is worn correctly and says so once a person."""

__version__ = "0.1.0"
