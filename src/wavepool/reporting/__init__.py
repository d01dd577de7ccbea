"""One run told to the end: a page in one file, Markdown, JSON, or JUnit's XML for CI systems.

::

    render(find_run(state_dir, "latest"), Format.HTML, now)     # the text of the file

What is told comes from the journal and the archived logs alone, as the page of `wavepool serve` has it: no server is
needed, and none of what its documents leave out (prompts, values of variables) is in a report either.

``telling``   what a report is made of
``load``      how much ran and was held, over time
``tails``     the last lines of what a task wrote, as text
``page``      HTML; ``static/`` has its script and style, built from dashboard/
``markdown``, ``document``, ``junit``     the other forms
``formats``   which there are
"""

from __future__ import annotations

from wavepool.reporting.formats import Format, render, rendered

__all__ = ["Format", "render", "rendered"]
