#!/bin/sh
# Installs each file of a release by itself, in empty folders, and uses it; `deploy/release.sh rehearse`.
#
#   deploy/rehearse.sh FOLDER            # the files, as `deploy/release.sh files` builds them
#
# Also upgrades a data folder with jobs: from the wheel PREVIOUS to this one, or, where no release came
# before, from this one to a next version, built from the sdist. Needs Python with venv, npm, and registries of Python and npm packages.
# PICTURES names a folder that keeps a picture of each way.
set -eu
cd "$(dirname "$0")/.."
files=$(cd "${1:?usage: deploy/rehearse.sh FOLDER}" && pwd)
photo=$PWD/tests/data/astronaut.png
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml | head -n 1)
wheel=$files/smart_filter-$version-py3-none-any.whl
place=$(mktemp -d)
chmod 711 "$place" # as root, PostgreSQL runs as another user
up=
trap '[ -z "$up" ] || kill "$up" 2> /dev/null || true; wait; rm -rf "$place"' EXIT
trap 'exit 1' INT TERM

step() { # NAME COMMAND…: runs a command in an empty folder, and says how long it took
  name=$1 started=$(date +%s)
  shift
  mkdir "$place/$name"
  set +e # POSIX ignores -e before ||
  (
    set -e
    cd "$place/$name"
    "$@"
  ) > "$place/$name.log" 2>&1
  status=$?
  set -e
  [ "$status" -eq 0 ] || {
    cat "$place/$name.log" >&2
    echo "rehearse.sh: $name failed: $*" >&2
    exit 1
  }
  printf '%-10s %4d s\n' "$name" $(($(date +%s) - started))
  [ -z "${PICTURES:-}" ] || for picture in "$place/$name"/*.jpg "$place/$name"/*.png; do
    [ ! -f "$picture" ] || cp "$picture" "$PICTURES/$name-${picture##*/}"
  done
}

is_picture() { # FILE MODE: whether it is a picture of that mode
  "$place/pip/bin/python" -c 'import sys; from PIL import Image; sys.exit(Image.open(sys.argv[1]).mode != sys.argv[2])' "$@"
}

with_pip() {
  python3 -m venv "$place/pip"
  "$place/pip/bin/pip" install --quiet --constraint "$files/constraints.txt" "$wheel"
  SMART_FILTER_DATA=$place/data "$place/pip/bin/smart-filter" run "$photo" --background preset:studio -o run.jpg
  SMART_FILTER_DATA=$place/data "$place/pip/bin/smart-filter" cut "$photo" -o cut.png
  is_picture run.jpg RGB
  is_picture cut.png RGBA
}

in_a_program() {
  SMART_FILTER_DATA=$place/data "$place/pip/bin/python" -c '
import sys
from smart_filter import compose, cut_out
assert cut_out(sys.argv[1]).people == 1
made = compose(sys.argv[1], "preset:studio")
assert made.rating > 50
made.image.save("compose.png")' "$photo"
}

with_uvx() {
  python3 -m venv "$place/tools"
  "$place/tools/bin/pip" install --quiet uv pipx
  SMART_FILTER_DATA=$place/data "$place/tools/bin/uvx" --from "$wheel" smart-filter run "$photo" -o run.jpg
  is_picture run.jpg RGB
}

with_pipx() {
  export PIPX_HOME="$place/pipx-home" PIPX_BIN_DIR="$place/pipx-bin"
  "$place/tools/bin/pipx" install "$wheel"
  SMART_FILTER_DATA=$place/data "$place/pipx-bin/smart-filter" cut "$photo" -o cut.png
  is_picture cut.png RGBA
}

from_source() {
  python3 -m venv "$place/source"
  "$place/source/bin/pip" install --quiet --constraint "$files/constraints.txt" "$files/smart_filter-$version.tar.gz"
  SMART_FILTER_DATA=$place/data "$place/source/bin/smart-filter" cut "$photo" -o cut.png
  is_picture cut.png RGBA
}

start_server() {
  SMART_FILTER_DATA=$place/data "$place/pip/bin/smart-filter" up --json > "$place/up.json" 2> "$place/up.log" &
  up=$!
  until [ -s "$place/up.json" ]; do
    kill -0 "$up" || { cat "$place/up.log" >&2; exit 1; }
    sleep 0.2
  done
  SMART_FILTER_URL=$(field url) SMART_FILTER_API_KEY=$(field api_key)
  export SMART_FILTER_URL SMART_FILTER_API_KEY
}

field() { # NAME: of the first line of `up`
  sed -n "1s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" "$place/up.json"
}

with_python_client() {
  python3 -m venv "$place/client"
  "$place/client/bin/pip" install --quiet "$files/smart_filter_client-$version-py3-none-any.whl"
  "$place/client/bin/python" -c '
import os, sys
from pathlib import Path
from smart_filter_client import Client
with Client(os.environ["SMART_FILTER_URL"], os.environ["SMART_FILTER_API_KEY"]) as client:
    job = client.run(Path(sys.argv[1]), {"background": "preset:studio"})
    assert job.succeeded, job
    job.save("client.jpg")
' "$photo"
  is_picture client.jpg RGB
}

with_npm_client() {
  npm install --silent --no-audit --no-fund "$files/smart-filter-client-$version.tgz"
  cat > me.mjs << 'END'
import { readFile, writeFile } from "node:fs/promises";
import { SmartFilter } from "smart-filter-client";
const client = new SmartFilter({ url: process.env.SMART_FILTER_URL, key: process.env.SMART_FILTER_API_KEY });
const { id } = await client.submit(await readFile(process.argv[2]), { recipe: { background: "preset:studio" } });
const job = await client.wait(id);
if (job.state !== "succeeded") throw new Error(JSON.stringify(job));
const image = await client.fetchOutput(id, "image");
await writeFile("npm.jpg", Buffer.from(await image.arrayBuffer()));
END
  node me.mjs "$photo"
  is_picture npm.jpg RGB
}

with_n8n() {
  npm install --silent --no-audit --no-fund --legacy-peer-deps "$files/n8n-nodes-smart-filter-$version.tgz"
  test -f node_modules/n8n-nodes-smart-filter/dist/nodes/SmartFilter/SmartFilter.node.js
}

upgrade() { # jobs of the earlier wheel are there afterwards, and new ones are made
  python3 -m venv "$place/upgraded"
  from=${PREVIOUS:-$wheel} to=$wheel
  [ -n "${PREVIOUS:-}" ] || to=$(build_next)
  install_upgraded "$from"
  upgraded run "$photo" --json > before.json
  id=$(sed -n '1s/.*"id": *"\([^"]*\)".*/\1/p' before.json)
  install_upgraded "$to"
  upgraded run "$photo" --background preset:studio -o after.jpg
  is_picture after.jpg RGB
  upgraded up --json > up.json 2> up.log &
  second=$!
  until [ -s up.json ]; do kill -0 "$second"; sleep 0.2; done
  upgraded jobs show "$id" --json | grep -q succeeded
  upgraded jobs download "$id" -o before.jpg
  kill "$second"
  wait "$second" || true
  is_picture before.jpg RGB
}

build_next() { # prints the wheel of the next version
  tar --extract --gzip --file "$files/smart_filter-$version.tar.gz"
  next=${version%.*}.$((${version##*.} + 1))
  sed -i "s/^version = \"$version\"/version = \"$next\"/" "smart_filter-$version/pyproject.toml"
  "$place/upgraded/bin/pip" wheel --quiet --no-deps "./smart_filter-$version" >&2
  echo "$PWD/smart_filter-$next-py3-none-any.whl"
}

install_upgraded() { # WHEEL
  "$place/upgraded/bin/pip" install --quiet --constraint "$files/constraints.txt" "$1"
}

upgraded() { # COMMAND…: of the version that is installed, with a data folder of its own
  SMART_FILTER_DATA=$place/old "$place/upgraded/bin/smart-filter" "$@"
}

step pip with_pip
step program in_a_program
step uvx with_uvx
step pipx with_pipx
step sdist from_source
step upgrade upgrade
start_server
step client with_python_client
step npm with_npm_client
step n8n with_n8n
du -sm "$place/pip" "$place/pipx-home" "$place/client" "$place/npm" | sed "s|$place/||"
du -cm "$place/pip/lib/"python*/site-packages/pip "$place/pip/lib/"python*/site-packages/setuptools 2> /dev/null |
  awk 'END {print $1, "MB of the first are pip itself"}'
ls -l "$wheel" | awk '{printf "wheel %.1f MB\n", $5 / 1e6}'
