#!/bin/sh
# Sets up .venv with everything that `make run` (run) or `make test` (dev) needs, Chromium too for
# `make test-browser` (browser), PgBouncer, nginx, Caddy and npm too for `.ci/run` (proxies), or .venv-models with what `make test-models` needs (models).
# If nothing is to do it takes a few milliseconds; an interrupted setup is repeated.
#
#   deploy/bootstrap.sh run|dev|browser|proxies|models
#
# PYTHON names the interpreter to build on; without it the first Python >= 3.11 is used.
# SMART_FILTER_CHROMIUM names the browser; without it the system's is used, and for root on
# Debian it is installed. PGBOUNCER names PgBouncer in the same way.
set -u

kind=${1:-run}
venv=.venv
with_browser= with_proxies=
case $kind in
  run) lock=requirements/run.lock ;;
  dev) lock=requirements/dev.lock ;;
  browser) kind=dev lock=requirements/dev.lock with_browser=yes ;;
  proxies) kind=dev lock=requirements/dev.lock with_proxies=yes ;;
  models) lock=requirements/models.lock venv=.venv-models ;;
  *) echo "usage: deploy/bootstrap.sh run|dev|browser|proxies|models" >&2; exit 2 ;;
esac
# The index of torch for CPUs, as for images; empty: pip's configuration has one.
torch_index=${TORCH-https://download.pytorch.org/whl/cpu}
cd "$(dirname "$0")/.." || exit 1

# Variables that were set for other environments must not affect this one.
unset PYTHONHOME PYTHONPATH VIRTUAL_ENV PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV
export PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

log=$venv/set-up.log
sound=$venv/set-up-sound  # marks an environment as completely installed

main() {
  # The dev environment contains the run environment.
  if is_in_place && { is_done dev || is_done "$kind"; }; then
    return 0
  fi
  check_machine
  create_environment
  # A half-installed package looks complete to pip, so an interrupted installation must be detected.
  rm -f "$sound" "$venv"/set-up-run "$venv"/set-up-dev "$venv"/set-up-models
  say "Installing dependencies (a minute the first time, some more for models) …"
  install --require-hashes -r "$lock"
  [ "$kind" != models ] || install_torch
  install --no-deps --no-build-isolation -e .
  pwd > "$sound"
  wanted_stamp "$kind" > "$venv/set-up-$kind"
}

# Its scripts contain its path, so a moved environment is created again.
is_in_place() {
  [ -f "$sound" ] && [ "$(cat "$sound")" = "$(pwd)" ] && runs "$venv/bin/python"
}

is_done() {
  [ -f "$venv/set-up-$1" ] && [ "$(cat "$venv/set-up-$1")" = "$(wanted_stamp "$1")" ]
}

wanted_stamp() {
  case $1 in
    dev) set -- requirements/dev.lock ;;
    models) set -- requirements/models.lock "$(cat requirements/torch.lock)" ;;
    *) set -- requirements/run.lock ;;
  esac
  { cat "$1" pyproject.toml; pwd; echo "$@"; } | sha256sum
}

check_machine() {
  [ "$(uname -s) $(uname -m)" = "Linux x86_64" ] ||
    fail "the embedded servers come for Linux on x86-64; this is $(uname -s) $(uname -m): use such a machine, virtual machine or container"
  [ -w . ] || fail "no permission to write in $(pwd): chown it, or copy it to a place of your own"
}

create_environment() {
  if is_in_place; then
    return 0
  fi
  python=$(find_python) || exit 1
  say "Creating $venv with $("$python" --version) …"
  output=$("$python" -m venv --clear "$venv" 2>&1) ||
    fail "$python -m venv failed: $(last_line "$output")"
  pwd > "$sound"
}

find_python() {
  problem="no Python: install 3.11 or newer (apt install python3 python3-venv), or name one with PYTHON=/path/to/python3"
  [ -z "${PYTHON:-}" ] || problem="PYTHON=$PYTHON does not run: name a Python 3.11 or newer"
  set -- python3 python3.14 python3.13 python3.12 python3.11
  [ -z "${PYTHON:-}" ] || set -- "$PYTHON"
  for candidate in "$@"; do
    runs "$candidate" || continue
    if ! "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
      problem="$candidate is $("$candidate" --version 2>&1), but 3.11 or newer is needed: install one (apt install python3.11 python3.11-venv), or name one with PYTHON=/path/to/python3"
    elif ! "$candidate" -c 'import ensurepip, venv' 2> /dev/null; then
      version=$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
      problem="$candidate lacks the venv module: apt install python$version-venv (or your system's package of it), or name another Python with PYTHON=/path/to/python3"
    else
      echo "$candidate"
      return 0
    fi
  done
  fail "$problem"
}

# A version manager's shim can exist without working.
runs() {
  [ "$("$1" -c 'print("it runs")' 2> /dev/null)" = "it runs" ]
}

install() {
  "$venv/bin/python" -m pip install --quiet "$@" > "$log" 2>&1 ||
    fail "pip install $* failed: $(last_line "$(grep -v '^\[notice\]' "$log")") (all of it: $log)"
}

# Only torch: the lock file has no build of torchvision for every Python, and no test needs it.
install_torch() {
  sed -n '/^torch==/,/[^\\]$/p' requirements/torch.lock > "$venv/torch.lock"
  install --no-deps --require-hashes ${torch_index:+--extra-index-url "$torch_index"} -r "$venv/torch.lock"
}

last_line() {
  printf '%s\n' "$1" | grep . | tail -n 1
}

# tests/smart_filter_tests/browsing/chromium.py searches for the same names, in the same order.
ensure_browser() {
  if [ -n "${SMART_FILTER_CHROMIUM:-}" ]; then
    command -v "$SMART_FILTER_CHROMIUM" > /dev/null ||
      fail "SMART_FILTER_CHROMIUM=$SMART_FILTER_CHROMIUM is no program: name Chromium or Chrome, or unset it"
    return 0
  fi
  for candidate in chromium chromium-browser google-chrome; do
    if command -v "$candidate" > /dev/null; then
      return 0
    fi
  done
  install_package chromium Chromium "SMART_FILTER_CHROMIUM=/path/to/chrome"
}

# tests/smart_filter_tests/proxy_programs.py looks for the same, tests/docs and tests/browser for npm;
# without them their tests are skipped, and fail where CI=true.
ensure_proxies() {
  PATH=$PATH:/usr/sbin command -v "${PGBOUNCER:-pgbouncer}" > /dev/null ||
    install_package pgbouncer PgBouncer "PGBOUNCER=/path/to/pgbouncer"
  PATH=$PATH:/usr/sbin command -v "${NGINX:-nginx}" > /dev/null ||
    install_package nginx-light nginx "NGINX=/path/to/nginx"
  command -v "${CADDY:-caddy}" > /dev/null ||
    install_package caddy Caddy "CADDY=/path/to/caddy"
  command -v npm > /dev/null ||
    install_package npm "Node.js with npm" "a PATH that contains it"
}

# Arguments: the package, the program's name, and the variable that names another.
install_package() {
  if [ "$(id -u)" != 0 ] || ! grep -qs '^ID=debian$' /etc/os-release; then
    fail "no $2: install it (Debian: sudo apt install $1), or name one with $3"
  fi
  say "Installing $2 (a minute or two) …"
  log=$venv/set-up-$1.log
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update && apt-get install --yes --no-install-recommends "$1"; } > "$log" 2>&1 < /dev/null ||
    fail "apt-get install $1 failed: $(last_line "$(cat "$log")") (all of it: $log)"
}

say() {
  echo "$*" >&2
}

fail() {
  echo "set-up: $*" >&2
  exit 1
}

main
[ -z "$with_browser" ] || ensure_browser
[ -z "$with_proxies" ] || ensure_proxies
