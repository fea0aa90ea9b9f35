"""Security labels -> the index's level. Pure."""

from collections.abc import Mapping
from typing import Any

from broker.domain.case import SENSITIVITY
from broker.domain.outcome import Code, Rejected
from connectors.configuration import table
from connectors.standards.klgateway import mapping
from connectors.standards.klgateway.payloads import Meta


def level(metas: Mapping[str, Meta], config: Mapping[str, Any]) -> str | Rejected:
    """The highest of the labels, and never below what care always is.

    Args:
        metas: pointer of a resource -> its meta.
    """
    highest = mapping.SENSITIVITY
    own = table(config, "security_labels")
    for at, meta in metas.items():
        for index, label in enumerate(meta.security):
            name = f"{label.system}|{label.code}"
            found = own.get(name, mapping.LABELS.get(name))
            if not isinstance(found, str) or found not in SENSITIVITY:
                return Rejected(Code.SENSITIVITY_UNKNOWN, f"{at}/meta/security/{index}", "no mapping of this label")
            highest = max(highest, found, key=SENSITIVITY.__getitem__)
    return highest
