"""Measure gatecam on this machine, and compare it with the plain loop and the machine's limits."""
