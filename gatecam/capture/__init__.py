"""Where pixels come in, as `Frame`s of (H, W, 3) uint8 RGB; BGR becomes RGB here, once."""
