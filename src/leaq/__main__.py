"""``python -m leaq``: the command line where the script ``leaq`` is not on the path."""

from leaq.cli.main import main

if __name__ == "__main__":
    main()
