"""Score classifier and detector."""
