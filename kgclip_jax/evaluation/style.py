"""The style sheet of the report: light and dark, wide and narrow, with the reader's own fonts."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fbfaf7; --card: #ffffff; --ink: #1d1f24; --soft: #62666f; --rule: #e4e2dc;
  --accent: #2458c6; --band: #2458c626; --right: #1c7f4f; --right-wash: #1c7f4f14;
  --chance: #c4452d; --blind: #a9a69d;
  --s0: #2458c6; --s1: #c06a00; --s2: #1c7f4f; --s3: #8a3fb0; --s4: #00808a; --s5: #a83358;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14161a; --card: #1c1f25; --ink: #e9e8e4; --soft: #9a9da6; --rule: #2d3138;
    --accent: #82a8ff; --band: #82a8ff30; --right: #5fce97; --right-wash: #5fce971c;
    --chance: #ff8a70; --blind: #63666e;
    --s0: #82a8ff; --s1: #f0a850; --s2: #5fce97; --s3: #cf9bea; --s4: #5cc8d0; --s5: #f08ba8;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
main { max-width: 1040px; margin: 0 auto; padding: 56px 24px 96px; }
h1 { font-size: 2.1rem; line-height: 1.15; letter-spacing: -0.02em; margin: 0 0 6px; }
h2 { font-size: 1.3rem; letter-spacing: -0.01em; margin: 56px 0 6px; }
h3 { font-size: 0.95rem; margin: 0; }
p { margin: 0 0 16px; max-width: 72ch; }
.soft, figcaption { color: var(--soft); font-size: 0.9rem; }
.number { font-variant-numeric: tabular-nums; }
.charts {
  display: grid; gap: 18px;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 360px), 1fr));
}
.card {
  background: var(--card); border: 1px solid var(--rule); border-radius: 12px; padding: 18px 20px;
}
.chart { margin: 0; }
.chart header { display: flex; justify-content: space-between; align-items: baseline; }
.chart .last { font-size: 1.35rem; font-weight: 600; letter-spacing: -0.01em; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg .grid { stroke: var(--rule); stroke-width: 1; }
svg .tick { fill: var(--soft); font-size: 11px; font-variant-numeric: tabular-nums; }
svg .band { fill: var(--band); }
svg .line { fill: none; stroke: var(--accent); stroke-width: 2; stroke-linejoin: round; }
svg .end { fill: var(--accent); }
svg .hover circle { fill: var(--accent); opacity: 0; }
svg .hover circle:hover { opacity: 1; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 0.93rem; }
th, td { padding: 7px 14px 7px 0; text-align: left; white-space: nowrap; }
th { color: var(--soft); font-weight: 500; font-size: 0.82rem; }
tbody td { border-top: 1px solid var(--rule); }
td.number, th.number { text-align: right; }
td.figure { width: 34%; min-width: 140px; }
td.value { font-weight: 600; }
tr.blind td { color: var(--soft); font-weight: 400; border-top-color: transparent; }
tr.set th { padding-top: 26px; color: var(--ink); font-size: 1rem; font-weight: 600; }
tr.set small { color: var(--soft); font-weight: 500; padding-left: 8px; }
svg.bar { height: 14px; }
svg.bar .track { fill: var(--rule); }
svg.bar .fill { fill: var(--accent); opacity: 0.75; }
svg.bar .blind { fill: var(--blind); }
svg.bar line { vector-effect: non-scaling-stroke; }
svg.bar .whisker { stroke: var(--ink); stroke-width: 1.5; }
svg.bar .chance { stroke: var(--chance); stroke-width: 2; }
.s0 { --series: var(--s0); } .s1 { --series: var(--s1); } .s2 { --series: var(--s2); }
.s3 { --series: var(--s3); } .s4 { --series: var(--s4); } .s5 { --series: var(--s5); }
svg .bundle .line { stroke: var(--series); stroke-width: 1.5; }
svg .measure { fill: var(--ink); font-size: 12px; }
svg .lane line { stroke: var(--series); stroke-width: 2; }
svg .lane circle { fill: var(--series); }
svg .lane circle.blind { fill: none; stroke: var(--series); stroke-width: 1.5; }
svg line.chance { stroke: var(--chance); stroke-width: 2; }
.legend { display: flex; flex-wrap: wrap; gap: 6px 20px; margin: 8px 0 16px; }
.legend span::before {
  content: ""; display: inline-block; width: 11px; height: 11px; border-radius: 50%;
  margin-right: 7px; background: var(--series);
}
td.better { color: var(--right); font-weight: 600; }
td.worse { color: var(--chance); font-weight: 600; }
.example { margin: 14px 0 0; }
.example blockquote { margin: 0 0 12px; font-size: 1.05rem; overflow-wrap: anywhere; }
.pictures {
  display: grid; gap: 12px;
  grid-template-columns: repeat(auto-fill, minmax(clamp(88px, 14%, 160px), 1fr));
}
.pictures figure { margin: 0; }
.pictures figcaption { font-size: 0.8rem; margin-top: 4px; }
img {
  display: block; width: 100%; aspect-ratio: 1; object-fit: contain; border-radius: 8px;
  border: 3px solid transparent;
}
.right img { border-color: var(--right); }
.right figcaption, li.right .rank { color: var(--right); font-weight: 600; }
.described { display: grid; gap: 20px; grid-template-columns: minmax(96px, 150px) 1fr; }
.described ol { list-style: none; margin: 0; padding: 0; }
.described li { display: flex; gap: 12px; padding: 4px 10px; border-radius: 6px; }
.described li.right { background: var(--right-wash); }
.described li span { overflow-wrap: anywhere; min-width: 0; }
.described .rank { flex: none; width: 4.2em; color: var(--soft); }
pre {
  margin: 0 0 16px; padding: 14px 16px; border-radius: 10px; border: 1px solid var(--rule);
  background: var(--card); overflow-x: auto; font-size: 0.85rem; line-height: 1.5;
}
pre, code { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
summary { cursor: pointer; margin-bottom: 12px; color: var(--soft); }
@media (max-width: 560px) {
  main { padding: 32px 16px 64px; }
  .described { grid-template-columns: 1fr; }
  .described > img { max-width: 150px; }
}
@media print { .card, pre { break-inside: avoid; } }
"""
