"""A real nginx for the tests, on loopback, in a folder of its own: one port for each server block."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bot.example.programs import free_port
from tests.servers.certificates import Certificate

_MAIN = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    types {{ text/html html; text/css css; application/javascript js; image/png png; application/json json; }}
    default_type application/octet-stream;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    proxy_cache_path {folder}/cache keys_zone=pages:1m;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
    limit_req_zone $server_port$uri zone=strict:1m rate=2r/s;
    {servers}
}}
"""

#: Security headers after which a page earns an A, for a server or location block.
GOOD_HEADERS = """
    add_header Strict-Transport-Security "max-age=31536000; includeSubDomains" always;
    add_header Content-Security-Policy "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'" always;
    add_header X-Content-Type-Options nosniff always;
    add_header X-Frame-Options DENY always;
    add_header Referrer-Policy strict-origin-when-cross-origin always;
    add_header Cross-Origin-Resource-Policy same-origin always;
"""


@dataclass(frozen=True, kw_only=True)
class Server:
    """One server block; `{port:name}` in its body is the port of another."""

    #: Directives, apart from `listen` and the certificate.
    body: str
    certificate: Certificate | None = None
    #: For `ssl_protocols`.
    protocols: str = "TLSv1.2 TLSv1.3"
    #: Added to `listen`, e.g. `http2`.
    listen: str = ""
    #: Files it serves: path → content.
    files: Mapping[str, str] = field(default_factory=dict)


class Nginx:
    """Where each server listens."""

    def __init__(self, servers: Mapping[str, Server]) -> None:
        self._servers = servers
        self._ports = {name: free_port() for name in servers}

    def port(self, name: str) -> int:
        """The port of a server."""
        return self._ports[name]

    def url(self, name: str, path: str = "/", *, host: str = "localhost") -> str:
        """A URL at a server."""
        scheme = "http" if self._servers[name].certificate is None else "https"
        return f"{scheme}://{host}:{self._ports[name]}{path}"

    def configuration(self, folder: Path) -> str:
        """nginx.conf for a folder, whose files are written on the way."""
        blocks = []
        for name, server in self._servers.items():
            root = folder / "sites" / name
            for path, content in server.files.items():
                file = root / path.lstrip("/")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(content)
            tls = server.certificate
            lines = [f"listen 127.0.0.1:{self._ports[name]}{' ssl' if tls else ''} {server.listen};"]
            if tls:
                lines += [f"ssl_certificate {tls.chain};", f"ssl_certificate_key {tls.key};"]
                lines += [f"ssl_protocols {server.protocols};"]
                if "TLSv1 " in f"{server.protocols} " or "TLSv1.1" in server.protocols:
                    lines += ['ssl_ciphers "ALL:@SECLEVEL=0";']
            body = server.body
            for other, port in self._ports.items():
                body = body.replace(f"{{port:{other}}}", str(port))
            blocks.append(f"server {{ {' '.join(lines)} root {root}; {body} }}")
        user = "user root;" if os.geteuid() == 0 else ""
        return _MAIN.format(user=user, folder=folder, servers="\n".join(blocks))


@contextlib.contextmanager
def running_nginx(servers: Mapping[str, Server]) -> Iterator[Nginx]:
    """nginx with these servers, until the block ends. Raises RuntimeError where it does not start."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise RuntimeError("nginx is not installed: run `make test`, or apt-get install nginx-light")
    folder = Path(tempfile.mkdtemp(prefix="deploybot-nginx-"))
    nginx = Nginx(servers)
    file = folder / "nginx.conf"
    file.write_text(nginx.configuration(folder))
    process = subprocess.Popen(
        [program, "-p", str(folder), "-c", str(file), "-e", str(folder / "error.log")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        _wait(process, [nginx.port(name) for name in servers])
        yield nginx
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        shutil.rmtree(folder, ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], ports: list[int]) -> None:
    for port in ports:
        for _ in range(500):
            if process.poll() is not None:
                _, said = process.communicate()
                raise RuntimeError(f"nginx does not start: {said.decode(errors='replace')}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.01)
        else:
            raise RuntimeError(f"nginx does not answer on port {port}")
