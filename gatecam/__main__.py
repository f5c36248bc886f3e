"""`python -m gatecam` is `gatecam`."""

from gatecam.cli.main import main

if __name__ == "__main__":
    main()
