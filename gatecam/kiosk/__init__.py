"""Run gatecam as a systemd service: its units, installation, watchdog and restarts."""
