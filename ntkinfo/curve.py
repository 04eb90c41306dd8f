"""The table of quantities against training time."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dualib.core.files import write_npz
from dualib.core.units import Units, to_units
from ntkinfo._arrays import FloatArray
from ntkinfo._quantity import Relation
from ntkinfo.columns import MAIN, Column, DataSets, Group
from ntkinfo.text import text_table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class InformationCurve:
    """All quantities of one ensemble against training time.

    Attributes
    ----------
    tau : array, shape (T,).
    values : name → array of shape (T,); informations in nats.
    columns : what each is, in the same order.
    settings : of the computation (sizes, rank and clipped eigenvalues of Θ, label noise, versions, ...).
    """

    tau: FloatArray
    values: dict[str, FloatArray]
    columns: tuple[Column, ...]
    settings: dict[str, Any]

    def __getitem__(self, name: str) -> FloatArray:
        return self.values[name]

    def __str__(self) -> str:
        return self.table()

    def column(self, name: str) -> Column:
        """The record of one column."""
        return next(column for column in self.columns if column.name == name)

    def to_frame(self, units: Units = "nats") -> pd.DataFrame:
        """One row a time; the names of columns with a unit end in it. ``units="bits"`` converts the informations."""
        return self._frame(self.columns, units)

    def table(self, group: str | None = None, units: Units = "nats") -> str:
        """A table to print, of few columns: of the main ones by default.

        Parameters
        ----------
        group : "errors", "likelihoods", "inputs", "labels", "data", "parameters", "rates" or "paths".
        units : of the informations.

        Raises
        ------
        ValueError: an unknown group (the message lists them).
        """
        return text_table(self._frame(self._chosen(group, MAIN), units))

    def describe(self, group: str | None = None, width: int = 100) -> str:
        """What each column is, to print: which sort of bound, of which variable, under which assumption, for which data
        sets, with which output noise; source and function. All of `group`, or all there are.
        """
        return "\n".join(_paragraph(column, width) for column in self._chosen(group, None))

    def records(self) -> dict[str, dict[str, Any]]:
        """The columns' records by name, as plain values."""
        return {column.name: asdict(column) for column in self.columns}

    def _chosen(self, group: str | None, names: tuple[str, ...] | None) -> list[Column]:
        if group is None:
            if names is None:
                return list(self.columns)
            hidden = {"parameter_kl"} if "parameter_kl_infinite_width" in self.values else set()
            return [self.column(name) for name in names if name in self.values and name not in hidden]
        if group not in tuple(Group):
            raise ValueError(f"group must be one of {', '.join(Group)}, got {group!r}")
        return [column for column in self.columns if column.group == group]

    def _frame(self, columns: tuple[Column, ...] | list[Column], units: Units) -> pd.DataFrame:
        import pandas as pd

        data: dict[str, FloatArray] = {"tau": self.tau}
        for column in columns:
            unit = column.unit.replace("nats", units)
            label = f"{column.name}_{unit.replace('/', '_per_')}" if unit else column.name
            data[label] = to_units(self.values[column.name], units if unit else "nats")
        return pd.DataFrame(data)

    def save(self, path: str | Path) -> None:
        """Write an .npz file (arrays, with the settings and the columns' records as JSON inside), atomically."""
        record = json.dumps({"columns": list(self.records().values()), "settings": self.settings})
        write_npz(
            path, {"tau": self.tau, "record": np.array(record), **{f"value_{k}": v for k, v in self.values.items()}}
        )

    @classmethod
    def load(cls, path: str | Path) -> InformationCurve:
        """Read what :meth:`save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            if "record" not in file.files:
                raise ValueError(f"{path} is not an information curve: it has no entry 'record'")
            record = json.loads(str(file["record"]))
            try:
                columns = tuple(_column(entry) for entry in record["columns"])
            except (KeyError, TypeError) as error:
                raise ValueError(f"{path} was written by another version of ntkinfo: compute it again") from error
            return cls(file["tau"], {c.name: file[f"value_{c.name}"] for c in columns}, columns, record["settings"])


def _column(entry: dict[str, Any]) -> Column:
    enums = {
        "relation": Relation(entry["relation"]),
        "group": Group(entry["group"]),
        "data_sets": DataSets(entry["data_sets"]),
    }
    return Column(**(entry | enums))


def _paragraph(column: Column, width: int) -> str:
    noise = "no output noise applies" if column.output_noise is None else f"output noise {column.output_noise:g}"
    unit = f" [{column.unit}]" if column.unit else ""
    lines = (
        f"{column.relation}: {column.of}",
        f"assumes: {column.assumption}",
        f"{column.data_sets}; {noise}",
        f"ntkinfo.{column.function}, {column.source}",
    )
    body = (textwrap.fill(line, width, initial_indent="    ", subsequent_indent="      ") for line in lines)
    return "\n".join((f"{column.name}{unit}", *body))
