#!/bin/sh
# Downloads packages of a Debian release from this machine's mirror and unpacks them into a folder.
# Nothing is installed, and no package's scripts run. FOLDER/mirror names the mirror.
#
#   deploy/standins/unpack.sh FOLDER RELEASE PACKAGE …
set -eu
mkdir -p "$1"
folder=$(cd "$1" && pwd) release=$2
shift 2

own_release=$(. /etc/os-release && echo "${VERSION_CODENAME:-none}")
mirror=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
  sed -n "s/^$own_release //p" | head -n 1)
[ -n "$mirror" ] || { echo "unpack.sh: apt has no mirror for $own_release" >&2; exit 1; }

apt=$folder/.apt
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/debs"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $release main" > "$apt/sources.list"
cat > "$apt/apt.conf" <<CONF
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "$apt/lists";
Dir::State::status "/dev/null";
Dir::Cache "$apt/cache";
APT::Sandbox::User "root";
CONF
export APT_CONFIG="$apt/apt.conf"
cd "$apt/debs"
apt-get -qq update
apt-get -qq download "$@"
for package in *.deb; do
  dpkg-deb --extract "$package" "$folder"
done
cd "$folder"
rm -r "$apt"
echo "$mirror" > mirror
