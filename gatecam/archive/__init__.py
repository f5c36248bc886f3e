"""Turn archives of recordings into tables of events, people and totals, on one machine or many."""
