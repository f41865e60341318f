"""`python -m bailiwick` is the command line."""

from bailiwick.cli import main

if __name__ == "__main__":
    main()
