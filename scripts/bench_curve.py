"""The picture of cost and memory against the number of targets: SVG as text, two panels, both axes
logarithmic, readable on a light and on a dark page."""

import math

WIDTH, HEIGHT = 900, 380
PANEL_WIDTH, PANEL_HEIGHT, TOP = 250, 250, 60
LEFTS = (70, 540)
# A colour for each line on a light page, and on a dark one.
COLOURS = {
    "ringcheck": ("#0969da", "#58a6ff"),
    "HAProxy": ("#cf222e", "#ff7b72"),
    "blackbox_exporter": ("#8250df", "#d2a8ff"),
    "plain epoll": ("#9a6700", "#e3b341"),
    "bare ring": ("#57606a", "#8b949e"),
}


def css_name(name):
    return name.replace(" ", "-").replace("_", "-")


def style():
    rules = ["text{font:13px system-ui,sans-serif;fill:#24292f}.grid{stroke:#d0d7de}"
             ".line{fill:none;stroke-width:2}.title{font-weight:600}"]
    dark = ["text{fill:#e6edf3}.grid{stroke:#30363d}"]
    for name, (light, night) in COLOURS.items():
        for rules_of, colour in ((rules, light), (dark, night)):
            name_of = css_name(name)
            rules_of.append(f".line.{name_of}{{stroke:{colour}}}circle.{name_of},text.{name_of}{{fill:{colour}}}")
    return f"<style>{''.join(rules)}@media (prefers-color-scheme:dark){{{''.join(dark)}}}</style>"


def short(value):
    """1,000 as 1k."""
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


class Panel:
    """Lines over the number of targets, with their names at their ends."""

    def __init__(self, left, title, unit, lines):
        self.left, self.title, self.unit, self.lines = left, title, unit, lines
        xs = [x for line in lines.values() for x, _ in line]
        ys = [y for line in lines.values() for _, y in line]
        self.x_range = decades(xs or [1])
        self.y_range = decades(ys or [1])

    def x(self, value):
        low, high = self.x_range
        return self.left + PANEL_WIDTH * (math.log10(value) - low) / (high - low)

    def y(self, value):
        low, high = self.y_range
        return TOP + PANEL_HEIGHT * (1 - (math.log10(value) - low) / (high - low))

    def draw(self):
        bottom, right = TOP + PANEL_HEIGHT, self.left + PANEL_WIDTH
        yield f'<text class="title" x="{self.left}" y="{TOP - 20}">{self.title}, {self.unit}</text>'
        for power in range(self.x_range[0], self.x_range[1] + 1):
            x = self.x(10**power)
            yield f'<path class="grid" d="M{x:.1f} {TOP}V{bottom}"/>'
            yield f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{short(10**power)}</text>'
        for power in range(self.y_range[0], self.y_range[1] + 1):
            y = self.y(10**power)
            yield f'<path class="grid" d="M{self.left} {y:.1f}H{right}"/>'
            yield f'<text x="{self.left - 8}" y="{y + 4:.1f}" text-anchor="end">{short(10**power)}</text>'
        middle = (self.left + right) / 2
        yield f'<text x="{middle}" y="{bottom + 40}" text-anchor="middle">targets</text>'
        yield from self.draw_lines()

    def draw_lines(self):
        taken = []
        for name, line in sorted(self.lines.items(), key=lambda item: -item[1][-1][1]):
            path = " L".join(f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in line)
            yield f'<path class="line {css_name(name)}" d="M{path}"/>'
            for x, y in line:
                yield (f'<circle class="{css_name(name)}" cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="3">'
                       f"<title>{name}, {x:,} targets: {y:,.1f} {self.unit}</title></circle>")
            # Names from the top down, never one over another.
            x, y = line[-1]
            at = max(self.y(y) + 4, taken[-1] + 15 if taken and x == last_x(self.lines) else 0)
            if x == last_x(self.lines):
                taken.append(at)
            yield f'<text class="{css_name(name)}" x="{self.x(x) + 8:.1f}" y="{at:.1f}">{name}</text>'


def last_x(lines):
    return max(line[-1][0] for line in lines.values())


def decades(values):
    """The powers of ten around the values, two at least."""
    low = math.floor(math.log10(min(values)))
    return low, max(math.ceil(math.log10(max(values))), low + 1)


def draw(points):
    """`points`: of each contender its (targets, microseconds per check, bytes per target or none)."""
    cost = {name: [(x, y) for x, y, _ in line] for name, line in points.items() if line}
    memory = {name: [(x, y) for x, _, y in line if y] for name, line in points.items()}
    memory = {name: line for name, line in memory.items() if line}
    panels = [Panel(LEFTS[0], "CPU per TCP check", "µs", cost),
              Panel(LEFTS[1], "Memory per target", "bytes", memory)]
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
             "<title>Cost of a check and memory of a target by number of targets</title>", style()]
    for panel in panels:
        if not panel.lines:
            continue
        parts += panel.draw()
    return "\n".join(parts + ["</svg>", ""])
