#!/bin/sh
# Make the environment in .venv from the pinned versions. Run by `make setup`; needs Python 3.11 to 3.13 and, from the
# package index that pip or uv is set up with on this machine, the wheels. Nothing outside this folder changes.
# `make setup TORCH=cpu` spares a machine without a GPU the 3.9 GB of CUDA, see README.
set -eu
cd "$(dirname "$0")/.."

requirements=envs/requirements.txt
stamp=.venv/installed-requirements.txt

# An environment works in the folder that it was made in, whose path its programs begin with and `activate` has.
if [ -e .venv/conda-meta ]; then
  echo "error: .venv is an environment of conda's; activate it and leave make out (README), or move it elsewhere" >&2
  exit 1
fi
if [ -e .venv ] || [ -L .venv ]; then
  folder=$(cd .venv 2>/dev/null && pwd -P) || folder=nowhere
  if ! .venv/bin/python -c '' 2>/dev/null ||
     ! sed -n 's/^[[:space:]]*\(export \)\{0,1\}VIRTUAL_ENV=//p' .venv/bin/activate | tr -d "\"'" | grep -qxF "$folder"; then
    echo "the environment in .venv does not work here: it was moved or copied, or its Python is gone; making it anew" >&2
    rm -rf .venv
  fi
fi
cmp -s "$requirements" "$stamp" && exit 0

python=
for candidate in ${PYTHON:-} python3.12 python3.13 python3.11 python3; do
  if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
if [ -z "$python" ]; then
  echo "error: no Python 3.11, 3.12 or 3.13 found; name one: make setup PYTHON=/path/to/python3.12" >&2
  exit 1
fi

if [ ! -x .venv/bin/python ] && ! "$python" -m venv .venv; then
  rm -rf .venv
  # Debian's python3 comes without ensurepip; its pip can still bring a virtual environment.
  if ! "$python" -m pip install --quiet --target .venv-tools virtualenv ||
     ! PYTHONPATH=.venv-tools "$python" -m virtualenv --quiet .venv; then
    echo "error: $python can make no virtual environment; install the package python3-venv, or use conda (README)" >&2
    exit 1
  fi
  rm -rf .venv-tools
fi

case ${TORCH:=cuda} in
  cuda) echo "making .venv: 6 GB, of which 3.9 GB for CUDA; on a machine without a GPU see TORCH=cpu in README" >&2 ;;
  cpu) echo "making .venv without CUDA: about 2 GB; no hash is known of torch, torchvision and torchaudio" >&2 ;;
  *) echo "error: TORCH=$TORCH: give TORCH=cpu, or leave it out" >&2; exit 1 ;;
esac
# Compiled once here and not by every job: torch alone takes two seconds to compile.
with_uv() {
  .venv/bin/uv pip install --quiet --compile-bytecode --python .venv/bin/python "$@"
}
get_uv() {
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r envs/uv.txt
}

if [ "$TORCH" = cpu ]; then
  # The builds without CUDA are on an index of PyTorch's own, which uv knows.
  trio='(torch|torchvision|torchaudio)=='
  get_uv
  awk "/^[a-z]/ {take = !/^($trio|triton==|nvidia-|cuda-)/} take" "$requirements" > .venv/without-cuda.txt
  with_uv --no-deps --require-hashes -r .venv/without-cuda.txt
  with_uv --no-deps --torch-backend cpu $(grep -oE "^$trio[0-9.]+" "$requirements")
# uv takes seconds where pip takes minutes. Where it cannot reach the index that pip is set up with, pip does it.
elif ! { get_uv && with_uv --require-hashes -r "$requirements"; }; then
  echo "uv could not install the environment; trying pip, which takes some minutes" >&2
  .venv/bin/python -m pip install --disable-pip-version-check --require-hashes -r "$requirements"
fi
cp "$requirements" "$stamp"
