"""The cost of a query besides the model: `python benchmarks/estimators.py`.

Each method runs on a 224 × 224 photo of uint8 pixels, with scores that cost nothing: printed are the milliseconds of
CPU in which a query's copy is drawn, rendered, rounded and accumulated, and their ratio to drawing dense noise alone.
`designed` accumulates rows of its design and fits a regression to them, at half time and in the end: its line is
without these fits, whose CPU time is printed beside it, and so is that of a whole run of 1,000 queries. Targets: below
0.5 ms for masks and blocks, at most 2 × drawing for dense noise, and 1 s of CPU for that run. No number of threads is
set here: the environment is measured as it comes, and its number is printed. With --memory each method also runs in
processes of its own, and what 8 times the queries add to the peak is printed.

With --thinking only this is printed: for each method and budget the seconds of CPU that it thinks, its copies drawn but
not rendered, beside those in which an oracle of 5 ms answers as many queries. No method should think longer.

--rise-code and --geex-code name checkouts of eclique/RISE and caiy0220/GEEX. Their own classes then make, apply and
accumulate as many masks, on the CPU with one thread and one class, and the ratios are printed. RISE holds all masks in
memory and writes them to a file, which is counted too, as it is part of making them. Both call for a GPU in places:
here that is answered with the CPU.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib
import io
import resource
import subprocess
import sys
import tempfile
import time
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import ThreadpoolController

from bbquery import load
from bbquery.errors import UsageError
from bbquery.plan import Ask, replay
from bbquery.types import UINT8, Scores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bbquery.types import Image

SIDE = 224
MASKS = ("rise", "rise:form=published", "bgeex", "blr", "nes:resize=0.25", "dct")
DENSE = ("lr", "lr:antithetic=true", "lr:density=laplace", "nes", "spsa", "es", "finite_differences", "orthogonal")
THINKING = ("designed", "rise", "occlusion", "bgeex", "lr", "random_windows", "bayes")
BUDGETS = (64, 250, 1000, 2000, 4000)
ORACLE_SECONDS = 0.005  # that a query takes
RUNS = 3
WHOLE, WHOLE_SECONDS = 1000, 1.0  # a run of `designed`: its queries, and the CPU time it may take


def photo() -> Image:
    """Return a photo whose values are of every grey level."""
    return np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


def answered(ask: Ask) -> Scores:
    """Render each row, as a driver does, and give it a score that costs nothing."""
    rng, rows = np.random.default_rng(len(ask.images)), len(ask.images)
    for row in range(rows):
        ask.images[row]
    return Scores(np.zeros(rows, dtype=np.int8), rng.random(rows))


def scored_unseen(ask: Ask) -> Scores:
    """Give each row a score without rendering it."""
    rng, rows = np.random.default_rng(len(ask.images)), len(ask.images)
    return Scores(np.zeros(rows, dtype=np.int8), rng.random(rows))


def run(specification: str, queries: int) -> None:
    """Explain the photo once."""
    replay(load.method(specification, queries=queries).plan(photo(), UINT8, 0), answered)


def run_unfitted(specification: str, queries: int) -> None:
    """Ask as `run` does, and leave before the end."""
    plan, left = load.method(specification, queries=queries).plan(photo(), UINT8, 0), queries
    ask = next(plan)
    while left > len(ask.images):
        left -= len(ask.images)
        ask = plan.send(answered(ask))
    answered(ask)
    plan.close()


def milliseconds(act: Callable[[], object], count: int) -> float:
    """Return the CPU time of `act` divided by count: the least of some runs."""
    spent = []
    for _ in range(RUNS):
        began = time.process_time()
        act()
        spent.append(time.process_time() - began)
    return 1000 * min(spent) / count


def draw(queries: int) -> None:
    """Draw as many photos of dense noise, and do nothing with them."""
    for row in range(queries):
        np.random.default_rng((0, 0, row)).standard_normal((SIDE, SIDE, 3), dtype=np.float32)


# --- what others do ---


@contextlib.contextmanager
def on_the_cpu(code: Path) -> Iterator[Any]:
    """Let code that asks for a GPU have the CPU, and import from its folder first; yields torch."""
    import torch

    torch.set_num_threads(1)
    patched: Any = torch.Tensor
    to, cuda = patched.to, patched.cuda
    patched.cuda = lambda tensor, *_, **__: tensor
    patched.to = lambda tensor, *to_what, **named: to(tensor, *["cpu" if w == "cuda" else w for w in to_what], **named)
    sys.path.insert(0, str(code))
    try:
        yield torch
    finally:
        sys.path.remove(str(code))
        patched.to, patched.cuda = to, cuda


def rise_peer(code: Path, queries: int) -> float:
    """Return the milliseconds a mask takes in RISE's own code."""
    with on_the_cpu(code) as torch, tempfile.TemporaryDirectory() as folder:
        peer, x = importlib.import_module("explanations"), torch.rand(1, 3, SIDE, SIDE)

        def act() -> None:
            explainer = peer.RISE(lambda stack: torch.rand(len(stack), 1), (SIDE, SIDE))
            with contextlib.redirect_stderr(io.StringIO()):
                explainer.generate_masks(queries, 7, 0.5, savepath=str(Path(folder) / "masks.npy"))
            explainer(x)

        return milliseconds(act, queries)


def geex_peers(code: Path, queries: int) -> dict[str, float]:
    """Return the milliseconds a mask takes in GEEX's own code, for its Gaussian and its binary masks."""
    try:
        importlib.import_module("torchvision")
    except ImportError:  # it is used for the baseline's blur only, which is not measured
        transforms: Any = types.ModuleType("torchvision.transforms")
        for name in ("Compose", "Resize", "ToTensor", "Normalize", "GaussianBlur"):
            setattr(transforms, name, lambda *_, **__: None)
        sys.modules["torchvision"] = types.ModuleType("torchvision")
        sys.modules["torchvision.transforms"] = transforms
        vars(sys.modules["torchvision"])["transforms"] = transforms
    with on_the_cpu(code) as torch:
        peer, x = importlib.import_module("geex"), torch.rand(1, 3, SIDE, SIDE)

        class Free(torch.nn.Linear):  # type: ignore[misc, name-defined] # torch is imported only where it is measured
            def forward(self, images: Any) -> Any:
                return torch.rand(len(images), 1)

        model, shape, black = Free(1, 1), (3, SIDE, SIDE), torch.zeros(3, SIDE, SIDE)

        def act(make: Callable[[], Any]) -> None:
            with contextlib.redirect_stderr(io.StringIO()):
                make().explain(model, x)

        makers = {
            "nes": lambda: peer.GEEX(queries, 1.0, shape, black),
            "bgeex": lambda: peer.bGEEX(queries, shape, 51, 8.0, black),
        }
        return {name: milliseconds(functools.partial(act, make), queries) for name, make in makers.items()}


# --- printing ---


def peak(specification: str, queries: int) -> float:
    """Return the peak memory of a process that explains once, in MiB."""
    command = [sys.executable, __file__, "--one", specification, "--queries", str(queries)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def report(specification: str, spent: float, drawing: float, target: float) -> None:
    """Print one method's line."""
    verdict = "" if spent <= target else f"   above its target of {target:.2f} ms"
    print(f"{specification:22} {spent:6.3f} ms a query, {spent / drawing:5.2f} × drawing{verdict}", flush=True)


def _report_designed(queries: int, drawing: float) -> None:
    asking = milliseconds(functools.partial(run_unfitted, "designed:refine=false", queries), queries)
    report("designed, unfitted", asking, drawing, 0.5)
    fits = milliseconds(functools.partial(run, "designed", queries), queries) - asking
    print(f"{'':22} {fits * queries / 1000:6.2f} s for the regressions at half time and on all {queries} in the end")
    whole = milliseconds(functools.partial(run, "designed", WHOLE), 1) / 1000
    verdict = "" if whole <= WHOLE_SECONDS else f"   above its target of {WHOLE_SECONDS:g} s: does BLAS spin?"
    print(f"{'designed, whole':22} {whole:6.2f} s of CPU for {WHOLE} queries{verdict}")


def _report_thinking() -> None:
    for specification in THINKING:
        for budget in BUDGETS:
            try:
                plan = load.method(specification, queries=budget).plan(photo(), UINT8, 0)
            except UsageError as refused:
                print(f"{specification:16} {budget:5}  {refused}", flush=True)
                continue
            began = time.process_time()
            replay(plan, scored_unseen)
            spent, asking = time.process_time() - began, budget * ORACLE_SECONDS
            verdict = "" if spent <= asking else "   longer than it asks"
            print(f"{specification:16} {budget:5} {spent:8.2f} s thinking, {asking:6.2f} s asking{verdict}", flush=True)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=512)
    parser.add_argument("--rise-code", type=Path)
    parser.add_argument("--geex-code", type=Path)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--thinking", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    chosen = arguments()
    if chosen.one:
        run(chosen.one, chosen.queries)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    if chosen.thinking:
        _report_thinking()
        return
    blas = [found["num_threads"] for found in ThreadpoolController().info() if found["user_api"] == "blas"]
    print(f"{'BLAS threads':22} {', '.join(map(str, blas)) or 'unknown'}, as the environment has it")
    drawing = milliseconds(lambda: draw(chosen.queries), chosen.queries)
    print(f"{'drawing dense noise':22} {drawing:6.3f} ms")
    spent = {}
    for specification in (*MASKS, *DENSE):
        spent[specification] = milliseconds(functools.partial(run, specification, chosen.queries), chosen.queries)
        report(specification, spent[specification], drawing, 0.5 if specification in MASKS else 2 * drawing)
        if chosen.memory:
            first, last = peak(specification, chosen.queries), peak(specification, 8 * chosen.queries)
            print(f"{'':22} {first:6.0f} MiB at its peak, {last / first:.2f} × that with 8 × the queries", flush=True)
    _report_designed(chosen.queries, drawing)
    peers = {}
    if chosen.rise_code:
        peers["rise:form=published"] = rise_peer(chosen.rise_code, chosen.queries)
    if chosen.geex_code:
        peers |= geex_peers(chosen.geex_code, chosen.queries)
    for specification, theirs in peers.items():
        print(f"{specification:22} {theirs:6.3f} ms in its authors' code, {theirs / spent[specification]:.1f} × ours")


if __name__ == "__main__":
    main()
