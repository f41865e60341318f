"""A server that says to each connection exactly the bytes that a test gives."""

import socket
from threading import Thread


class Server:
    """Takes one connection after the other, and gives each the next answer; an empty one is a cut.

    `asked` are the methods of the requests; `taken` counts the answers that could be sent whole.
    """

    def __init__(self, *answers: bytes) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.asked: list[bytes] = []
        self.taken = 0
        self._thread = Thread(target=self._serve, args=(answers,))
        self._thread.start()

    def _serve(self, answers: tuple[bytes, ...]) -> None:
        for answer in answers:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return  # closed: nobody asked again
            with line:
                self.asked.append(line.recv(65_536).partition(b" ")[0])
                try:
                    line.sendall(answer)
                    self.taken += 1
                    line.shutdown(socket.SHUT_WR)
                    while answer and line.recv(65_536):
                        pass  # what is left unread would cut the answer off
                except OSError:
                    continue  # the client has heard enough

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
