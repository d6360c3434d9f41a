#!/bin/sh
# Builds the files and images of a release and publishes the images; .github/workflows/release.yml runs it.
#
#   deploy/release.sh files              # build/release: packages, chart, compose file; needs npm too
#   deploy/release.sh rehearse           # the same, then installs and uses each in an empty folder
#   deploy/release.sh build IMAGE …      # for this machine, NAME:TAG; needs Docker only
#   deploy/release.sh push IMAGE …       # the same, with SBOM and provenance, as NAME:TAG-ARCHITECTURE
#   deploy/release.sh publish IMAGE …    # joins the architectures to NAME:TAG and signs it with cosign
#   deploy/release.sh compose            # build/release/docker-compose.yml, which names this registry
#
# IMAGE is api, worker-cpu, worker-cpu-torch or worker-gpu. IMAGES names the registry and the folder in
# it. GITHUB_REF_NAME must be the version's tag where it is set, such as v0.1.0.
set -eu
cd "$(dirname "$0")/.."
here=$PWD
: "${IMAGES:=ghcr.io/smart-filter}"
IMAGES=$(printf '%s' "$IMAGES" | tr '[:upper:]' '[:lower:]') # as registries want it
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml | head -n 1)

fail() {
  echo "release.sh: $*" >&2
  exit 2
}

select_image() { # IMAGE: sets name, tag, variant, dockerfile and architectures
  architectures="amd64 arm64" tag=$version variant=
  case $1 in
    api) name=$IMAGES/smart-filter-api dockerfile=Dockerfile.api ;;
    worker-cpu | worker-cpu-torch | worker-gpu)
      variant=${1#worker-} tag=$version-$variant
      name=$IMAGES/smart-filter-gpu-worker dockerfile=Dockerfile.gpu-worker
      # Their frameworks have no builds for others that were tried.
      [ "$variant" = cpu ] || architectures=amd64
      ;;
    *) fail "there is no image $1: name api, worker-cpu, worker-cpu-torch or worker-gpu" ;;
  esac
}

build() { # ARGUMENT…: builds the selected image
  docker buildx build --quiet --file "$dockerfile" ${variant:+--build-arg "VARIANT=$variant"} \
    --label "org.opencontainers.image.version=$version" \
    --label org.opencontainers.image.licenses=Apache-2.0 "$@" .
}

find_architecture() {
  case $(uname -m) in
    x86_64) echo amd64 ;;
    aarch64 | arm64) echo arm64 ;;
    *) fail "images are made on amd64 and arm64; this is $(uname -m)" ;;
  esac
}

publish() {
  sources=
  for one in $architectures; do
    sources="$sources $name:$tag-$one"
  done
  # shellcheck disable=SC2086
  docker buildx imagetools create --tag "$name:$tag" $sources
  digest=$(docker buildx imagetools inspect "$name:$tag" --format '{{.Manifest.Digest}}')
  cosign sign --yes "$name@$digest"
  [ -z "${GITHUB_OUTPUT:-}" ] || printf 'name=%s\ndigest=%s\n' "$name" "$digest" >> "$GITHUB_OUTPUT"
  echo "$name:$tag@$digest"
}

make_files() {
  rm -rf build/release && mkdir -p build/release
  for folder in . client; do
    (cd $folder && "$here/.venv/bin/hatchling" build --directory "$here/build/release" --target wheel --target sdist)
  done
  for folder in client/typescript client/n8n; do
    (cd $folder && npm ci --silent --no-audit --no-fund --ignore-scripts && npm run --silent build &&
      npm pack --silent --ignore-scripts --pack-destination "$here/build/release" && rm -rf node_modules)
  done
  # What `pip install --constraint` takes: the tested versions.
  sed -n 's/^\([^ ]*==[^\]*[^ \]\) *\\*$/\1/p' requirements/run.lock > build/release/constraints.txt
  tar --create --gzip --file "build/release/smart-filter-chart-$version.tgz" \
    --transform 's|^kubernetes|smart-filter|' --directory deploy kubernetes
  write_compose
}

write_compose() {
  mkdir -p build/release
  sed "s|{SMART_FILTER_IMAGES:-[^}]*}|{SMART_FILTER_IMAGES:-$IMAGES}|" deploy/compose.release.yml \
    > build/release/docker-compose.yml
  echo build/release/docker-compose.yml
}

[ -n "$version" ] || fail "pyproject.toml has no version"
[ "${GITHUB_REF_NAME:-v$version}" = "v$version" ] ||
  fail "the tag is $GITHUB_REF_NAME, but pyproject.toml has $version: tag v$version, or change the version"
command=${1:-}
[ $# -eq 0 ] || shift
case $command in
  compose) write_compose ;;
  files) make_files ;;
  rehearse) make_files && deploy/rehearse.sh build/release ;;
  build | push | publish)
    [ $# -gt 0 ] || fail "name an image: api, worker-cpu, worker-cpu-torch or worker-gpu"
    for image in "$@"; do
      select_image "$image"
      case $command in
        build) build --load --tag "$name:$tag" ;;
        push) build --push --tag "$name:$tag-$(find_architecture)" --sbom=true --provenance=mode=max ;;
        publish) publish ;;
      esac
    done
    ;;
  *) fail "usage: deploy/release.sh build|push|publish IMAGE …, or compose, files, rehearse" ;;
esac
