"""The HTTP door: translate a request, call one service function, translate its answer back.

Owns the route table, the status of each error code, the guard of the surface (API key, loopback protection), the
request's deadline, the OpenAPI document and the metrics page. Must never decide a rule of the product, and never import
a sibling.
"""

from aimem.api.app import make_app
from aimem.api.exchange import REQUEST_ID
from aimem.api.guard import CALLER_KEY, TRANSPORT_EXTENSION, Transport
from aimem.api.metrics import HTTP_METRICS
from aimem.api.openapi import openapi_document
from aimem.api.refusals import STATUS
from aimem.api.route import Access, Call, Effect, Route
from aimem.api.routes import ROUTES

__all__ = [
    "CALLER_KEY", "HTTP_METRICS", "REQUEST_ID", "ROUTES", "STATUS", "TRANSPORT_EXTENSION", "Access", "Call",
    "Effect", "Route", "Transport", "make_app", "openapi_document",
]
