#!/bin/sh
# Makes stand-ins for images of others from Debian's packages and from the wheels of
# requirements.lock, and tags them with the same names: for a machine that reaches a Debian mirror and
# a Python index, but no image registry. Prints the name of each.
#
#   deploy/standins/make.sh IMAGE …
#
# `docker` names the engine (DOCKER_HOST). Needs root on Debian. Builds in the stand-ins trust this
# machine's own certificates and use its Python index.
set -eu
cd "$(dirname "$0")"
release=trixie

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

make_base() {
  ./unpack.sh "$work/mmdebstrap" "$release" mmdebstrap
  mirror=$(cat "$work/mmdebstrap/mirror")
  # Only what a build in the stand-in needs: paths of this machine mean nothing there.
  {
    echo '[global]'
    python3 -m pip config list 2> /dev/null |
      sed -n "s/^[^.]*\.\(index-url\|proxy\|timeout\|trusted-host\)='\(.*\)'\$/\1 = \2/p" |
      sort -u -t ' ' -k 1,1
  } > "$work/pip.conf"
  set -- --customize-hook="copy-in $work/pip.conf /etc"
  for certificate in /usr/local/share/ca-certificates/*.crt; do
    [ ! -e "$certificate" ] ||
      set -- "$@" --customize-hook="copy-in $certificate /usr/local/share/ca-certificates"
  done
  perl "$work/mmdebstrap/usr/bin/mmdebstrap" --quiet --mode=root --variant=minbase --include=ca-certificates \
    --aptopt='Acquire::Check-Date "false"' "$@" --customize-hook='chroot "$1" update-ca-certificates > /dev/null 2>&1' \
    "$release" - "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $release main" |
    docker import - smart-filter-standin:base > /dev/null
}

# Arguments: the target of the Dockerfile and the image's name.
make_image() {
  [ -d "$work/context" ] || {
    mkdir "$work/context"
    cp -r Dockerfile postgres storage ../../requirements.lock "$work/context"
  }
  docker build --quiet --target "$1" --tag "$2" "$work/context" > /dev/null
}

docker image inspect smart-filter-standin:base > /dev/null 2>&1 || make_base
for image in "$@"; do
  name=${image#docker.io/}
  case ${name#library/} in
    ubuntu:*) docker tag smart-filter-standin:base "$image" ;;
    python:*) make_image python "$image" ;;
    postgres:*) make_image postgres "$image" ;;
    valkey/valkey:*) make_image valkey "$image" ;;
    prom/prometheus:*) make_image prometheus "$image" ;;
    chrislusf/seaweedfs:*) make_image storage "$image" ;;
    *) echo "make.sh: there is no stand-in for $image" >&2; exit 2 ;;
  esac
  echo "$image"
done
