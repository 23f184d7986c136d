"""Calls every method of the Kernel SDK's resources that this API serves.

    kernel_sdk.py <process|fs|logs|computer> <API address> <folder to work in>

The SDK's calls go straight to the daemon, by a route in the client's cache. What a method
answers is checked here; that none was left out, too.
"""

import base64
import inspect
import io
import json
import sys
import threading
import zipfile
from pathlib import Path

import kernel
from kernel.lib.browser_routing.routing import BrowserRoute

SESSION = "session"


class Recorded:
    """A resource that remembers which of its methods were called."""

    def __init__(self, resource):
        self._resource = resource
        self._called = set()

    def __getattr__(self, name):
        self._called.add(name)
        return getattr(self._resource, name)

    def check(self):
        """All public methods must have been called; answers their names."""
        methods = {
            name
            for name, _ in inspect.getmembers(type(self._resource), inspect.isfunction)
            if not name.startswith("_")
        }
        assert methods <= self._called, f"not called: {methods - self._called}"
        return sorted(methods)


def connect(address):
    # An address that nobody answers: a call that is not routed fails at once.
    client = kernel.Kernel(api_key="none", base_url="http://127.0.0.1:9", max_retries=0)
    client.browser_route_cache.set(
        BrowserRoute(session_id=SESSION, base_url=address, jwt="any")
    )
    return client


def process(client, folder):
    sdk = Recorded(client.browsers.process)
    script = 'printf "$GREETING"; printf wrong >&2; pwd; exit 3'
    done = sdk.exec(
        SESSION,
        command="sh",
        args=["-c", script],
        env={"GREETING": "hello"},
        cwd=folder,
        timeout_sec=30,
    )
    assert done.exit_code == 3, done
    assert base64.b64decode(done.stdout_b64) == f"hello{folder}\n".encode(), done
    assert base64.b64decode(done.stderr_b64) == b"wrong", done

    cat = sdk.spawn(SESSION, command="cat")
    assert sdk.status(cat.process_id, id_or_name=SESSION).state == "running"
    sent = bytes(range(256)) * 16
    written = sdk.stdin(
        cat.process_id,
        id_or_name=SESSION,
        data_b64=base64.b64encode(sent).decode(),
        extra_body={"close": True},
    )
    assert written.written_bytes == len(sent), written
    read, code = follow(sdk, cat.process_id)
    assert (read, code) == ({"stdout": sent}, 0), (read, code)
    ended = sdk.status(cat.process_id, id_or_name=SESSION)
    assert (ended.state, ended.exit_code) == ("exited", 0), ended

    shell = sdk.spawn(SESSION, command="sleep", args=["1000"], allocate_tty=True, rows=24, cols=80)
    assert sdk.resize(shell.process_id, id_or_name=SESSION, rows=40, cols=100).ok
    assert sdk.kill(shell.process_id, id_or_name=SESSION, signal="KILL").ok
    _, code = follow(sdk, shell.process_id)
    assert code == 128 + 9, code

    try:
        sdk.exec(SESSION, command="sleep", args=["1000"], timeout_sec=1)
        raise AssertionError("a timeout is an error")
    except kernel.APIStatusError as error:
        assert error.status_code == 408, error
    return sdk.check()


def follow(sdk, process_id):
    """All output by stream, and the exit code that ends it."""
    read, code = {}, None
    for event in sdk.stdout_stream(process_id, id_or_name=SESSION):
        assert code is None, "the exit comes last"
        if event.event == "exit":
            code = event.exit_code
        else:
            data = base64.b64decode(event.data_b64)
            read[event.stream] = read.get(event.stream, b"") + data
    return read, code


def fs(client, folder):
    sdk = Recorded(client.browsers.fs)
    names = set(files(sdk, Path(folder)))
    watch = Recorded(client.browsers.fs.watch)
    watching(watch, sdk, Path(folder))
    return [*names, *(f"watch.{name}" for name in watch.check())]


def files(sdk, root):
    at = lambda name: str(root / name)
    content = bytes(range(256)) * 1000
    sdk.create_directory(SESSION, path=at("dir/inner"), mode="750")
    sdk.write_file(SESSION, content, path=at("dir/file"), mode="640")
    assert (root / "dir/file").read_bytes() == content
    assert sdk.read_file(SESSION, path=at("dir/file")).read() == content
    info = sdk.file_info(SESSION, path=at("dir/file"))
    seen = (info.name, info.size_bytes, info.is_dir, info.mode)
    assert seen == ("file", len(content), False, "-rw-r-----"), info
    listed = sdk.list_files(SESSION, path=at("dir"))
    assert sorted(entry.name for entry in listed) == ["file", "inner"], listed
    sdk.set_file_permissions(SESSION, path=at("dir/file"), mode="600")
    assert (root / "dir/file").stat().st_mode & 0o777 == 0o600
    sdk.move(SESSION, src_path=at("dir/file"), dest_path=at("dir/moved"))
    assert not (root / "dir/file").exists()

    sdk.upload(
        SESSION,
        files=[
            {"dest_path": at(f"up/{number}"), "file": (f"{number}", b"%d" % number)}
            for number in range(3)
        ],
    )
    assert [(root / f"up/{number}").read_bytes() for number in range(3)] == [b"0", b"1", b"2"]

    packed = sdk.download_dir_zip(SESSION, path=at("up")).read()
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert sorted(archive.namelist())[-3:] == ["0", "1", "2"], archive.namelist()
    sdk.upload_zip(SESSION, dest_path=at("unpacked"), zip_file=("up.zip", packed))
    assert (root / "unpacked/2").read_bytes() == b"2"

    sdk.delete_file(SESSION, path=at("dir/moved"))
    sdk.delete_directory(SESSION, path=at("dir"))
    assert not (root / "dir").exists()
    try:
        sdk.read_file(SESSION, path=at("dir/file"))
        raise AssertionError("the file is gone")
    except kernel.NotFoundError as error:
        assert at("dir") in str(error), error
    return sdk.check()


def watching(watch, sdk, root):
    (root / "watched").mkdir()
    started = watch.start(SESSION, path=str(root / "watched"), recursive=True)
    events = watch.events(started.watch_id, id_or_name=SESSION)
    sdk.write_file(SESSION, b"new", path=str(root / "watched/new"))
    for event in events:
        if event.type == "CREATE":
            seen = (event.path, event.name, event.is_dir)
            assert seen == (str(root / "watched/new"), "new", False), event
            break
    watch.stop(started.watch_id, id_or_name=SESSION)
    # The stream ends with its watch.
    for _ in events:
        pass


def logs(client, folder):
    sdk = Recorded(client.browsers.logs)
    log = Path(folder) / "log"
    log.write_text("first\nsecond\n")
    lines = sdk.stream(SESSION, source="path", path=str(log), follow=False)
    assert [line.message for line in lines] == ["first", "second"]

    following = sdk.stream(SESSION, source="path", path=str(log), follow=True)

    def write():
        with log.open("a") as file:
            file.write("third\n")

    writer = threading.Timer(0.2, write)
    writer.start()
    for line in following:
        assert line.message == "third", line
        break
    writer.join()
    following.close()
    return sdk.check()


def computer(client, _folder):
    sdk = Recorded(client.browsers.computer)
    sdk.move_mouse(SESSION, x=200, y=150, smooth=False)
    at = sdk.get_mouse_position(SESSION)
    assert (at.x, at.y) == (200, 150), at
    sdk.click_mouse(SESSION, x=100, y=110, button="middle", num_clicks=2, hold_keys=["shift"])
    sdk.drag_mouse(SESSION, path=[[10, 10], [60, 40]], smooth=False, step_delay_ms=1)
    at = sdk.get_mouse_position(SESSION)
    assert (at.x, at.y) == (60, 40), at
    sdk.scroll(SESSION, x=50, y=50, delta_y=1)
    sdk.type_text(SESSION, text="typed ü")
    sdk.press_key(SESSION, keys=["Ctrl+a", "Escape"])
    assert sdk.set_cursor_visibility(SESSION, hidden=True).ok
    assert sdk.set_cursor_visibility(SESSION, hidden=False).ok
    picture = sdk.capture_screenshot(SESSION).read()
    assert picture.startswith(b"\x89PNG"), picture[:8]
    region = {"x": 5, "y": 6, "width": 30, "height": 20}
    picture = sdk.capture_screenshot(SESSION, region=region).read()
    assert size_of_png(picture) == (30, 20)
    text = "from the SDK: grüße 世界 🙂"
    sdk.write_clipboard(SESSION, text=text)
    assert sdk.read_clipboard(SESSION).text == text
    sdk.batch(
        SESSION,
        actions=[
            {"type": "move_mouse", "move_mouse": {"x": 7, "y": 8, "smooth": False}},
            {"type": "sleep", "sleep": {"duration_ms": 5}},
            {"type": "type_text", "type_text": {"text": "x"}},
        ],
    )
    at = sdk.get_mouse_position(SESSION)
    assert (at.x, at.y) == (7, 8), at
    return sdk.check()


def size_of_png(picture):
    return tuple(int.from_bytes(picture[at : at + 4], "big") for at in (16, 20))


if __name__ == "__main__":
    name, address, folder = sys.argv[1:]
    scenario = {"process": process, "fs": fs, "logs": logs, "computer": computer}[name]
    print(json.dumps({"methods": scenario(connect(address), folder)}))
