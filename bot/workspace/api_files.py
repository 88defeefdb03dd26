"""Uploading files in Slack's three steps: ask for an address, send the bytes, share (Slack docs: files)."""

from __future__ import annotations

import asyncio
import base64
import mimetypes
from typing import Any

from aiohttp import web

from bot.workspace.api_lookup import channel_for_posting
from bot.workspace.ids import new_id
from bot.workspace.messages import Author
from bot.workspace.parts import Parts
from bot.workspace.web_api import ApiError, Call, method

Json = dict[str, Any]

#: Files are kept in memory and in the store; Slack takes up to 1 GB.
MAX_FILE_BYTES = 20_000_000
#: A file can be shown in blocks only some time after its upload is complete: Slack looks at it first
#: (slackapi/python-slack-sdk#1521, slackapi/bolt-js#2115). How long is not published; here it is this long.
READY_AFTER_S = 2.0


@method("files.getUploadURLExternal", scopes=["files:write"], tier=4)
async def get_upload_url(call: Call) -> Json:
    """Where to send a file's bytes."""
    name = call.need("filename")
    length = call.number("length", 0, lowest=1, highest=MAX_FILE_BYTES)
    file: Json = {
        "id": new_id("F"),
        "name": name,
        "title": name,
        "mimetype": mimetypes.guess_type(name)[0] or "application/octet-stream",
        "filetype": name.rpartition(".")[2],
        "size": length,
        "user": call.app.bot_user_id,
        "alt_txt": call.text("alt_txt"),
        "_app": call.app.app_id,
        "_data": None,
        "_shared": False,
    }
    call.parts.base.state.save_plain("files", file["id"], file)
    return {"upload_url": f"{call.parts.base.url}/upload/{file['id']}", "file_id": file["id"]}


@method("files.completeUploadExternal", scopes=["files:write"], tier=4)
async def complete_upload(call: Call) -> Json:
    """Share uploaded files in a channel, or keep them unshared where no channel is given."""
    state = call.parts.base.state
    given = call.value("files")
    if not isinstance(given, list) or not given:
        raise ApiError("invalid_arguments")
    files: list[Json] = []
    for item in given:
        file = state.files.get(str(item.get("id"))) if isinstance(item, dict) else None
        if file is None or file["_app"] != call.app.app_id or file["_data"] is None:
            raise ApiError("file_not_found")
        title = item.get("title") or file["title"]
        ready = call.parts.base.clock.now() + READY_AFTER_S
        files.append({**file, "title": title, "_shared": True, "_ready_at": ready})
    channel_id = call.text("channel_id")
    if channel_id:
        call.args["channel"] = channel_id
        channel = channel_for_posting(call)
        thread = call.text("thread_ts")
        if thread and thread not in state.messages[channel["id"]]:
            raise ApiError("thread_not_found")
        author = Author.app(call.app, state.team["id"])
        extra = {"files": [for_apps(call.parts, f) for f in files], "upload": True}
        call.parts.messages.post(channel, author, call.text("initial_comment"), thread_ts=thread, extra=extra)
    for file in files:
        state.save_plain("files", file["id"], file)
    return {"files": [for_apps(call.parts, f) for f in files]}


@method("files.info", scopes=["files:read"], tier=4)
async def info(call: Call) -> Json:
    """About one file."""
    file = call.parts.base.state.files.get(call.need("file", "file_not_found"))
    if file is None:
        raise ApiError("file_not_found")
    return {"file": for_apps(call.parts, file)}


def for_apps(parts: Parts, file: Json) -> Json:
    """A file as apps and pages see it."""
    url = f"{parts.base.url}/files/{file['id']}/{file['name']}"
    shown = {key: value for key, value in file.items() if not key.startswith("_")}
    return {**shown, "url_private": url, "url_private_download": url, "permalink": url}


class Uploads:
    """The bytes: `POST /upload/<id>` and `GET /files/<id>/<name>`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def receive(self, request: web.Request) -> web.Response:
        """Take a file's bytes, raw or as a form's `file` field."""
        state = self._parts.base.state
        file = state.files.get(request.match_info["id"])
        if file is None or file["_data"] is not None:
            return web.Response(status=404, text="no such upload")
        data = b""
        if request.content_type.startswith("multipart/"):
            for part in (await request.post()).values():
                if isinstance(part, web.FileField):
                    data = await asyncio.to_thread(part.file.read)
        else:
            data = await request.read()
        if len(data) != file["size"]:
            return web.Response(status=400, text=f"expected {file['size']} bytes, got {len(data)}")
        state.save_plain("files", file["id"], {**file, "_data": base64.b64encode(data).decode()})
        await self._parts.base.store.commit()
        return web.Response(text=f"OK - {len(data)}")

    async def send(self, request: web.Request) -> web.Response:
        """Give a file's bytes to the page."""
        file = self._parts.base.state.files.get(request.match_info["id"])
        if file is None or file["_data"] is None:
            return web.Response(status=404, text="no such file")
        inline = file["mimetype"].startswith("image/") and file["mimetype"] != "image/svg+xml"
        headers = {"X-Content-Type-Options": "nosniff"}
        if not inline:
            headers["Content-Disposition"] = "attachment"
        data = base64.b64decode(file["_data"])
        return web.Response(body=data, content_type=file["mimetype"], headers=headers)
