"""Keep events and totals in databases, and deliver events to outputs."""
