"""Explain and stress-test models that can only be asked, within a budget of queries and dollars.

    import bbquery
    from oracles import function

    oracle = function.connect(my_model, answers="probabilities")
    explanation = bbquery.explain("photo.jpg", oracle, max_queries=500)
    explanation.maps[0].values      # (H, W), in the photo's own coordinates

Names are imported when first used, so that `import bbquery` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from bbquery.version import __version__

if TYPE_CHECKING:
    from bbquery.attacks import Attack
    from bbquery.client.client import Client
    from bbquery.errors import BbqueryError, BudgetExhausted, OracleError, UsageError
    from bbquery.images.boxes import Box
    from bbquery.jobs.attack.attack import attack, attack_async
    from bbquery.jobs.attack.many import attack_many, attack_many_async
    from bbquery.jobs.attack.result import Stress
    from bbquery.jobs.attack.series import Attacked
    from bbquery.jobs.audit.audit import Audit, audit, audit_async
    from bbquery.jobs.compare.compare import compare, compare_async
    from bbquery.jobs.compare.result import Comparison
    from bbquery.jobs.evaluate.evaluate import evaluate, evaluate_async
    from bbquery.jobs.evaluate.result import Evaluation
    from bbquery.jobs.explain.explain import explain, explain_async, explain_many, explain_many_async
    from bbquery.jobs.explain.result import Explanation
    from bbquery.jobs.explain.series import ImageResult
    from bbquery.jobs.probe.probe import probe, probe_async
    from bbquery.jobs.probe.result import Probe
    from bbquery.jobs.watch import Watch
    from bbquery.ledger.ledger import Ledger
    from bbquery.ledger.records import Cap
    from bbquery.oracle import Capabilities, Limits, Oracle, Price, View
    from bbquery.plan import Ask, Plan, Stopped, replay, together
    from bbquery.report.many import save_many
    from bbquery.run import drive
    from bbquery.saliency import Method
    from bbquery.types import (
        FLOAT,
        UINT8,
        Answer,
        Classes,
        Decision,
        Domain,
        Image,
        Images,
        Label,
        Labels,
        NoAnswer,
        SaliencyMap,
        Scores,
        Text,
        Vector,
    )
    from bbquery.units import Units

_HOMES = {
    "bbquery.attacks": ("Attack",),
    "bbquery.images.boxes": ("Box",),
    "bbquery.client.client": ("Client",),
    "bbquery.errors": ("BbqueryError", "BudgetExhausted", "OracleError", "UsageError"),
    "bbquery.jobs.attack.attack": ("attack", "attack_async"),
    "bbquery.jobs.attack.many": ("attack_many", "attack_many_async"),
    "bbquery.jobs.attack.result": ("Stress",),
    "bbquery.jobs.attack.series": ("Attacked",),
    "bbquery.jobs.audit.audit": ("Audit", "audit", "audit_async"),
    "bbquery.jobs.compare.compare": ("compare", "compare_async"),
    "bbquery.jobs.compare.result": ("Comparison",),
    "bbquery.jobs.evaluate.evaluate": ("evaluate", "evaluate_async"),
    "bbquery.jobs.evaluate.result": ("Evaluation",),
    "bbquery.jobs.explain.explain": ("explain", "explain_async", "explain_many", "explain_many_async"),
    "bbquery.jobs.explain.result": ("Explanation",),
    "bbquery.jobs.explain.series": ("ImageResult",),
    "bbquery.jobs.probe.probe": ("probe", "probe_async"),
    "bbquery.jobs.probe.result": ("Probe",),
    "bbquery.jobs.watch": ("Watch",),
    "bbquery.ledger.records": ("Cap",),
    "bbquery.ledger.ledger": ("Ledger",),
    "bbquery.oracle": ("Capabilities", "Limits", "Oracle", "Price", "View"),
    "bbquery.plan": ("Ask", "Plan", "Stopped", "replay", "together"),
    "bbquery.report.many": ("save_many",),
    "bbquery.run": ("drive",),
    "bbquery.saliency": ("Method",),
    "bbquery.types": (
        "FLOAT",
        "UINT8",
        "Answer",
        "Classes",
        "Decision",
        "Domain",
        "Image",
        "Images",
        "Label",
        "Labels",
        "NoAnswer",
        "SaliencyMap",
        "Scores",
        "Text",
        "Vector",
    ),
    "bbquery.units": ("Units",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "FLOAT",
    "UINT8",
    "Answer",
    "Ask",
    "Attack",
    "Attacked",
    "Audit",
    "BbqueryError",
    "Box",
    "BudgetExhausted",
    "Cap",
    "Capabilities",
    "Classes",
    "Client",
    "Comparison",
    "Decision",
    "Domain",
    "Evaluation",
    "Explanation",
    "Image",
    "ImageResult",
    "Images",
    "Label",
    "Labels",
    "Ledger",
    "Limits",
    "Method",
    "NoAnswer",
    "Oracle",
    "OracleError",
    "Plan",
    "Price",
    "Probe",
    "SaliencyMap",
    "Scores",
    "Stopped",
    "Stress",
    "Text",
    "Units",
    "UsageError",
    "Vector",
    "View",
    "Watch",
    "__version__",
    "attack",
    "attack_async",
    "attack_many",
    "attack_many_async",
    "audit",
    "audit_async",
    "compare",
    "compare_async",
    "drive",
    "evaluate",
    "evaluate_async",
    "explain",
    "explain_async",
    "explain_many",
    "explain_many_async",
    "probe",
    "probe_async",
    "replay",
    "save_many",
    "together",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'bbquery' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return __all__
