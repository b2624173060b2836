#!/bin/sh
# Pin every version anew: `make lock`. No file names an index, so that the pins install from any mirror.
set -eu
cd "$(dirname "$0")/.."
uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header --no-annotate \
  --group pyproject.toml:test pyproject.toml --output-file envs/requirements.txt "$@"
uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header --no-annotate \
  --group pyproject.toml:setup --output-file envs/uv.txt "$@"
