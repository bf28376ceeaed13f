"""`python -m reage` is the same as `reage`."""

from reage.cli import main

if __name__ == "__main__":
    main()
