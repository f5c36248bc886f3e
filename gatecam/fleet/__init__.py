"""Watch many doors through the database that they share, and tell which of them are silent."""
