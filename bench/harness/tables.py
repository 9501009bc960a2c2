"""Text of docs/performance.md."""


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows] + [""]


def number(n, digits=0):
    return f"{n:,.{digits}f}"


def megabytes(n):
    return f"{n / 1e6:.1f}"


def significant(value):
    """Three digits."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def rounds_text(n):
    return "one round" if n == 1 else f"median of {n} rounds in turn"
