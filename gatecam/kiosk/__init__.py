"""gatecam as a service: systemd's units, installing them, the watchdog and restarts."""
