"""Provide what every other room needs: cores, folders, locks, logs, telemetry and progress."""
