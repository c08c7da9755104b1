"""``python -m otoscope``."""

from otoscope.cli import main

if __name__ == "__main__":
    main()
