"""Floor 3: how a program that runs for months stands in its system: supervised, held back, and asked."""
