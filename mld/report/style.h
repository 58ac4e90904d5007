// The style sheet of reports: one column that fits 400 pixels, light and dark, on screen and on paper.
#pragma once

namespace mld::report {

inline constexpr const char* kStyle = R"(
:root { --back: #ffffff; --panel: #f5f6f8; --ink: #1c2126; --soft: #5a6570; --rule: #d5dae0; --mark: #1f5fbf;
  --s0: #1f5fbf; --s1: #c2570c; --s2: #15803d; --s3: #7c3aed; --s4: #be123c; --s5: #57606a; --s6: #0e7490; --s7: #854d0e;
  --whisker: #10243f; }
@media (prefers-color-scheme: dark) {
  :root { --back: #12161b; --panel: #1b2128; --ink: #e4e8ec; --soft: #a0abb6; --rule: #343d47; --mark: #7db1ff;
    --s0: #6aa5fb; --s1: #f59e5b; --s2: #5ec982; --s3: #b596f7; --s4: #fb7c93; --s5: #a0abb6; --s6: #4fc3dc; --s7: #d9b36c;
    --whisker: #eef3fa; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; }
body { margin: 0 auto; padding: 0 1rem 4rem; max-width: 68rem; background: var(--back); color: var(--ink);
  font: 1rem/1.5 system-ui, "Segoe UI", "Liberation Sans", "DejaVu Sans", sans-serif; }
header { padding-top: 1.5rem; }
h1 { font-size: 1.8rem; line-height: 1.2; margin: 0; overflow-wrap: anywhere; }
header p { margin: .3rem 0 .8rem; color: var(--soft); overflow-wrap: anywhere; }
nav ul { display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; list-style: none; margin: 0; padding: .6rem 0;
  border: solid var(--rule); border-width: 1px 0; }
a { color: var(--mark); }
h2 { font-size: 1.3rem; margin: 2.2rem 0 .8rem; }
h3 { font-size: 1.05rem; margin: 1.6rem 0 .5rem; }
p { max-width: 46rem; margin: .5rem 0; }
.remark { color: var(--soft); font-size: .92rem; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 10rem), 1fr)); gap: .5rem 1.5rem; margin: 0; }
dt { color: var(--soft); font-size: .85rem; }
dd { margin: 0; overflow-wrap: anywhere; }
details { margin: .8rem 0; border: 1px solid var(--rule); border-radius: .4rem; padding: .4rem .8rem; }
summary { cursor: pointer; }
pre { overflow-x: auto; font: .82rem/1.45 ui-monospace, "DejaVu Sans Mono", "Liberation Mono", monospace; }
figure { margin: 1.2rem 0; }
figcaption { font-weight: 600; margin-bottom: .3rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); gap: .5rem 1.5rem; }
.charts figure { margin: .4rem 0; }
.charts figcaption { font-size: .92rem; overflow-wrap: anywhere; }
.charts p { font-size: .85rem; margin: 0; }
svg.chart { display: block; width: 100%; max-width: 30rem; height: auto; font-size: 10.5px; }
svg text { fill: var(--soft); paint-order: stroke; stroke: var(--back); stroke-width: 3px; stroke-linejoin: round; }
svg line, svg polyline { fill: none; vector-effect: non-scaling-stroke; }
.grid { stroke: var(--rule); stroke-width: 1; }
.axis { stroke: var(--soft); stroke-width: 1; }
.reference { stroke: var(--ink); stroke-width: 1; stroke-dasharray: 4 3; }
polyline { stroke-width: 1.6; stroke-linejoin: round; }
polyline.s0 { stroke: var(--s0); } circle.s0 { fill: var(--s0); }
polyline.s1 { stroke: var(--s1); stroke-dasharray: 7 3; } circle.s1 { fill: var(--s1); }
polyline.s2 { stroke: var(--s2); stroke-dasharray: 2 2.5; } circle.s2 { fill: var(--s2); }
polyline.s3 { stroke: var(--s3); stroke-dasharray: 9 3 2 3; } circle.s3 { fill: var(--s3); }
polyline.s4 { stroke: var(--s4); stroke-dasharray: 4 4; } circle.s4 { fill: var(--s4); }
polyline.s5 { stroke: var(--s5); stroke-dasharray: 12 4; } circle.s5 { fill: var(--s5); }
polyline.s6 { stroke: var(--s6); stroke-dasharray: 1 4; } circle.s6 { fill: var(--s6); }
polyline.s7 { stroke: var(--s7); stroke-dasharray: 14 2 2 2 2 2; } circle.s7 { fill: var(--s7); }
.bar { fill: var(--s0); }
.track { fill: var(--rule); }
.whisker { stroke: var(--whisker); stroke-width: 1.5; }
svg.interval { display: block; width: 9rem; height: .9rem; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1rem; list-style: none; margin: .2rem 0 0; padding: 0; font-size: .85rem; }
.legend svg { width: 28px; height: 10px; margin-right: .4rem; }
.strip { display: grid; grid-template-columns: 9rem minmax(0, 44rem); gap: .2rem 1rem; align-items: center; margin: .2rem 0; }
.strip .who { text-align: right; color: var(--soft); font-size: .9rem; overflow-wrap: anywhere; }
.strip img { display: block; width: 100%; height: auto; border-radius: .2rem; }
.given .who { color: var(--ink); font-weight: 600; }
.given img { outline: 3px solid var(--mark); outline-offset: 1px; }
.badge { background: var(--mark); color: var(--back); border-radius: .6rem; padding: 0 .5rem; font-size: .78rem; }
.strip ol { margin: 0; padding-left: 1.4rem; font-size: .9rem; }
.players { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 10rem), 1fr)); gap: .4rem; }
.players div { font-size: .8rem; color: var(--soft); }
audio { display: block; width: 100%; height: 2.2rem; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .9rem; min-width: min(100%, 28rem); }
caption { text-align: left; font-weight: 600; padding-bottom: .3rem; }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--rule); vertical-align: middle;
  white-space: nowrap; }
tbody th { font-weight: 400; }
.n { text-align: right; font-variant-numeric: tabular-nums; }
thead th { color: var(--soft); font-weight: 600; font-size: .85rem; white-space: normal; vertical-align: bottom; }
@media (max-width: 42rem) {
  .strip { grid-template-columns: minmax(0, 1fr); margin: .6rem 0; }
  .strip .who { text-align: left; } }
@media print {
  :root { --back: #ffffff; --panel: #ffffff; --ink: #000000; --soft: #444444; --rule: #bbbbbb; --mark: #1f5fbf; --s0: #1f5fbf; }
  body { max-width: none; font-size: 10pt; }
  nav, .players { display: none; }
  figure, tr { break-inside: avoid; }
  h2, h3, caption, figcaption { break-after: avoid; }
  details::details-content { content-visibility: visible; height: auto; }
  .wide { overflow: visible; } }
)";

}  // namespace mld::report
