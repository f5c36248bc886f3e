"""Read, check, split and synthesize labelled pictures."""
