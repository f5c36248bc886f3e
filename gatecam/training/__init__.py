"""Train and score the networks, from raw picture folders to shipped weights."""
