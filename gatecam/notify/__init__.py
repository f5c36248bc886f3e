"""The room that tells: sinks for events, and the queue that keeps a slow one from the frames."""
