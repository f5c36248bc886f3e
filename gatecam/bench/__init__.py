"""Measures gatecam on the machine at hand, beside the plain loop and beside what the machine can do."""
