"""What every room stands on: cores, folders, locks, logs, telemetry, progress."""
