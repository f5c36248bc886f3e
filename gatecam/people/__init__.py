"""Faces over time: tracks, key frames, alerts, and who is present."""
