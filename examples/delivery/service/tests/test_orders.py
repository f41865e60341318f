from fastapi.testclient import TestClient
from orders.api import app

client = TestClient(app)


def test_an_order_is_returned() -> None:
    response = client.get("/orders/1")
    assert response.status_code == 200
    assert response.json() == {"id": 1, "item": "lamp", "quantity": 2}


def test_an_unknown_order_is_not_found() -> None:
    assert client.get("/orders/99").status_code == 404
