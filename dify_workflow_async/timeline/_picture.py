"""What all pictures have in common: how they become a file."""

from __future__ import annotations

import json

from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from .._download._saving import Saving
from ..errors import ConfigurationError


if TYPE_CHECKING:  # imported late: it takes half a second
    from altair import TopLevelMixin

FORMATS = (".html", ".svg", ".png")

# Nothing in the page may load anything; Vega compiles the functions that draw.
_PAGE = Template(
    """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; \
script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; \
img-src data: blob:; font-src data:">
<meta name="viewport" content="width=device-width">
<title>Timeline</title>
<script>$library</script>
</head>
<body style="background: white">
<div id="picture"></div>
<script>
vegaEmbed("#picture", $spec, {
  renderer: "svg",
  actions: {export: true, source: false, compiled: false, editor: false},
});
</script>
</body>
</html>
"""
)


class Picture(ABC):
    """What can be drawn.

    Drawing takes about a second, and the methods here block: where an event loop runs,
    call them in a thread (``asyncio.to_thread``).
    """

    @abstractmethod
    def _drawn(self) -> TopLevelMixin:
        """The chart; Altair is there."""

    def chart(self) -> TopLevelMixin:
        """The chart, as Altair has it: for notebooks, and to be changed.

        Raises:
            ConfigurationError: a package is missing, which the extra ``timeline`` has.
        """
        require_library()
        return self._drawn()

    def save(self, path: str | PathLike[str]) -> Path:
        """Draw it into a file, which is whole or is not there.

        Args:
            path: ``.html``, ``.svg`` or ``.png``; a file that is there is replaced.

        Returns:
            Where it is.

        Raises:
            ConfigurationError: no such format or folder, or a package is missing, which
                the extra ``timeline`` has.
            OSError: it cannot be written.
        """
        check_path(path)
        match Path(path).suffix.lower():
            case ".html":
                data = self.html().encode()
            case ".svg":
                data = self.svg().encode()
            case _:
                data = self.png()
        saving = Saving(path)
        try:
            saving.open()
            saving.write(data)
            return saving.finish(None)
        finally:
            saving.abandon()

    def html(self) -> str:
        """A page that shows the numbers where one points, and loads nothing.

        Raises:
            ConfigurationError: a package is missing, which the extra ``timeline`` has.
        """
        spec = self._spec()
        import vl_convert

        # Its type forgets that it needs no arguments.
        library: Callable[..., str] = vl_convert.javascript_bundle
        return _PAGE.substitute(
            library=library(),
            # Titles are the server's, and would else be able to end the script.
            spec=spec.replace("<", r"\u003c"),
        )

    def svg(self) -> str:
        """The picture as SVG.

        Raises:
            ConfigurationError: a package is missing, which the extra ``timeline`` has.
        """
        spec = self._spec()
        import vl_convert

        return vl_convert.vegalite_to_svg(spec)

    def png(self, *, scale: float = 2.0) -> bytes:
        """The picture as PNG.

        Args:
            scale: pixels for each pixel of the SVG.

        Raises:
            ConfigurationError: a package is missing, which the extra ``timeline`` has.
        """
        spec = self._spec()
        import vl_convert

        return vl_convert.vegalite_to_png(spec, scale=scale)

    def _spec(self) -> str:
        return json.dumps(self.chart().to_dict())


def check_path(path: str | PathLike[str]) -> None:
    """See that a picture can be saved there, before that costs a run.

    Raises:
        ConfigurationError: no such format or folder, or a package is missing, which the
            extra ``timeline`` has.
    """
    where = Path(path)
    ending = where.suffix.lower()
    if ending not in FORMATS:
        formats = ", ".join(FORMATS)
        msg = (
            f"pictures are drawn as {formats}, not {ending or 'without ending'}: {path}"
        )
        raise ConfigurationError(msg)
    if not where.parent.is_dir():
        msg = f"there is no folder {where.parent}"
        raise ConfigurationError(msg)
    if where.is_dir():
        msg = f"{where} is a folder"
        raise ConfigurationError(msg)
    require_library()


def require_library() -> None:
    """See that the libraries are there which the extra ``timeline`` has.

    Raises:
        ConfigurationError: one is missing.
    """
    for name in ("altair", "vl_convert"):
        if find_spec(name) is None:
            msg = f"pictures need {name}: pip install 'dify-workflow-async[timeline]'"
            raise ConfigurationError(msg)
