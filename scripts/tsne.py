"""Draw a t-SNE figure of a paper and measure what it shows: how well the classes cluster, clean and attacked."""

import argparse
import logging
from itertools import product

import avrobust.openblas  # noqa: F401
from avrobust.files import write_text
from avrobust.metrics.scores import Scores
from avrobust.program import json_argument, progress, run
from avrobust.report.matplotlib_settings import leave_out_the_users
from avrobust.report.tsne import DRAWN, Embeddings, figure, first_classes, measure, measures_csv, points_csv, project


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", type=json_argument, required=True, help="layout as JSON: avrobust/report/tsne.py")
    parser.add_argument(
        "--embeddings", nargs="+", required=True, metavar="PARQUET", help="of the seed that is drawn; more may be given"
    )
    parser.add_argument("--scores", nargs="+", required=True, metavar="PARQUET", help="of all seeds")
    parser.add_argument("--scale", required=True, help="name of the scale at which the embeddings were made")
    parser.add_argument("--csv", required=True, help="the drawn points to write, one per line")
    parser.add_argument("--measures-csv", required=True, help="the measures to write, one per line")
    parser.add_argument("--svg", required=True, help="drawing to write")
    parser.add_argument("--png", required=True, help="drawing to write, 200 dots per inch")
    arguments = parser.parse_args()

    layout = figure(arguments.spec)
    files, scores = Embeddings(arguments.embeddings), Scores(arguments.scores)
    measured = [one for panel in layout.panels for one in measure(layout, panel, scores)]
    embeddings = [first_classes(files.read(panel, layout.attack, layout.seed), DRAWN) for panel in layout.panels]
    places = list(product(layout.rows, zip(layout.panels, embeddings, strict=True)))
    projections = [
        project(layout, panel, epsilon, embedding)
        for epsilon, (panel, embedding) in progress(places, label="t-SNE", unit="panels")
    ]

    leave_out_the_users()
    # Loading the drawing library takes longer than finding a mistake in the arguments.
    from avrobust.report.tsne_plot import draw

    draw(layout, projections, measured, arguments.scale, svg=arguments.svg, png=arguments.png)
    write_text(arguments.csv, points_csv(projections, arguments.scale))
    write_text(arguments.measures_csv, measures_csv(layout, measured, arguments.scale))
    logging.info("%s: %d panels", layout.title, len(projections))


if __name__ == "__main__":
    run(main)
