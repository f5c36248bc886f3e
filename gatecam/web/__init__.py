"""Serve the web pages for the door and the operator, and control who may see them."""
