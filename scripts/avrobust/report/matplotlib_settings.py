"""What a user has set for matplotlib, kept from figures that must be the same everywhere."""

import os


def leave_out_the_users() -> None:
    """Take the user's settings away; to be called before matplotlib is imported, which reads them then.

    A notebook's backend may not be there, the user's own settings would draw other figures, and a file of settings that
    is not UTF-8 would end the program.
    """
    os.environ.update(MPLBACKEND="agg", MATPLOTLIBRC=os.devnull)
