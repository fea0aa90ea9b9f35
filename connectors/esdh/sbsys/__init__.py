"""SBSYS (SBSIP), a case system that is polled."""

from broker.intake.connector import Connector
from connectors.esdh.sbsys.translate import split, translate

CONNECTOR = Connector("sbsys", "esdh", ("application/json",), split, translate)
