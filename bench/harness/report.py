"""docs/performance.md: what stands between the markers is made from the results, the rest is written by hand."""

from . import machine

BEGIN, END = "<!-- bench/run begins -->", "<!-- bench/run ends -->"


def page_of(sections, results, plots_folder):
    lines = [BEGIN, ""]
    if not results["sections"]:
        lines += ["There are no results yet: `bench/run` makes them.", ""]
    for name, module in sections.items():
        section = results["sections"].get(name)
        if section is None:
            continue
        lines += [f"## {module.TITLE}", ""]
        lines += [f"{section['date']}, `{section['command']}`, version {section['version']}; {machine.text(section['machine'])}.", ""]
        lines += module.page(section["figures"])
        for plot, svg in module.plots(section["figures"]).items():
            (plots_folder / f"{plot}.svg").write_text(svg)
            lines += [f"![{plot.replace('-', ' ')}](performance/{plot}.svg)", ""]
    return "\n".join(lines + [END])


def write(sections, results, document):
    text = document.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise SystemExit(f"{document} has not the two markers")
    plots_folder = document.parent / "performance"
    plots_folder.mkdir(exist_ok=True)
    before, rest = text.split(BEGIN)
    document.write_text(before + page_of(sections, results, plots_folder) + rest.split(END)[1])
