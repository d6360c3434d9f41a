"""`smart-filter removebg certificate`: makes a private CA and a certificate for api.remove.bg."""

import datetime as dt
from pathlib import Path

import click

from smart_filter_deploy.cli.removebg import certificate as certificates
from smart_filter_deploy.cli.removebg.certificate import IssuedCertificate
from smart_filter_deploy.cli.terminal.text import examples

_SERVER_DAYS = 397  # thirteen months, so that a yearly renewal has a month to spare


@click.command(
    epilog=examples(
        "smart-filter removebg certificate",
        "smart-filter removebg certificate /srv/removebg-tls --host photos.example.com",
    )
)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default="removebg-tls")
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="Host name in addition to api.remove.bg; repeat for more.",
)
@click.option(
    "--days",
    type=click.IntRange(1, certificates.MAX_SERVER_DAYS),
    default=_SERVER_DAYS,
    show_default=True,
    help="Days until the server's certificate expires.",
)
def certificate(folder: Path, hosts: tuple[str, ...], days: int) -> None:
    """Make a private CA and a certificate for api.remove.bg in FOLDER (removebg-tls).

    With them, this service answers programs that have the address of remove.bg built in, on
    machines that look up api.remove.bg as the address of this service and trust the CA. The CA can
    certify only these names.

    A second run renews the server's certificate with the same CA, so that clients need no change.
    """
    try:
        names = [certificates.normalize_host(host) for host in hosts]
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--host") from error
    issued = certificates.issue(
        folder.absolute(), hosts=names, server_days=days, now=dt.datetime.now(dt.UTC)
    )
    click.echo(_describe(issued))


def _describe(issued: IssuedCertificate) -> str:
    folder, names = issued.folder, " ".join(issued.hosts)
    authority = folder / certificates.CA_FILE
    server = folder / certificates.SERVER_FILE
    key = folder / certificates.SERVER_KEY_FILE
    renewed = (
        f"{server} expires on {issued.expires_at:%Y-%m-%d}; this command renews it."
        " It is for:\n"
        f"  {names}\n\n"
    )
    if not issued.is_new_ca:
        return f"{renewed}Clients that trust {authority} need no change. Restart the server."
    return (
        f"{renewed}"
        "1. Start the service with it. --tls-host 0.0.0.0 serves other machines too:\n\n"
        "  smart-filter up --tls-host 0.0.0.0 \\\n"
        f"    --tls-certificate {server} \\\n"
        f"    --tls-key {key}\n\n"
        "2. On the machines whose programs call remove.bg, add the service's address to /etc/hosts"
        " or to DNS:\n\n"
        f"  ADDRESS {names}\n\n"
        f"3. Let them trust {authority} (valid until {issued.ca_expires_at:%Y-%m-%d}, for these"
        " names only):\n\n"
        "  Debian, Ubuntu   sudo cp ca.pem /usr/local/share/ca-certificates/removebg.crt\n"
        "                   sudo update-ca-certificates\n"
        "  Node.js          NODE_EXTRA_CA_CERTS=ca.pem\n"
        "  Java             keytool -importcert -cacerts -alias removebg -file ca.pem\n"
        "  curl             --cacert ca.pem\n\n"
        "A bundle replaces the public CAs, so make it of both:\n\n"
        "  cat /etc/ssl/certs/ca-certificates.crt ca.pem > bundle.pem\n\n"
        "  Python requests  REQUESTS_CA_BUNDLE=bundle.pem\n"
        "  Ruby, Go, httpx  SSL_CERT_FILE=bundle.pem\n"
        "  PHP              curl.cainfo and openssl.cafile in php.ini: bundle.pem\n\n"
        "4. Try it, with a key of `smart-filter keys create`:\n\n"
        f'  curl --cacert {authority} -H "X-Api-Key: $KEY"'
        f" https://{issued.hosts[0]}/v1.0/account"
    )
