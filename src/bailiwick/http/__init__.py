"""Floor 6: the API over HTTP: routes, problems, the event stream, and the edge that all requests pass."""

from bailiwick.http.app import close_streams, create_app
from bailiwick.http.connection import connection_class
from bailiwick.http.limits import Limits
from bailiwick.http.meter import Meter
from bailiwick.http.witness import Cosigner, create_witness

__all__ = ["Cosigner", "Limits", "Meter", "close_streams", "connection_class", "create_app", "create_witness"]
