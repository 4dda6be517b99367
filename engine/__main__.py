"""`python -m engine` is the `roundtrip` command."""

from engine.app.cli import main

if __name__ == "__main__":
    main()
