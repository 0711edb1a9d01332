"""``./run NAME ...``: the commands of the project's own, each with a module of its name that is imported when it is called."""

import importlib
import sys

from pharmasl.commands.usage import MODULES
from pharmasl.errors import InputError, InputErrors, wrapped


def main(arguments: list[str]) -> int:
    """Call a command.

    Parameters
    ----------
    arguments : list of str
        Its name and what follows it on the command line.

    Returns
    -------
    int
        Status with which the process ends: 2 where the input cannot be used.
    """
    name, *rest = arguments
    command = importlib.import_module(f"pharmasl.commands.{MODULES[name]}")
    try:
        return int(command.main(rest))
    except (InputError, InputErrors) as problem:
        print(wrapped(problem), file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Somebody reads the first lines alone.
        sys.stderr.close()
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
