#!/bin/sh
# Builds detectron2 for CPUs into .venv-models, at the commit that pyproject.toml pins, so that
# `make test-models` runs the tests that need it. It takes a compiler and some minutes.
#
#   deploy/detectron2.sh
set -eu
cd "$(dirname "$0")/.."
deploy/bootstrap.sh models
pip() { .venv-models/bin/python -m pip --disable-pip-version-check "$@"; }
# Its dependencies, as images have them, without those that .venv-models pins itself.
pip install --quiet 'setuptools<81' wheel ninja
for name in antlr4-python3-runtime cloudpickle contourpy cycler fonttools fvcore hydra-core iopath \
  kiwisolver matplotlib omegaconf portalocker pycocotools pyparsing tabulate termcolor tqdm yacs; do
  sed -n "/^$name==/,/[^\\\\]\$/p" requirements/worker-cpu-torch.lock
done > .venv-models/detectron2.lock
pip install --quiet --no-deps --no-build-isolation --require-hashes -r .venv-models/detectron2.lock
torchvision=$(sed -n 's/^\(torchvision==[0-9.]*\).*/\1/p' requirements/torch.lock)
pip install --quiet --no-deps --index-url "${TORCH-https://download.pytorch.org/whl/cpu}" "$torchvision"
commit=$(sed -n 's/^ *"detectron2 @ \(git+[^"]*\)".*/\1/p' pyproject.toml)
pip install --no-deps --no-build-isolation "$commit"
.venv-models/bin/python -W ignore -c 'import detectron2._C, torchvision.ops'
