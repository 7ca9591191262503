"""Run a paper's experiments again on any photos, and write one report with its tables and figures beside ours.

    python -m training.reproduce mishra2019 --data path/to/photos --out reproduced --scale small

The folder gets report.html (one page with everything in it), results.json (every number), and runs/ (each trained
network with a report of its own). Interrupted, the same command goes on where it stopped.
"""

import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from training.cli import run, write_text
from training.errors import DataError

RESULTS_FILE, REPORT_FILE, SETTINGS_FILE, RUNS = "results.json", "report.html", "settings.json", "runs"


@dataclass(frozen=True)
class ReproduceCommand:
    """Run a paper's experiments again on your photos: one report with each of its tables and figures beside yours.

    mishra2019: Mishra et al. 2019, Interpreting Fine-Grained Dermatological Classification by Deep Learning.
    Trains the four depths (Table 2), the recipe with each part taken out, and the even and uneven training
    sets (Table 4); then looks into the best run: confusions, Grad-CAM, field of view, gamma, duplicates."""

    paper: tyro.conf.Positional[Literal["mishra2019"]]
    """Which paper."""
    data: str
    """`phantom`; a manifest CSV; or a folder of PAD-UFES-20, of HAM10000 or of class folders."""
    out: Path
    """Folder for the report; made if it is not there. One that holds this experiment half done is gone on with."""
    scale: Literal["full", "small"] = "small"
    """`full`: the paper's networks and sizes, for a GPU. `small`: every step on small networks and photos, within
    20 minutes on two CPU cores."""
    weights: str | None = None
    """What the networks start from, in place of the scale's own (`full`: IMAGENET1K_V1, `small`: random):
    `random`, IMAGENET1K_V1, or a .safetensors file for the architecture that the recipe is taken apart on."""
    random_stages: tuple[str, ...] = ()
    """Stages that the weights file lacks, such as `layer4`; they start at random."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `cuda:N`."""
    cache: Path = Path("data/cache")
    """Where decoded photos are kept."""


def mishra2019(command: ReproduceCommand) -> None:
    """Plan, train what is left, and write the report.

    Raises:
        UserError: the data cannot be used, the folder holds another experiment, or every run failed.
    """
    from training.machine import machine
    from training.reproduction import mishra2019 as paper
    from training.reproduction.arms import run_plan, training_seconds
    from training.reproduction.mishra2019_results import collect
    from training.reproduction.report import write_report

    scale = paper.SCALES[command.scale]
    _check_settings(command)
    manifest, n_available = paper.take_photos(command.data, scale, command.out)
    experiment = paper.Experiment.make(
        manifest, scale, out=command.out, weights=command.weights, random_stages=command.random_stages
    )
    print(
        f"{manifest.name}: {len(manifest)} photos of {n_available}; {len(experiment.plan)} networks to train.",
        flush=True,
    )
    runs = command.out / RUNS
    outcomes = run_plan(experiment.plan, runs, data=command.data, device=command.device, cache=command.cache)
    results, figures = collect(experiment, outcomes, device=command.device, cache=command.cache)
    about = {
        "paper": "Mishra et al. 2019",
        "command": f"python -m training.reproduce {shlex.join(sys.argv[1:])}",
        "scale": scale.name,
        "data": {
            "name": manifest.name,
            "photos": len(manifest),
            "photos_available": n_available,
            "groups": int(manifest.table["group"].nunique()),
            "fingerprint": manifest.fingerprint(),
            "synthetic": manifest.synthetic,
            "licence": manifest.licence,
        },
        "training_seconds": round(training_seconds(runs)),
        "networks": len(experiment.plan),
        "machine": machine("torch", "torchvision", "numpy"),
    }
    results = {"about": about, **results}
    write_text(command.out / RESULTS_FILE, json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    write_report(command.out / REPORT_FILE, "mishra2019", results, figures)
    print(f"report: {command.out / REPORT_FILE}; every number: {command.out / RESULTS_FILE}")


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
    mishra2019(command)


if __name__ == "__main__":
    sys.exit(run(main))
