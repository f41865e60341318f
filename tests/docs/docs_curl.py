"""A stand-in for curl, so that the examples of the API run where there is none: the options that they use, no others."""

import sys
import urllib.error
import urllib.request
from pathlib import Path

PLAIN = {"-sS": "", "-sSN": "", "-i": "-i"}
VALUED = ("-H", "-d", "-X", "-o")


def main(words: list[str]) -> int:
    """Send one request and print the answer."""
    given: dict[str, list[str]] = {}
    urls = []
    rest = iter(words)
    for word in rest:
        if word in VALUED:
            given.setdefault(word, []).append(next(rest))
        elif word not in PLAIN:
            urls.append(word)
    request = urllib.request.Request(urls[0], headers=dict(_header(text) for text in given.get("-H", ())))
    if "-d" in given:
        request.data = given["-d"][0].encode()
    request.method = given.get("-X", ["POST" if request.data is not None else "GET"])[0]
    try:
        answer = urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as error:
        answer = error
    body = answer.read()
    if "-o" in given:
        Path(given["-o"][0]).write_bytes(body)
    else:
        sys.stdout.buffer.write(body)
    return 0


def _header(text: str) -> tuple[str, str]:
    name, _, value = text.partition(":")
    return name.strip(), value.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
