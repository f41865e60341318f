"""The HTTP interface of the order service."""

import logging

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

log = logging.getLogger("orders")
app = FastAPI(title="orders")


class Order(BaseModel):
    """One order."""

    id: int
    item: str
    quantity: int


ORDERS = {1: Order(id=1, item="lamp", quantity=2)}


@app.get("/orders/{order_id}")
def read_order(order_id: int) -> Order:
    """Return one order."""
    if order_id not in ORDERS:
        log.warning("order %s is unknown", order_id)
        raise HTTPException(status_code=404, detail="no such order")
    return ORDERS[order_id]
