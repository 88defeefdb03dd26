"""nginx before the shop: TLS, security headers, compression, and a cache for the assets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path

from bot.example.certificates import Certificate, Certificates
from bot.example.programs import (
    LOOPBACK,
    ExampleTrouble,
    Program,
    Programs,
    answers,
    find,
    free_port,
)

_CONFIGURATION = """
{user}
daemon off;
worker_processes 1;
# Old workers are gone soon after a reload, with the connections they keep open.
worker_shutdown_timeout 1s;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    server_tokens off;
    default_type application/octet-stream;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    proxy_cache_path {folder}/cache keys_zone=assets:1m max_size=50m;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
    gzip on;
    gzip_min_length 256;
    gzip_proxied any;
    gzip_vary on;
    gzip_types text/css text/plain application/javascript text/javascript application/json
        application/problem+json application/manifest+json application/xml text/xml image/svg+xml;
    upstream shop {{ server {loopback}:{upstream}; keepalive 16; }}
    server {{
        # For us alone: which worker answers, and by which configuration.
        listen {loopback}:{status_port};
        location = /worker {{ default_type text/plain; return 200 "$pid {generation}"; }}
        location / {{ return 404; }}
    }}
    server {{
        listen {loopback}:{http_port};
        return 301 https://{loopback}:{port}$request_uri;
    }}
    server {{
        listen {loopback}:{port} ssl http2;
        ssl_certificate {certificate.chain};
        ssl_certificate_key {certificate.key};
        ssl_protocols TLSv1.2 TLSv1.3;
        # Plain HTTP on the TLS port is sent to TLS as well.
        error_page 497 =301 https://$http_host$request_uri;
        client_max_body_size 1m;
        proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto https;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
        {headers}
        {cache}
        add_header X-Cache BYPASS always;
        location / {{ proxy_pass http://shop; }}
        location /assets/ {{
            proxy_pass http://shop;
            proxy_cache assets;
            proxy_cache_valid 200 1h;
            proxy_cache_key $uri;
            {headers}
            add_header X-Cache $upstream_cache_status always;
        }}
        # Not for the public.
        location = /metrics {{ return 404; }}
        location /-/ {{ return 404; }}
    }}
}}
"""

_HEADERS = """
add_header X-Content-Type-Options nosniff always;
add_header X-Frame-Options DENY always;
add_header Referrer-Policy strict-origin-when-cross-origin always;
add_header Cross-Origin-Resource-Policy same-origin always;
add_header Cross-Origin-Opener-Policy same-origin always;
add_header Permissions-Policy "camera=(), geolocation=(), microphone=()" always;
"""
_STRICT_HEADERS = """
add_header Strict-Transport-Security "max-age=31536000; includeSubDomains" always;
add_header Content-Security-Policy "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
connect-src 'self' wss://{loopback}:{port}; manifest-src 'self'; worker-src 'self'; object-src 'none'; \
base-uri 'none'; form-action 'self'; frame-ancestors 'none'" always;
"""
_NO_CACHE = "proxy_hide_header Cache-Control; proxy_hide_header ETag; proxy_hide_header Last-Modified;"


@dataclass(frozen=True, kw_only=True)
class Conduct:
    """How nginx behaves."""

    expired: bool = False
    #: Whether it sends HSTS and a content security policy.
    strict: bool = True
    #: Whether it sends what a browser may cache.
    cache: bool = True
    #: Whether it finds the shop.
    up: bool = True


class Nginx:
    """nginx with one configuration at a time."""

    def __init__(self, folder: Path, programs: Programs, certificates: Certificates, upstream: int) -> None:
        self.port, self.http_port = free_port(), free_port()
        self.conduct = Conduct()
        self._folder = folder
        self._programs = programs
        self._certificates = certificates
        self._upstream = upstream
        self._status_port = free_port()
        self._generation = 0
        self._program: Program | None = None

    @staticmethod
    def installed() -> bool:
        """Whether there is one."""
        return find("nginx") is not None

    @property
    def url(self) -> str:
        """The shop's address, without a slash at the end."""
        return f"https://{LOOPBACK}:{self.port}"

    @property
    def http_url(self) -> str:
        """Where plain HTTP is sent on to TLS."""
        return f"http://{LOOPBACK}:{self.http_port}"

    def configuration(self, conduct: Conduct) -> str:
        """nginx.conf for this conduct."""
        certificate: Certificate = self._certificates.expired if conduct.expired else self._certificates.good
        strict = _STRICT_HEADERS.format(loopback=LOOPBACK, port=self.port) if conduct.strict else ""
        return _CONFIGURATION.format(
            user="user root;" if os.geteuid() == 0 else "",
            folder=self._folder,
            loopback=LOOPBACK,
            port=self.port,
            http_port=self.http_port,
            status_port=self._status_port,
            # Nothing listens on port 1.
            upstream=self._upstream if conduct.up else 1,
            certificate=certificate,
            headers=_HEADERS + strict,
            cache="" if conduct.cache else _NO_CACHE,
            generation=self._generation,
        )

    async def start(self) -> None:
        """Start it with everything as it should be. Raises ExampleTrouble."""
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._write(self.conduct)
        argv = [
            str(find("nginx")),
            "-p",
            str(self._folder),
            "-c",
            str(file),
            "-e",
            str(self._folder / "error.log"),
        ]
        self._program = await self._programs.start(
            "nginx", argv, ready=lambda: answers(self._status_port, "/worker")
        )

    async def behave(self, **changed: bool) -> None:
        """Change its conduct; done once no worker behaves as before. Raises ExampleTrouble."""
        conduct = replace(self.conduct, **changed)
        if conduct == self.conduct or self._program is None:
            return
        before, _ = await self._worker()
        self._generation += 1
        self._write(conduct)
        self._program.process.send_signal(signal.SIGHUP)
        try:
            async with asyncio.timeout(8):
                while (await self._worker())[1] != self._generation or _alive(before):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise ExampleTrouble(f"nginx does not take its new configuration; see {self._folder}") from None
        self.conduct = conduct

    def _write(self, conduct: Conduct) -> Path:
        file = self._folder / "nginx.conf"
        file.write_text(self.configuration(conduct))
        return file

    async def _worker(self) -> tuple[int, int]:
        """The process id of the worker that answers, and the configuration it has."""
        reader, writer = await asyncio.open_connection(LOOPBACK, self._status_port)
        writer.write(f"GET /worker HTTP/1.0\r\nHost: {LOOPBACK}\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        pid, generation = answer.rpartition(b"\r\n")[2].split()
        return int(pid), int(generation)


def _alive(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False
