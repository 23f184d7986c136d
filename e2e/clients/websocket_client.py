"""The plain WebSocket client of Python. It sends an Origin of its own accord."""

import json
import sys

import websocket


def main() -> None:
    """Asks the browser for its version and prints the answer."""
    socket = websocket.create_connection(sys.argv[1], timeout=30)
    socket.send(json.dumps({"id": 1, "method": "Browser.getVersion"}))
    answer = json.loads(socket.recv())
    socket.close()
    print(json.dumps({"product": answer["result"]["product"]}))


main()
