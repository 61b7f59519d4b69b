"""Writes the gallery before the documentation is read: a page for each bundled network, whichever there are.

A page is made by symbp while the documentation is built: the picture, the equations, and what the witnesses say.
The build fails if one of them says no.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import symbp
from symbp.networks import Network, names, network
from symbp.render.markdown import markdown, words
from symbp.verify import check_derivation
from symbp.verify.report import summary

INDEX = """# Gallery

The networks that come with symbp. Each has a page: its picture with symbolic sizes, its declaration, and its derivative
as `symbp derive` finds and checks it. `symbp new NAME` prints the declaration of one.

In a picture values run downwards. Parameters stand at the side of the equation that reads them; a frame is a loop,
which stands there once for all values of its index; a coloured line is what one pass through the loop leaves to a later
one.
`symbp derive FILE -o FILE.svg` draws your own.

| network | what it shows |
| --- | --- |
{rows}

```{{toctree}}
:hidden:
:maxdepth: 1

{pages}
```
"""

PAGE = """# {name}

{title}.

```{{image}} {name}.svg
:alt: {alt}
```

{derivation}

## Checked

{verified}.

`symbp derive {name}.net --steps` prints every step with its reason, `symbp verify {name}.net` checks the generated
modules as well.

## Yours

```console
$ symbp new {name} > {name}.net
$ symbp derive {name}.net -o {name}.tex
$ symbp generate {name}.net --target numpy -o {name}{functions}
```
"""


class NotVerified(Exception):
    """A bundled network whose derivative a witness refuses."""


def sentence(text: str) -> str:
    """Return a text with a capital letter."""
    return text[:1].upper() + text[1:]


def page(found: Network) -> dict[str, str]:
    """Return the files of one network's page."""
    name = found.name
    derivation = symbp.derive(symbp.read(found.text).replace(name=name))
    verdicts = check_derivation(derivation)
    if any(v.verdict != "holds" for v in verdicts):
        raise NotVerified(f"{name}.net: {summary(verdicts)}")
    equations = markdown(derivation, text=found.text, title=name, steps=False)
    free = [n for n, f in derivation.source.functions.items() if f.is_free]
    text = PAGE.format(
        name=name, title=sentence(words(found.title)), alt=f"The network {name}: {found.title}".replace("\n", " "),
        derivation=equations[equations.index("## Declaration") :].rstrip(), verified=sentence(summary(verdicts)),
        functions="".join(f" --function {n}=tanh" for n in free),
    )
    return {f"{name}.md": text, f"{name}.svg": symbp.picture(derivation.source)}


def write(app: Any) -> None:
    """Write the pages, and remove those of networks that are gone."""
    folder = Path(app.srcdir) / "gallery"
    folder.mkdir(exist_ok=True)
    networks = [network(name) for name in names()]
    rows = "\n".join(f"| [{n.name}]({n.name}.md) | {words(n.title)} |" for n in networks)
    files = {"index.md": INDEX.format(rows=rows, pages="\n".join(n.name for n in networks))}
    for found in networks:
        files |= page(found)
    for path in folder.iterdir():
        if path.name not in files:
            path.unlink()
    for name, text in files.items():
        path = folder / name
        # An unchanged page keeps its time, so that it is not read again.
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def setup(app: Any) -> dict[str, Any]:
    app.connect("builder-inited", write)
    return {"version": "1", "parallel_read_safe": True}
