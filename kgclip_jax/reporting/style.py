"""The style sheet of pages: light and dark, wide and narrow, with the reader's own fonts."""

STYLE = """
:root {
  color-scheme: light dark; --paper: #fbfaf7; --card: #fff; --ink: #1d1f24; --soft: #62666f;
  --rule: #e4e2dc; --right: #1c7f4f; --chance: #c4452d;
  --s0: #2458c6; --s1: #c06a00; --s2: #1c7f4f; --s3: #8a3fb0; --s4: #00808a; --s5: #a83358;
}
@media (prefers-color-scheme: dark) { :root {
  --paper: #14161a; --card: #1c1f25; --ink: #e9e8e4; --soft: #9a9da6;
  --rule: #2d3138; --right: #5fce97; --chance: #ff8a70;
  --s0: #82a8ff; --s1: #f0a850; --s2: #5fce97; --s3: #cf9bea; --s4: #5cc8d0; --s5: #f08ba8;
} }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui; }
main { max-width: 1040px; margin: 0 auto; padding: 5vh 20px; }
h1 { line-height: 1.15; margin: 0 0 6px; overflow-wrap: anywhere; }
h2 { margin: 48px 0 6px; }
h3 { font-size: 0.95rem; margin: 0; }
p { max-width: 72ch; }
.soft, figcaption, summary { color: var(--soft); font-size: 0.9rem; }
.charts, .pictures { display: grid; gap: 14px; }
.charts { grid-template-columns: repeat(auto-fit, minmax(min(100%, 360px), 1fr)); }
.pictures { grid-template-columns: repeat(auto-fill, minmax(100px, 1fr)); }
figure { margin: 0; }
.card, pre {
  margin: 12px 0; padding: 14px 18px; border: 1px solid var(--rule); border-radius: 10px;
  background: var(--card);
}
.chart header { display: flex; justify-content: space-between; }
.s0 { --series: var(--s0); } .s1 { --series: var(--s1); } .s2 { --series: var(--s2); }
.s3 { --series: var(--s3); } .s4 { --series: var(--s4); } .s5 { --series: var(--s5); }
svg { display: block; width: 100%; overflow: visible; }
svg line, svg .line { stroke: var(--series); stroke-width: 2; fill: none; }
svg line.grid { stroke: var(--rule); stroke-width: 1; }
svg line.chance { stroke: var(--chance); }
svg text { fill: var(--soft); font-size: 11px; }
svg circle, svg .band { fill: var(--series); }
svg circle.blind { fill: var(--card); stroke: var(--series); stroke-width: 1.5; }
svg .band { opacity: 0.2; }
svg .hover circle { opacity: 0; }
svg path.line { stroke: var(--rule); }
svg rect { fill: var(--card); stroke: var(--series); stroke-width: 1.5; }
.tree svg text { fill: var(--ink); }
.tree svg > text { fill: var(--soft); }
.tree { overflow-x: auto; }
.tree svg { min-width: 720px; margin: 8px 0; }
svg .hover circle:hover { opacity: 1; }
.scroll, pre { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 0.93rem; }
th, td { padding: 6px 14px 6px 0; white-space: nowrap; font-variant-numeric: tabular-nums; }
th { color: var(--soft); font-weight: 500; }
th, td { text-align: right; }
tr > :first-child { text-align: left; }
td { border-top: 1px solid var(--rule); }
td svg { min-width: 170px; }
tr.set th { padding-top: 22px; color: var(--ink); font-weight: 600; }
tr.blind td { color: var(--soft); border-top-color: transparent; }
.better, .right figcaption, li.right { color: var(--right); font-weight: 600; }
.worse { color: var(--chance); font-weight: 600; }
.legend span { margin-right: 20px; }
.legend span::before { content: "\\25CF  "; color: var(--series); }
blockquote { margin: 0 0 12px; overflow-wrap: anywhere; }
img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain; }
.right img { outline: 3px solid var(--right); }
.described { display: grid; gap: 20px; grid-template-columns: minmax(90px, 150px) 1fr; }
.described ol { list-style: none; margin: 0; padding: 0; overflow-wrap: anywhere; }
pre, code { font: 0.85rem/1.5 ui-monospace, monospace; }
"""
