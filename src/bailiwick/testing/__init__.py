"""Floor 8: what users and we test with: the scripted model server and its recordings."""

from bailiwick.testing.model_runner import RunningModelServer, serve
from bailiwick.testing.model_server import ModelServer
from bailiwick.testing.recording import InvalidRecording, Recording, load_recording

__all__ = [
    "InvalidRecording",
    "ModelServer",
    "Recording",
    "RunningModelServer",
    "load_recording",
    "serve",
]
