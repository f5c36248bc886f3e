"""Deliver events to people and other systems, through queues that keep a slow sink from holding up frames."""
