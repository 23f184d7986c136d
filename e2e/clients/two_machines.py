"""A daemon, and a caller from another machine: two network namespaces and a cable between.

Run under `unshare --user --map-root-user --net`, so that it needs no rights and leaves nothing
behind. Prints one line of JSON: the status of each request by the name it was made with.
"""

import http.client
import json
import os
import subprocess
import sys
import time

HERE, THERE = "10.9.0.1", "10.9.0.2"
PORTS = {"api": 10001, "devtools": 9222}
PATHS = {"api": "/healthz", "devtools": "/json/version"}


def ask(port: str, host: str) -> int:
    """Makes one request from where this process is; returns its status."""
    connection = http.client.HTTPConnection(HERE, PORTS[port], timeout=20)
    connection.request("GET", PATHS[port], headers={"Host": host})
    return connection.getresponse().status


def wait_for(ready, what: str) -> None:
    """Polls until it is ready, for ten seconds."""
    deadline = time.monotonic() + 10
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.02)


def serves() -> bool:
    """Whether the daemon answers to its own machine."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", PORTS["api"], timeout=5)
        connection.request("GET", PATHS["api"])
        return connection.getresponse().status == 200
    except OSError:
        return False


def main(browserd: str, allowed: str, upstream_log: str, hosts: list[str]) -> None:
    """Lays the cable, starts the daemon and asks it from the other end."""
    own = os.readlink("/proc/self/ns/net")
    with subprocess.Popen(["unshare", "--net", "sleep", "600"]) as other:
        try:
            namespace = f"/proc/{other.pid}/ns/net"
            wait_for(lambda: os.readlink(namespace) != own, "the other namespace")
            far = ["nsenter", f"--net={namespace}"]
            cable = ["type", "veth", "peer", "name", "there0", "netns", str(other.pid)]
            for command in [
                ["ip", "link", "set", "lo", "up"],
                ["ip", "link", "add", "here0", *cable],
                ["ip", "addr", "add", f"{HERE}/24", "dev", "here0"],
                ["ip", "link", "set", "here0", "up"],
                [*far, "ip", "addr", "add", f"{THERE}/24", "dev", "there0"],
                [*far, "ip", "link", "set", "there0", "up"],
            ]:
                subprocess.run(command, check=True)
            environment = {
                "ALLOWED_HOSTS": allowed,
                "CHROMIUM_LOG_FILE": upstream_log,
                "DEVTOOLS_WAIT_SEC": "0",
            }
            with subprocess.Popen([browserd, "serve"], env=environment, stdout=sys.stderr) as daemon:
                try:
                    wait_for(serves, "the daemon")
                    seen = {}
                    for port in PORTS:
                        for host in hosts:
                            command = [*far, sys.executable, __file__, "ask", port, host]
                            answer = subprocess.run(command, check=True, capture_output=True)
                            seen[f"{port} {host}"] = int(answer.stdout)
                    print(json.dumps(seen))
                finally:
                    daemon.terminate()
        finally:
            other.terminate()


if sys.argv[1] == "ask":
    print(ask(sys.argv[2], sys.argv[3]))
else:
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
