"""Run the live loop over the cameras, report its health and apply changed settings."""
