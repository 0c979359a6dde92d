//! Plots as SVG: bars and lines, with their own background, so that they can be read on light and dark pages.

use std::fmt::Write as _;

use crate::table;

/// Bars with one heading, on a scale of their own.
#[derive(Debug)]
pub(crate) struct Bars {
    pub(crate) heading: String,
    /// Gateway, and its value if it has one.
    pub(crate) bars: Vec<(String, Option<f64>)>,
}

/// Lines with one heading, on a scale of their own.
#[derive(Debug)]
pub(crate) struct Lines {
    pub(crate) heading: String,
    /// Labels below, evenly spaced.
    pub(crate) at: Vec<String>,
    /// Gateway, and its values at those places.
    pub(crate) lines: Vec<(String, Vec<Option<f64>>)>,
}

const WIDTH: f64 = 720.0;
const LEFT: f64 = 90.0;
const RIGHT: f64 = 120.0;
/// The width of what is drawn to scale.
const PLOT: f64 = WIDTH - LEFT - RIGHT;
const ROW: f64 = 24.0;
const LINES: f64 = 190.0;
/// From this ratio of the largest to the smallest value on, scales are logarithmic.
const WIDE: f64 = 25.0;

const STYLE: &str = "\
.bg{fill:#fff}text{font:13px system-ui,sans-serif;fill:#1f2328}.t{font-size:16px;font-weight:600}.h{font-weight:600}.d{fill:#59636e}\
.g{stroke:#d1d9e0;stroke-width:1}.l{fill:none;stroke-width:2.5}\
.direct{color:#9a6700}.floor{color:#7d8590}.nginx{color:#1a7f37}.waypost{color:#0969da}.o0{color:#bc4c00}.o1{color:#8250df}.o2{color:#bf3989}\
.b,.p,text.n{fill:currentColor}.l,.p{stroke:currentColor}\
@media(prefers-color-scheme:dark){.bg{fill:#0d1117}text{fill:#e6edf3}.d{fill:#9198a1}.g{stroke:#3d444d}\
.direct{color:#d29922}.floor{color:#9198a1}.nginx{color:#3fb950}.waypost{color:#58a6ff}.o0{color:#f0883e}.o1{color:#bc8cff}.o2{color:#f778ba}}";

/// A plot of bars, one panel below the other.
pub(crate) fn bars(title: &str, panels: &[Bars]) -> String {
    let mut page = Page::new(title);
    for panel in panels {
        let values: Vec<f64> = panel.bars.iter().filter_map(|(_, value)| *value).collect();
        let Some(scale) = Scale::of(&values, 0.0, PLOT) else {
            continue;
        };
        page.heading(&panel.heading, &scale);
        for (at, (gateway, value)) in panel.bars.iter().enumerate() {
            let middle = page.y + ROW / 2.0;
            page.text(LEFT - 8.0, middle, "end", "", gateway);
            let end = LEFT + value.map_or(0.0, |value| scale.at(value).max(1.0));
            let class = color(gateway, panel.bars.len() - at);
            let top = page.y + 3.0;
            let _ = write!(
                page.body,
                r#"<rect class="b {class}" x="{LEFT}" y="{top}" width="{:.1}" height="{}" rx="2"/>"#,
                end - LEFT,
                ROW - 6.0
            );
            page.text(end + 6.0, middle, "start", "", &table::cell(*value));
            page.y += ROW;
        }
        page.y += 12.0;
    }
    page.end()
}

/// A plot of lines, one panel below the other.
pub(crate) fn lines(title: &str, panels: &[Lines]) -> String {
    let mut page = Page::new(title);
    for panel in panels {
        let all = panel.lines.iter().flat_map(|(_, values)| values);
        let values: Vec<f64> = all.copied().flatten().collect();
        let Some(scale) = Scale::of(&values, LINES, 0.0) else {
            continue;
        };
        page.heading(&panel.heading, &scale);
        page.y += 6.0;
        let x = |at: usize| LEFT + PLOT * at as f64 / (panel.at.len().max(2) - 1) as f64;
        page.grid(&scale);
        for (at, label) in panel.at.iter().enumerate() {
            page.text(x(at), page.y + LINES + 14.0, "middle", "d", label);
        }
        let mut labels = Vec::new();
        for (index, (gateway, values)) in panel.lines.iter().enumerate() {
            let class = color(gateway, panel.lines.len() - index);
            let points: Vec<(f64, f64)> = (0..)
                .zip(values)
                .filter_map(|(at, value)| Some((x(at), page.y + scale.at((*value)?))))
                .collect();
            page.line(&points, class);
            if let Some(last) = points.last() {
                labels.push((last.1, last.0, gateway.as_str(), class));
            }
        }
        page.line_labels(labels);
        page.y += LINES + 38.0;
    }
    page.end()
}

/// Known gateways keep their color; the others, which come last, are told apart by their place from the end, since
/// `direct` is not in every plot.
fn color(gateway: &str, from_end: usize) -> &str {
    match gateway {
        "direct" | "floor" | "nginx" | "waypost" => gateway,
        _ => ["o0", "o1", "o2"][from_end % 3],
    }
}

/// From values to places.
struct Scale {
    lowest: f64,
    highest: f64,
    log: bool,
    /// Where the lowest and the highest value stand.
    from: f64,
    to: f64,
}

impl Scale {
    /// `None` if there is nothing to draw.
    fn of(values: &[f64], from: f64, to: f64) -> Option<Self> {
        let highest = values.iter().copied().reduce(f64::max)?;
        let smallest = values.iter().copied().reduce(f64::min)?;
        let log = smallest > 0.0 && highest / smallest > WIDE;
        let lowest = if log {
            10f64.powf(smallest.log10().floor())
        } else {
            0.0
        };
        Some(Self {
            lowest,
            highest: highest.max(f64::MIN_POSITIVE) * 1.05,
            log,
            from,
            to,
        })
    }

    fn at(&self, value: f64) -> f64 {
        let part = if self.log {
            (value / self.lowest).ln() / (self.highest / self.lowest).ln()
        } else {
            value / self.highest
        };
        self.from + (self.to - self.from) * part
    }

    /// Round values for a grid.
    fn ticks(&self) -> Vec<f64> {
        let (mut tick, mut ticks) = (self.lowest, Vec::new());
        let rough = self.highest / 5.0;
        let decade = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|f| f * decade);
        let step = step.into_iter().find(|s| *s >= rough).unwrap_or(rough);
        while tick <= self.highest {
            ticks.push(tick);
            tick = if self.log { tick * 10.0 } else { tick + step };
        }
        ticks
    }
}

struct Page {
    body: String,
    y: f64,
}

impl Page {
    fn new(title: &str) -> Self {
        let mut page = Self {
            body: String::new(),
            y: 44.0,
        };
        page.text(16.0, 22.0, "start", "t", title);
        page
    }

    fn heading(&mut self, heading: &str, scale: &Scale) {
        let log = if scale.log { " (logarithmic)" } else { "" };
        self.text(
            16.0,
            self.y + 10.0,
            "start",
            "h",
            &format!("{heading}{log}"),
        );
        self.y += 24.0;
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, class: &str, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        let _ = write!(
            self.body,
            r#"<text class="{class}" x="{x:.1}" y="{y:.1}" dy="0.35em" text-anchor="{anchor}">{text}</text>"#
        );
    }

    fn grid(&mut self, scale: &Scale) {
        for tick in scale.ticks() {
            let y = self.y + scale.at(tick);
            let _ = write!(
                self.body,
                r#"<line class="g" x1="{LEFT}" x2="{}" y1="{y:.1}" y2="{y:.1}"/>"#,
                LEFT + PLOT
            );
            self.text(LEFT - 8.0, y, "end", "d", &tick_label(tick));
        }
    }

    fn line(&mut self, points: &[(f64, f64)], class: &str) {
        let path: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        let _ = write!(
            self.body,
            r#"<polyline class="l {class}" points="{}"/>"#,
            path.join(" ")
        );
        for (x, y) in points {
            let _ = write!(
                self.body,
                r#"<circle class="p {class}" cx="{x:.1}" cy="{y:.1}" r="3"/>"#
            );
        }
    }

    /// Names at the ends of lines, apart from one another.
    fn line_labels(&mut self, mut labels: Vec<(f64, f64, &str, &str)>) {
        labels.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut free = f64::NEG_INFINITY;
        for (y, x, name, class) in labels {
            let y = y.max(free);
            self.text(x + 10.0, y, "start", &format!("n {class}"), name);
            free = y + 15.0;
        }
    }

    fn end(self) -> String {
        let (body, height) = (self.body, self.y + 6.0);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\">\
             <style>{STYLE}</style><rect class=\"bg\" width=\"100%\" height=\"100%\" rx=\"6\"/>{body}</svg>\n"
        )
    }
}

/// Round numbers without needless digits.
fn tick_label(tick: f64) -> String {
    let text = table::number(tick);
    match text.split_once('.') {
        Some(_) => text.trim_end_matches('0').trim_end_matches('.').into(),
        None => text,
    }
}
