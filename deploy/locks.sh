#!/bin/sh
# Generates every lock file with uv, for the checkout's environments and the images.
#
#   deploy/locks.sh                       # all of them; pins stay unless they must change
#   deploy/locks.sh api build worker      # only those of the images
#
# They name no index, so that any mirror can serve them. Images use the tested versions from
# requirements/dev.lock, and nothing that is not pinned by digest. Written by hand is only
# requirements/torch.lock: PyPI has torch for CUDA alone, and https://download.pytorch.org/whl/cpu the
# builds for CPUs, whose digests its pages torch/ and torchvision/ name.
set -eu
cd "$(dirname "$0")/.."

lock() { # NAME PYTHON ARGUMENT…: requirements/NAME.lock
  name=$1 python=$2
  shift 2
  echo "requirements/$name.lock" >&2
  uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header \
    --no-emit-index-url --python-version "$python" "$@" --output-file "requirements/$name.lock"
}

image() { # NAME ARGUMENT…: requirements/NAME.lock for the images' Python
  name=$1
  shift
  lock "$name" 3.12 --constraint requirements/dev.lock "$@"
}

pinned() { # PACKAGE: the version that models are tested with
  sed -n "s/^\($1==[0-9.]*\).*/\1/p" requirements/models.lock
}

# Frameworks, and the dependencies of torch and detectron2, which are installed without them.
frameworks() { # PACKAGE…: more of them
  printf '%s\n' "$@" "$(pinned keras)" "$(pinned h5py)" 'setuptools<81' wheel \
    filelock fsspec jinja2 networkx sympy \
    black cloudpickle 'fvcore<0.1.6' 'hydra-core>=1.1' 'iopath<0.1.10' matplotlib 'omegaconf<2.4' \
    packaging pycocotools tabulate tensorboard termcolor tqdm yacs
}

worker() { # VARIANT ARGUMENT…: with the packages of the standard input
  variant=$1
  shift
  image "worker-$variant" --group api --group c2pa --group live --group onnx --group otlp --group s3 --group uvloop \
    --group worker "$@" -
}

[ $# -gt 0 ] || set -- run dev models api build worker
for name in "$@"; do
  case $name in
    run) lock run 3.11 --group build --group all --group onnx --group s3 --group uvloop ;;
    dev) lock dev 3.11 --group dev ;;
    models)
      [ -e requirements/models.lock ] || cp requirements/dev.lock requirements/models.lock
      lock models 3.11 --group test-models
      ;;
    api) image api --group api --group otlp --group s3 --group uvloop ;;
    build) printf '%s\n' hatchling 'setuptools<81' wheel | image build - ;;
    worker)
      tensorflow=$(pinned tensorflow-cpu)
      worker cpu </dev/null
      frameworks "$tensorflow" | worker cpu-torch
      # The two builds of ONNX Runtime install the same files under two names: use only one.
      onnxruntime=$(pinned onnxruntime)
      # TensorFlow has no build for the CUDA of the other two.
      # shellcheck disable=SC2046
      frameworks "$tensorflow" "onnxruntime-gpu${onnxruntime#onnxruntime}" \
        $(sed -n 's/^\(torch[a-z]*==[0-9.]*\).*/\1/p' requirements/torch.lock) |
        worker gpu --no-emit-package onnxruntime
      ;;
    *) echo "deploy/locks.sh: no lock file is called $name: run, dev, models, api, build, worker" >&2; exit 2 ;;
  esac
done
