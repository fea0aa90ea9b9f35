"""The schema registry's API, as Confluent's clients speak it: their paths, their bodies, their error codes."""

from fastapi import APIRouter, FastAPI

from broker.api.registry import rules, schemas, subjects
from broker.api.registry.form import Answer, RegistryRoute


def install(app: FastAPI) -> None:
    """Add the routes; whatever goes wrong in them is told in the registry's own form."""
    every = APIRouter(prefix="/registry", tags=["registry"], default_response_class=Answer, route_class=RegistryRoute)
    for room in (schemas, subjects, rules):
        every.include_router(room.router)
    app.include_router(every)
