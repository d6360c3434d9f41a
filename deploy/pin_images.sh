#!/bin/sh
# Pins the images of others by digest, in every file that names them.
#
#   deploy/pin_images.sh           # asks the registries for the digest of each tag, and writes it
#   deploy/pin_images.sh check     # prints the images without a digest, and fails if there are any
#
# The first needs Docker with buildx. A digest is that of a tag's index, so it holds for every
# architecture. Repeat it to take the tags' security updates; the release workflow runs `check`.
set -eu
cd "$(dirname "$0")/.."
set -- "${1:-}" Dockerfile.api Dockerfile.gpu-worker docker-compose.yml deploy/compose.tls.yml deploy/compose.release.yml
command=$1
shift

list_images() { # FILE …: the images without their digests
  grep --only-matching --no-filename --extended-regexp 'docker\.io/[a-z0-9./_-]+:[A-Za-z0-9._-]+' "$@" | sort --unique
}

check() { # FILE …
  unpinned=$(sed 's/@sha256:[0-9a-f]\{64\}/@/' "$@" |
    grep --only-matching --extended-regexp 'docker\.io/[a-z0-9./_-]+:[A-Za-z0-9._-]+@?' | grep --invert-match '@$' | sort --unique)
  [ -n "$unpinned" ] || return 0
  printf 'no digest: %s\n' $unpinned >&2
  echo "pin_images.sh: run deploy/pin_images.sh where the registries can be reached, and commit what it writes" >&2
  return 1
}

pin() { # FILE …
  # All digests first, so that a failure leaves the files as they are.
  edits=
  for image in $(list_images "$@"); do
    digest=$(docker buildx imagetools inspect "$image" --format '{{.Manifest.Digest}}')
    expr "$digest" : 'sha256:[0-9a-f]\{64\}$' > /dev/null ||
      { echo "pin_images.sh: $image has no digest, but: $digest" >&2; exit 1; }
    name=$(printf '%s' "$image" | sed 's/\./\\./g')
    edits="$edits s|$name\(@sha256:[0-9a-f]*\)\{0,1\}\([^A-Za-z0-9._@-]\)|$image@$digest\2|; s|$name\(@sha256:[0-9a-f]*\)\{0,1\}\$|$image@$digest|;"
    echo "$image@$digest"
  done
  sed --in-place "$edits" "$@"
}

case $command in
  check) check "$@" ;;
  "") pin "$@" ;;
  *) echo "usage: deploy/pin_images.sh [check]" >&2; exit 2 ;;
esac
