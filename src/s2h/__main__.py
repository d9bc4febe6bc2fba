"""``python -m s2h``: the command ``s2h``, where it is not installed."""

from s2h.cli.app import main

if __name__ == "__main__":
    main()
