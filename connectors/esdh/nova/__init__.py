"""KMD Nova, a case system that is polled."""

from broker.intake.connector import Connector
from connectors.esdh.nova.translate import split, translate

CONNECTOR = Connector("nova", "esdh", ("application/json",), split, translate)
