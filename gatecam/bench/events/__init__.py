"""Measure whether gatecam says the right thing to the right person (`gatecam evaluate-events`)."""
