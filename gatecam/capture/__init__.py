"""Read cameras, videos and pictures as `Frame`s of (H, W, 3) uint8 RGB. BGR becomes RGB only here."""
