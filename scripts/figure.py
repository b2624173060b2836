"""Measure and draw one sweep figure of a paper: accuracy over the strength of the attack."""

import argparse
import logging

from avrobust.files import write_text
from avrobust.metrics.rows import Cells, read_cell
from avrobust.program import json_argument, progress, run
from avrobust.report.matplotlib_settings import leave_out_the_users
from avrobust.report.sweep import figure, measure, tidy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", type=json_argument, required=True, help="layout as JSON: avrobust/report/sweep.py")
    parser.add_argument("--cells", nargs="+", required=True, metavar="PARQUET", help="cells that the figure reads")
    parser.add_argument("--scale", required=True, help="name of the scale at which the cells were made")
    parser.add_argument("--csv", required=True, help="the points to write, one per line")
    parser.add_argument("--svg", required=True, help="drawing to write")
    parser.add_argument("--png", required=True, help="drawing to write, 200 dots per inch")
    arguments = parser.parse_args()

    layout = figure(arguments.spec)
    cells = Cells(map(read_cell, progress(arguments.cells, label="reading", unit="cells")))
    panels = {
        panel.name: [measure(series, layout.epsilons, cells) for series in panel.series] for panel in layout.panels
    }

    leave_out_the_users()
    # Loading the drawing library takes longer than finding a mistake in the arguments.
    from avrobust.report.sweep_plot import draw

    draw(layout, panels, arguments.scale, svg=arguments.svg, png=arguments.png)
    write_text(arguments.csv, tidy(panels, arguments.scale))
    logging.info("%s: %d curves", layout.title, sum(map(len, panels.values())))


if __name__ == "__main__":
    run(main)
