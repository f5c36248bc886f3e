"""Run the command line with `python -m gatecam`."""

from gatecam.cli.main import main

if __name__ == "__main__":
    main()
