"""Plots as SVG, by hand: light background, labels, units."""

import html
import math

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 80, 150, 44, 56
COLOURS = ["#1f5fa8", "#c4541b", "#3a8a3f", "#7b4fa3", "#8a6d1d", "#555555"]
STYLE = 'font-family="DejaVu Sans, Helvetica, Arial, sans-serif"'


def _text(x, y, text, size=12, anchor="middle", colour="#222222", more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}" {more}>{html.escape(str(text))}</text>'


def short(n):
    """1500000 as "1.5 M"."""
    for unit, name in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(n) >= unit:
            return f"{n / unit:g}{name}" if n / unit >= 100 else f"{n / unit:.3g}{name}"
    return f"{n:.3g}"


class _Axis:
    def __init__(self, values, begin, end, is_log, ticks=None):
        low, high = min(values), max(values)
        self.is_log = is_log
        if is_log and ticks:
            self.low, self.high, self.ticks = math.log10(low), math.log10(high), ticks
        elif is_log:
            self.low, self.high = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
            self.high = max(self.high, self.low + 1)
            self.ticks = [10.0 ** e for e in range(self.low, self.high + 1)]
        else:
            step = 10 ** math.floor(math.log10(high or 1))
            step = next(step * part for part in (0.1, 0.2, 0.5, 1, 2) if high / (step * part) <= 6)
            self.low, self.high = 0, math.ceil(high / step) * step
            self.ticks = [i * step for i in range(round(self.high / step) + 1)]
        self.begin, self.end = begin, end

    def at(self, value):
        value = math.log10(value) if self.is_log else value
        return self.begin + (value - self.low) / (self.high - self.low) * (self.end - self.begin)


def _frame(title, x_label, y_label, height=HEIGHT):
    return [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" {STYLE}>',
            f"<title>{html.escape(title)}</title>", f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>', _text(LEFT, 24, title, 15, "start"),
            _text((LEFT + WIDTH - RIGHT) / 2, height - 12, x_label), _text(18, height / 2, y_label, more=f'transform="rotate(-90 18 {height / 2:.0f})"')
            if y_label else ""]


def lines(title, x_label, y_label, series, log_x=True, log_y=True, x_ticks=None):
    """`series`: {name: [(x, y), ...]}. Logarithmic axes have a tick per power of ten, or `x_ticks`."""
    points = [point for line in series.values() for point in line]
    x = _Axis([p[0] for p in points], LEFT, WIDTH - RIGHT, log_x, x_ticks)
    y = _Axis([p[1] for p in points], HEIGHT - BOTTOM, TOP, log_y)
    parts = _frame(title, x_label, y_label)
    for tick in x.ticks:
        parts.append(f'<line x1="{x.at(tick):.1f}" y1="{TOP}" x2="{x.at(tick):.1f}" y2="{HEIGHT - BOTTOM}" stroke="#dddddd"/>')
        parts.append(_text(x.at(tick), HEIGHT - BOTTOM + 18, short(tick)))
    for tick in y.ticks:
        parts.append(f'<line x1="{LEFT}" y1="{y.at(tick):.1f}" x2="{WIDTH - RIGHT}" y2="{y.at(tick):.1f}" stroke="#dddddd"/>')
        parts.append(_text(LEFT - 8, y.at(tick) + 4, short(tick), anchor="end"))
    labels = []
    for (name, line), colour in zip(series.items(), COLOURS):
        path = " ".join(f"{x.at(px):.1f},{y.at(py):.1f}" for px, py in line)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        if len(line) <= 20:
            parts += [f'<circle cx="{x.at(px):.1f}" cy="{y.at(py):.1f}" r="3.5" fill="{colour}"/>' for px, py in line]
        labels.append([y.at(line[-1][1]) + 4, x.at(line[-1][0]), name, colour])
    floor = 0
    for label in sorted(labels):  # beside the end of each line, none over another
        floor = max(label[0], floor + 16)
        parts.append(_text(label[1] + 10, floor, label[2], anchor="start", colour=label[3]))
    return "\n".join(parts + ["</svg>", ""])


def bars(title, unit, rows):
    """`rows`: [(name, value)], the longest for the largest."""
    left, row_height = 250, 30
    height = TOP + row_height * len(rows) + 40
    most = max(value for _, value in rows) or 1
    parts = _frame(title, unit, "", height)
    for i, (name, value) in enumerate(rows):
        top = TOP + i * row_height
        width = value / most * (WIDTH - left - 90)
        colour = COLOURS[0] if name.startswith("heimdall") else "#9aa5b1"
        parts += [_text(left - 10, top + 19, name, anchor="end"), f'<rect x="{left}" y="{top + 4}" width="{width:.1f}" height="{row_height - 8}" fill="{colour}"/>',
                  _text(left + width + 8, top + 19, short(value), anchor="start")]
    return "\n".join(parts + ["</svg>", ""])
