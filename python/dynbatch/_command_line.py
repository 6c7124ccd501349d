"""`dynbatch compile` and `dynbatch inspect`; needs the extra `cli`."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

import dynbatch
from dynbatch._advice import batch_advice
from dynbatch._compile import CompileResult
from dynbatch._inspect import Inspection, inspect

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Compiles gears into ONNX models, and tells about models.",
)
_out = Console(highlight=False)
_err = Console(stderr=True, highlight=False, soft_wrap=True)

# No tensor is larger, and the core holds them.
_SIZE = re.compile("[0-9]{1,18}")
# ATC's number for ONNX.
_FRAMEWORK_ONNX = "5"


def run(arguments: list[str]) -> None:
    """Runs a command; exits with 1 where dynbatch refuses, 2 where the command line is wrong."""
    try:
        app(arguments, prog_name="dynbatch")
    except dynbatch.Error as error:
        _err.print(f"[red]error:[/red] {escape(str(error))}")
        sys.exit(1)


@app.command("compile", no_args_is_help=True)
def compile_model(
    model_path: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="The ONNX model.", show_default=False)
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="The same, as ATC has it.")] = None,
    output: Annotated[
        str | None, typer.Option("--output", help="The file to write; .om without a suffix.")
    ] = None,
    input_shape: Annotated[
        str | None,
        typer.Option(
            "--input_shape", help='"name:-1,3,416,416;name2:-1,4": -1 where gears differ.'
        ),
    ] = None,
    dynamic_batch_size: Annotated[
        str | None, typer.Option("--dynamic_batch_size", help='"1,2,4,8": 2 to 100 batch sizes.')
    ] = None,
    dynamic_image_size: Annotated[
        str | None,
        typer.Option("--dynamic_image_size", help='"416,416;832,832": heights and widths.'),
    ] = None,
    dynamic_dims: Annotated[
        str | None, typer.Option("--dynamic_dims", help='"1,16;8,32": in each gear a size a -1.')
    ] = None,
    input_shape_range: Annotated[
        str | None, typer.Option("--input_shape_range", help="Refused: no gear settles ranges.")
    ] = None,
    input_format: Annotated[
        str | None, typer.Option("--input_format", help="NCHW, NHWC, NCDHW, NDHWC or ND.")
    ] = None,
    insert_op_conf: Annotated[
        str | None, typer.Option("--insert_op_conf", help="Refused: there is no AIPP.")
    ] = None,
    dimension: Annotated[
        list[str] | None,
        typer.Option("--dimension", help="name=size: binds a named dimension. May be repeated."),
    ] = None,
    fixed: Annotated[bool, typer.Option("--fixed", help="Binds a single gear.")] = False,
    framework: Annotated[
        str | None, typer.Option("--framework", help="Ignored; 5, which is ONNX.")
    ] = None,
    soc_version: Annotated[
        str | None, typer.Option("--soc_version", help="Ignored: of a chip.")
    ] = None,
    log: Annotated[str | None, typer.Option("--log", help="Ignored: of a chip's tools.")] = None,
) -> None:
    """Runs an ONNX model in each gear, and writes one file that holds model and gears."""
    ignored = {"--framework": framework, "--soc_version": soc_version, "--log": log}
    for option, value in ignored.items():
        if value is not None:
            _err.print(f"{option} is ignored: it matters to a chip alone")
    if framework not in (None, _FRAMEWORK_ONNX):
        raise _wrong("framework", str(framework), f"{_FRAMEWORK_ONNX}, which is ONNX")
    path = _one_model(model_path, model)
    dimensions = _dimensions(dimension or [])
    with _progress() as progress, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # they are printed at the end
        result = dynbatch.compile(
            path,
            output=output,
            input_shape=input_shape,
            dynamic_batch_size=dynamic_batch_size,
            dynamic_image_size=dynamic_image_size,
            dynamic_dims=dynamic_dims,
            input_shape_range=input_shape_range,
            input_format=input_format,
            insert_op_conf=insert_op_conf,
            dimensions=dimensions,
            fixed=fixed,
            progress=progress,
        )
    _print_gears(result)
    for warning in result.warnings:
        _err.print(f"[yellow]warning:[/yellow] {escape(warning)}")
    _out.print(f"wrote {escape(str(result.output))}", soft_wrap=True)


@app.command("inspect", no_args_is_help=True)
def inspect_model(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Any ONNX model.")],
) -> None:
    """Tells inputs, outputs, batch axes, row independence, gears and the memory plan of a model."""
    _print_inspection(inspect(model))


def _one_model(argument: str | None, option: str | None) -> str:
    given = [path for path in (argument, option) if path is not None]
    if len(given) != 1:
        got = " and ".join(given) or "none"
        raise _wrong("model", got, "one model, as an argument or as --model", code="E10058")
    if not given[0]:
        raise _wrong("model", "", "a value", code="E10004")
    return given[0]


def _dimensions(texts: list[str]) -> dict[str, int]:
    dimensions: dict[str, int] = {}
    for text in texts:
        name, _, size = text.rpartition("=")
        if not name or not _SIZE.fullmatch(size):
            raise _wrong(
                "dimension", text, "name=size, such as sequence=10, with at most 18 digits"
            )
        if name in dimensions:
            raise _wrong("dimension", text, f"each dimension once: {name}={dimensions[name]}")
        dimensions[name] = int(size)
    return dimensions


def _wrong(option: str, given: str, allowed: str, code: str = "E10001") -> dynbatch.CompileError:
    message = f"{code}: --{option}: expected {allowed}; got '{given}'"
    return dynbatch.CompileError(message, code, option, given, allowed)


@contextmanager
def _progress() -> Iterator[Any]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=_err, transient=True) as bar:
        task = bar.add_task("gears", total=None)

        def show(gear: int, gears: int, name: str) -> None:
            description = escape(f"gear {name}" if name else "gears")
            bar.update(task, completed=gear, total=gears, description=description)

        yield show


def _print_gears(result: CompileResult) -> None:
    has_batches = result.kind == "batch size" and all(gear.sizes for gear in result.gears)
    table = Table(title=f"gears ({result.kind})")
    table.add_column("gear", justify="right")
    table.add_column("inputs", overflow="fold")
    table.add_column("outputs", overflow="fold")
    for column in ("bytes in", "bytes out", "a batch", *(["a row"] if has_batches else [])):
        table.add_column(column, justify="right", no_wrap=True)
    for gear in result.gears:
        row = [
            gear.name or "-",
            shapes_text(gear.input_shapes),
            shapes_text(gear.output_shapes),
            bytes_text(gear.input_bytes),
            bytes_text(gear.output_bytes),
            time_text(gear.seconds),
        ]
        if has_batches:
            row.append(time_text(gear.seconds / gear.sizes[0]))
        table.add_row(*map(escape, row))
    _out.print(table)
    if has_batches:
        _print_advice(result)


def _print_advice(result: CompileResult) -> None:
    sizes = [gear.sizes[0] for gear in result.gears]
    advice = batch_advice(sizes, [gear.seconds for gear in result.gears])
    for size, text in zip(sizes, advice, strict=True):
        _out.print(f"gear {size}: {text}", soft_wrap=True)
    known = {None: "not known", True: "independent", False: "mix"}
    _out.print(f"rows: {known[result.rows_independent]}")


def _print_inspection(found: Inspection) -> None:
    for title, rows in (("inputs", found.inputs), ("outputs", found.outputs)):
        table = Table(title=title)
        for column in ("name", "type", "shape", "batch axis"):
            table.add_column(column)
        for tensor in rows:
            table.add_row(*map(escape, (tensor.name, tensor.type, tensor.shape, tensor.batch)))
        _out.print(table)
    for name, text in found.facts:
        _out.print(f"{name}: {escape(text)}", soft_wrap=True)
    if found.gears:
        table = Table(title="gears")
        for column in ("gear", "bytes in", "bytes out", "a batch", "a row"):
            table.add_column(column, justify="right")
        for gear in found.gears:
            times = (time_text(gear.seconds), time_text(gear.seconds / gear.rows))
            table.add_row(
                escape(gear.name),
                bytes_text(gear.input_bytes),
                bytes_text(gear.output_bytes),
                *times,
            )
        _out.print(table)


def shapes_text(shapes: Any) -> str:
    """Shapes by name, as ATC's options write them, one a line."""
    return "\n".join(f"{name}:{','.join(map(str, shape))}" for name, shape in shapes.items())


def bytes_text(count: int) -> str:
    """A number of bytes in the unit that shows it best."""
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def time_text(seconds: float) -> str:
    """A time in the unit that shows it best; "-" if it was not measured."""
    if seconds == 0:
        return "-"
    for factor, unit in ((1.0, "s"), (1e3, "ms")):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"
