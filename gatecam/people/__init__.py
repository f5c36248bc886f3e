"""Follow people over time: tracks, key frames, alerts and presence."""
