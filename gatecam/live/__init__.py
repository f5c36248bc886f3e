"""The loop over live cameras: their rounds, health, status and settings that change meanwhile."""
