"""The room that sees. Frames go to the device once, faces come back; no tensor leaves it."""
