"""Write every small test model: `python tests/models/build.py OUTDIR`."""

from __future__ import annotations

import argparse
from pathlib import Path

from model_cases import write_all


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the small test models.")
    parser.add_argument("folder", type=Path, help="where <name>.onnx is written")
    for name, path in write_all(parser.parse_args().folder).items():
        print(f"{name:24} {path.stat().st_size:9} bytes  {path}")


if __name__ == "__main__":
    main()
