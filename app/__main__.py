"""`python -m app` is the `reelgate` command."""

from app.cli import main

if __name__ == "__main__":
    main()
