#!/bin/sh
# Makes stand-ins for images of others from Debian's packages and from the wheels of
# requirements/dev.lock, and tags them with the same names: for a machine that reaches a Debian mirror and
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

# Prints the target of the Dockerfile that stands in for an image.
select_target() {
  name=${1#docker.io/}
  case ${name#library/} in
    ubuntu:*) echo base ;;
    python:* | postgres:* | caddy:*) name=${name#library/} && echo "${name%%:*}" ;;
    valkey/valkey:* | prom/prometheus:* | prom/alertmanager:* | grafana/grafana:* | jaegertracing/jaeger:*)
      name=${name##*/} && echo "${name%%:*}"
      ;;
    chrislusf/seaweedfs:*) echo storage ;;
    otel/opentelemetry-collector:*) echo collector ;;
    *) echo "make.sh: there is no stand-in for $1" >&2; exit 2 ;;
  esac
}

for image in "$@"; do
  select_target "$image" > /dev/null
done
docker image inspect smart-filter-standin:base > /dev/null 2>&1 || make_base
mkdir "$work/context"
cp -r Dockerfile postgres storage ../../requirements/dev.lock "$work/context"
# Side by side, because packages download and unpack.
builds=
for image in "$@"; do
  docker build --quiet --target "$(select_target "$image")" --tag "$image" "$work/context" > /dev/null &
  builds="$builds $!"
done
for build in $builds; do
  wait "$build"
done
printf '%s\n' "$@"
