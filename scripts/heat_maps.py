"""Draw a figure of heat maps: where a net with attention looks for what sounds, clean and attacked."""

import argparse
import logging

from avrobust.analysis.examples import read_examples
from avrobust.files import write_text
from avrobust.program import json_argument, run
from avrobust.report.heat_maps import find, layout, tidy
from avrobust.report.matplotlib_settings import leave_out_the_users


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--spec", type=json_argument, required=True, help="layout as JSON: avrobust/report/heat_maps.py"
    )
    parser.add_argument("--examples", nargs="+", required=True, metavar="NPZ", help="clips of localise.py, by dataset")
    parser.add_argument("--scale", required=True, help="name of the scale at which the examples were made")
    parser.add_argument("--csv", required=True, help="what is said of each map to write, one line per map")
    parser.add_argument("--svg", required=True, help="drawing to write")
    parser.add_argument("--png", required=True, help="drawing to write, 200 dots per inch")
    arguments = parser.parse_args()

    figure = layout(arguments.spec)
    shown = find(figure, map(read_examples, arguments.examples))

    leave_out_the_users()
    # Loading the drawing library takes longer than finding a mistake in the arguments.
    from avrobust.report.heat_maps_plot import draw

    draw(figure, shown, arguments.scale, svg=arguments.svg, png=arguments.png)
    write_text(arguments.csv, tidy(shown, arguments.scale))
    logging.info(
        "%s: %d of %d rows have a clip", figure.title, sum(one.example is not None for one in shown), len(shown)
    )


if __name__ == "__main__":
    run(main)
