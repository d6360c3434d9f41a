#!/bin/sh
# Generates the secrets of docker-compose.yml in deploy/secrets; existing ones stay.
#
#   deploy/secrets.sh
#
# Compose mounts each as /run/secrets/NAME. Only the owner can open the folder. The files in it are
# readable by all, because containers run as users that this machine does not have.
set -eu
umask 077
cd "$(dirname "$0")"
mkdir -p secrets
chmod 0700 secrets

keep() { # NAME: stores standard input as the secret unless it exists
  if [ -s "secrets/$1" ]; then
    cat > /dev/null
  else
    cat > "secrets/$1.new"
    chmod 0444 "secrets/$1.new"
    mv "secrets/$1.new" "secrets/$1"
  fi
}

draw() { # 32 bytes in hexadecimal, which need no quoting in a URL or a settings file
  drawn=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
  if [ "${#drawn}" -ne 64 ]; then
    echo "deploy/secrets.sh: od or /dev/urandom gave no random bytes" >&2
    return 1
  fi
  printf '%s' "$drawn"
}

for name in broker_password grafana_password live_secret postgres_password sealing_key \
  storage_access_key storage_access_key_api storage_access_key_worker \
  storage_secret_key storage_secret_key_api storage_secret_key_worker; do
  drawn=$(draw)
  printf '%s' "$drawn" | keep "$name"
done
read_secret() { cat "secrets/$1"; }

# API, workers and sender each have a database role. If there is a `database_url` of another database,
# they share its role.
for process in api worker sender; do
  if [ -s secrets/database_url ]; then
    read_secret database_url | keep "database_url_$process"
  else
    drawn=$(draw)
    printf 'postgresql+psycopg://smart_filter_%s:%s@postgres:5432/smart_filter' \
      "$process" "$drawn" | keep "database_url_$process"
  fi
done
printf 'postgresql+psycopg://smart_filter:%s@postgres:5432/smart_filter' \
  "$(read_secret postgres_password)" | keep database_url
printf 'redis://:%s@valkey:6379/0' "$(read_secret broker_password)" | keep broker_url
printf 'requirepass %s\n' "$(read_secret broker_password)" | keep valkey.conf

# The storage reads its policies as JSON in a string.
policy_api=$(sed -n 'H;${x;s/\n *//g;s/"/\\"/g;p;}' storage/policy-api.json)
policy_worker=$(sed -n 'H;${x;s/\n *//g;s/"/\\"/g;p;}' storage/policy-worker.json)
identity() { # NAME SUFFIX RIGHTS: prints an identity with the keys that have the suffix
  printf '{"name":"%s","credentials":[{"accessKey":"%s","secretKey":"%s"}],%s}' \
    "$1" "$(read_secret "storage_access_key$2")" "$(read_secret "storage_secret_key$2")" "$3"
}
printf '{"identities":[%s,%s,%s],"policies":[{"name":"api","content":"%s"},{"name":"worker","content":"%s"}]}\n' \
  "$(identity smart_filter '' '"actions":["Admin"]')" \
  "$(identity smart_filter_api _api '"policyNames":["api"]')" \
  "$(identity smart_filter_worker _worker '"policyNames":["worker"]')" \
  "$policy_api" "$policy_worker" | keep storage_roles.json
