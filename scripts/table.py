"""Measure one table of a paper: from cells and printed values to tidy CSV and a Markdown table."""

import argparse
import logging

from avrobust.data.manifest import clips_seen_in_training
from avrobust.files import write_text
from avrobust.metrics.rows import Cells, read_cell
from avrobust.program import json_argument, progress, run
from avrobust.report.tables import layout, measure, read_published
from avrobust.report.text import markdown, tidy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", type=json_argument, required=True, help="layout as JSON: avrobust/report/tables.py")
    parser.add_argument("--cells", nargs="+", required=True, metavar="PARQUET", help="cells that the table reads")
    parser.add_argument("--published", metavar="CSV", help="printed values: row keys, column, value, note")
    parser.add_argument(
        "--manifests", nargs="*", default=[], metavar="CSV", help="of --manifest-datasets, in their order"
    )
    parser.add_argument("--manifest-datasets", nargs="*", default=[], help="datasets of which rows read `unseen` clips")
    parser.add_argument("--scale", required=True, help="name of the scale at which the cells were made")
    parser.add_argument("--csv", required=True, help="table to write, one line per entry")
    parser.add_argument("--markdown", required=True, help="table to write as the paper prints it")
    arguments = parser.parse_args()

    table = layout(arguments.spec)
    published = read_published(arguments.published, table.keys) if arguments.published else {}
    cells = Cells(map(read_cell, progress(arguments.cells, label="reading", unit="cells")))
    datasets = zip(arguments.manifest_datasets, arguments.manifests, strict=True)
    seen = {dataset: clips_seen_in_training(path) for dataset, path in datasets}
    entries = measure(table, cells, published, seen)
    write_text(arguments.csv, tidy(table, entries, arguments.scale))
    write_text(arguments.markdown, markdown(table, entries, arguments.scale))
    compared = [entry.inside for entry in entries if entry.inside is not None]
    logging.info(
        "%s: %d entries, %d of %d published values inside our interval",
        table.title,
        len(entries),
        sum(compared),
        len(compared),
    )


if __name__ == "__main__":
    run(main)
