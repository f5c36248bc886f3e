"""The pages: the one at the door and the operator's, and who may see them."""
