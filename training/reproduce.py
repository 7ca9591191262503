"""Run a paper's experiments again on any photos, and write one report with its tables and figures beside ours.

    python -m training.reproduce mishra2019 --data path/to/photos --out reproduced/mishra --scale small
    python -m training.reproduce liao2017 --data path/to/photos --out reproduced/liao --scale small

The folder gets report.html (one page with everything in it), results.json (every number), and runs/ (each trained
network with a report of its own). Interrupted, the same command goes on where it stopped.
"""

import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from training.cli import run, write_text
from training.data.manifest import Manifest
from training.errors import DataError

if TYPE_CHECKING:
    from training.reproduction.arms import Outcome, Plan

RESULTS_FILE, REPORT_FILE, SETTINGS_FILE, RUNS = "results.json", "report.html", "settings.json", "runs"


@dataclass(frozen=True)
class ReproduceCommand:
    """Run a paper's experiments again on your photos: one report with each of its tables and figures beside yours.

    mishra2019: Mishra et al. 2019, Interpreting Fine-Grained Dermatological Classification by Deep Learning.
    Trains the four depths (Table 2), the recipe with each part taken out, and the even and uneven training
    sets (Table 4); then looks into the best run: confusions, Grad-CAM, field of view, gamma, duplicates.

    liao2017: Liao & Luo 2017, A Deep Multi-Task Learning Approach to Skin Lesion Classification. Trains AlexNet,
    a ResNet for the lesions, one for the body site, one for both (MTL), and MTL on shuffled body sites, on each of
    five folds (Table 1, Fig. 3); on the phantom also over the coupling of lesion and site."""

    paper: tyro.conf.Positional[Literal["mishra2019", "liao2017"]]
    """Which paper."""
    data: str
    """`phantom`; a manifest CSV; or a folder of PAD-UFES-20, of HAM10000 or of class folders."""
    out: Path
    """Folder for the report; made if it is not there. One that holds this experiment half done is gone on with."""
    scale: Literal["full", "small"] = "small"
    """`full`: the paper's networks and sizes, for a GPU. `small`: every step on small networks and photos, within
    20 minutes (mishra2019) or 90 (liao2017) on two CPU cores."""
    weights: str | None = None
    """What the networks start from, in place of the scale's own (`full`: IMAGENET1K_V1, `small`: random):
    `random`, IMAGENET1K_V1, or a .safetensors file for the architecture that the recipe is taken apart on."""
    random_stages: tuple[str, ...] = ()
    """Stages that the weights file lacks, such as `layer4`; they start at random."""
    label_map: Path | None = None
    """liao2017: a TOML file of labels to merge, rename or drop (python -m training.label_map --help). Without one,
    lesions and body sites of fewer than 10 photos are dropped, as in the paper."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `cuda:N`."""
    cache: Path = Path("data/cache")
    """Where decoded photos are kept."""


@dataclass(frozen=True)
class Made:
    """What a paper's experiments came to."""

    paper: str
    manifest: Manifest
    n_available: int
    n_networks: int
    results: dict[str, Any]
    figures: dict[str, bytes]


def mishra2019(command: ReproduceCommand) -> Made:
    """Plan, train what is left, and make the tables and figures of Mishra et al. 2019.

    Raises:
        UserError: the data cannot be used, or every run failed.
    """
    from training.reproduction import mishra2019 as paper
    from training.reproduction.mishra2019_results import collect

    if command.label_map is not None:
        raise DataError(
            "--label-map belongs to liao2017; for mishra2019 write the mapped manifest first, with python -m "
            "training.label_map --map FILE --out FILE.csv, and give that as --data."
        )
    scale = paper.SCALES[command.scale]
    manifest, n_available = paper.take_photos(command.data, scale, command.out)
    experiment = paper.Experiment.make(
        manifest, scale, out=command.out, weights=command.weights, random_stages=command.random_stages
    )
    outcomes = _train(command, experiment.plan, manifest, n_available)
    results, figures = collect(experiment, outcomes, device=command.device, cache=command.cache)
    return Made("Mishra et al. 2019", manifest, n_available, len(experiment.plan), results, figures)


def liao2017(command: ReproduceCommand) -> Made:
    """Plan, train what is left, and make the table and figures of Liao & Luo 2017.

    Raises:
        UserError: the data or the label map cannot be used, or every run failed.
    """
    from training.data.label_map import PAPER, read_label_map
    from training.reproduction import liao2017 as paper
    from training.reproduction.liao2017_results import collect

    scale = paper.SCALES[command.scale]
    label_map = PAPER if command.label_map is None else read_label_map(command.label_map)
    manifest, n_available, report = paper.take_photos(command.data, scale, command.out, label_map)
    experiment = paper.Experiment.make(
        manifest, scale, out=command.out, weights=command.weights, random_stages=command.random_stages
    )
    print("\n".join(report.sentences()))
    outcomes = _train(command, experiment.plan, manifest, n_available)
    results, figures = collect(experiment, outcomes, report, device=command.device, cache=command.cache)
    return Made("Liao & Luo 2017", manifest, n_available, len(experiment.plan), results, figures)


PAPERS = {"mishra2019": mishra2019, "liao2017": liao2017}


def reproduce(command: ReproduceCommand) -> None:
    """Run a paper's experiments, or what is left of them, and write the report.

    Raises:
        UserError: the data cannot be used, the folder holds another experiment, or every run failed.
    """
    from training.machine import machine
    from training.reproduction.arms import training_seconds
    from training.reproduction.report import write_report

    _check_settings(command)
    made = PAPERS[command.paper](command)
    manifest = made.manifest
    about = {
        "paper": made.paper,
        "command": f"python -m training.reproduce {shlex.join(sys.argv[1:])}",
        "scale": command.scale,
        "data": {
            "name": manifest.name,
            "photos": len(manifest),
            "photos_available": made.n_available,
            "groups": int(manifest.table["group"].nunique()),
            "fingerprint": manifest.fingerprint(),
            "synthetic": manifest.synthetic,
            "licence": manifest.licence,
        },
        "training_seconds": round(training_seconds(command.out / RUNS)),
        "networks": made.n_networks,
        "machine": machine("torch", "torchvision", "numpy"),
    }
    results = {"about": about, **made.results}
    write_text(command.out / RESULTS_FILE, json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    write_report(command.out / REPORT_FILE, command.paper, results, made.figures)
    print(f"report: {command.out / REPORT_FILE}; every number: {command.out / RESULTS_FILE}")


def _train(
    command: ReproduceCommand, plan: "Plan", manifest: Manifest, n_available: int
) -> dict[str, "Outcome"]:
    from training.reproduction.arms import run_plan

    print(
        f"{manifest.name}: {len(manifest)} photos of {n_available}; {len(plan)} networks to train.",
        flush=True,
    )
    return run_plan(plan, command.out / RUNS, data=command.data, device=command.device, cache=command.cache)


def _check_settings(command: ReproduceCommand) -> None:
    """Go on only with the experiment that the folder holds.

    Raises:
        DataError: it holds one of other settings.
    """
    file = command.out / SETTINGS_FILE
    settings = {
        "paper": command.paper,
        "data": command.data,
        "scale": command.scale,
        "weights": command.weights,
        "random_stages": list(command.random_stages),
        "label_map": None if command.label_map is None else str(command.label_map),
    }
    if file.is_file():
        found = json.loads(file.read_text(encoding="utf-8"))
        different = [name for name, value in settings.items() if found.get(name) != value]
        if different:
            name = different[0]
            raise DataError(
                f"{command.out} holds an experiment with {name} = {found.get(name)}, not {settings[name]}; "
                "choose another --out, or ask for the same."
            )
    write_text(file, json.dumps(settings, indent=1) + "\n")


def main(arguments: list[str] | None = None) -> None:
    """The command line; see `ReproduceCommand`."""
    command = tyro.cli(ReproduceCommand, args=arguments, prog="python -m training.reproduce")
    reproduce(command)


if __name__ == "__main__":
    sys.exit(run(main))
