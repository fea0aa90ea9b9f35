"""One Prometheus with one Alertmanager, from Debian's packages, over the drill's Sagsbro."""

import json
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any, Final

import yaml

from ops.drill import scaling
from ops.drill.history import History
from ops.drill.telling import Receivers
from ops.embedded.ports import HOST, free_port
from ops.supervisor import Service, Supervisor
from ops.tools import started

OPS: Final = Path(__file__).parents[1]
LOOK_S: Final = 0.5
QUICK_S: Final = "1s"


class Watch:
    """`factor` 1: `ops/prometheus/up.yml`, rule files untouched; else copies of them, looked at each second."""

    def __init__(self, factor: int, folder: Path, supervisor: Supervisor, targets: Path, node: str) -> None:
        self.factor = factor
        self.history = History()
        self.receivers = Receivers()
        folder.mkdir(parents=True)
        alertmanager, prometheus = f"{HOST}:{free_port()}", f"{HOST}:{free_port()}"
        self.prometheus, self._alertmanager = f"http://{prometheus}", f"http://{alertmanager}"
        flags: dict[str, tuple[str, ...]] = {
            "prometheus-alertmanager": (
                f"--config.file={self._routes(folder)}",
                f"--storage.path={folder / 'alertmanager'}",
                f"--web.listen-address={alertmanager}",
                "--cluster.listen-address=",
            ),
            "prometheus": (
                f"--config.file={self._configuration(folder, alertmanager, targets, node)}",
                f"--storage.tsdb.path={folder / 'prometheus'}",
                f"--web.listen-address={prometheus}",
            ),
        }
        for name, given in flags.items():
            log = folder / f"{name}.log"
            supervisor.start(Service(f"{name}-{factor}", (*started(name), *given), log=log))
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        pause = threading.Event()
        while not pause.wait(LOOK_S):
            try:
                now = got(f"{self._alertmanager}/api/v2/alerts")
            except OSError:
                continue
            self.history.see(time.monotonic(), [frozenset(alert["labels"].items()) for alert in now])

    def _configuration(self, folder: Path, alertmanager: str, targets: Path, node: str) -> Path:
        made = yaml.safe_load((OPS / "prometheus" / "up.yml").read_text())
        rules = sorted((OPS / "prometheus" / "rules").glob("*.yml"))
        if self.factor > 1:
            made["global"] = {"scrape_interval": QUICK_S, "evaluation_interval": QUICK_S}
            rules = [self._copied(path, folder) for path in rules]
        made["rule_files"] = [str(path) for path in rules]
        made["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [alertmanager]}]}]
        sagsbro, machine = made["scrape_configs"]
        sagsbro["file_sd_configs"] = [{"files": [str(targets)], "refresh_interval": "5s"}]
        machine["static_configs"] = [{"targets": [node]}]
        return _written(folder / "prometheus.yml", made)

    def _copied(self, path: Path, folder: Path) -> Path:
        return _written(folder / path.name, scaling.rules(yaml.safe_load(path.read_text()), self.factor))

    def _routes(self, folder: Path) -> Path:
        content = yaml.safe_load((OPS / "alertmanager" / "alertmanager.yml").read_text())
        smarthost, webhook = self.receivers.smarthost, self.receivers.webhook
        return _written(folder / "alertmanager.yml", scaling.routes(content, self.factor, smarthost, webhook))


def got(url: str) -> Any:
    """JSON from this machine; no proxy of the environment stands between. Raises OSError."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=5) as answer:
        return json.load(answer)


def _written(path: Path, content: Any) -> Path:
    path.write_text(yaml.safe_dump(content, allow_unicode=True, width=1000))
    return path
