#!/usr/bin/env bash
# A report as readers meet it: opened by a headless browser at 1200 and at 400 pixels, light and dark. Every picture
# must have decoded to something that is not one colour, every chart have an extent, every sound a duration; nothing may
# be wider than the page, nothing be fetched. Screenshots are kept in FOLDER if one is named.
# usage: report_browser_test.sh MLDCTL [FOLDER]
# The browser is $MLD_BROWSER, or the first of chromium, google-chrome and firefox on PATH; exit code 77: there is none.
set -u
mldctl=$(realpath "$1")
keep=${2:+$(realpath -m "$2")}
browser=${MLD_BROWSER:-$(command -v chromium chromium-browser google-chrome firefox-esr firefox | head -n 1)}
if [ -z "$browser" ]; then
  echo "skipped: no browser; install chromium or firefox-esr, or name one in MLD_BROWSER"
  exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
unset "${!MLD_@}"

failures=0
fail() {
  failures=$((failures + 1))
  printf 'FAILED: %s\n' "$*"
}

# --- a run ------------------------------------------------------------------------------------------------------

cat >tiny.json <<'JSON'
{
  "stage1": {"steps": 60, "batch": 16, "schedule": "constant"},
  "classifier_training": {"steps": 20, "batch": 16, "schedule": "constant"},
  "modalities": [{"name": "image"}, {"name": "sound", "stage1": {"steps": 20}}, {"name": "trajectory"}],
  "score": {"steps": 100, "batch": 32, "width": 64, "time_dim": 32, "schedule": "constant"},
  "run": {"log_every": 2},
  "sampler": {"steps": 20, "resample": 1}
}
JSON
cat >evaluation.json <<'JSON'
{"samples": 24, "split": "test", "joint": {"coherence": {"value": 0.5, "low95": 0.3, "high95": 0.7, "n": 24},
 "class_share": [0.1, 0.2, 0.3, 0.4], "entropy": 1.28},
 "conditional": [{"given": "image", "target": "sound", "value": 0.9, "low95": 0.8, "high95": 0.95, "n": 24}],
 "quality": [{"given": "image", "target": "sound", "metric": "CFD", "value": 1.5, "extractor": "classifier",
  "dim": 128, "hash": "0123abcd", "real": 24, "distinct": 24, "made": 24, "kid": 0.1, "kid_error": 0.02}],
 "robustness": [{"t": 0, "target": "image", "value": 0.9}, {"t": 0.5, "target": "image", "value": 0.3},
  {"t": 0, "target": "sound", "value": 0.8}, {"t": 0.5, "target": "sound", "value": 0.2}],
 "information": [{"group": "image", "rest": "sound,trajectory", "nats": 2.1, "error": 0.05}],
 "inpainting_gap": [{"given": "image", "t": 0.1, "nats": 0.4, "error": 0.02},
  {"given": "image", "t": 0.5, "nats": 0.9, "error": 0.02}, {"given": "image", "t": 0.9, "nats": 0.2, "error": 0.02}]}
JSON
cat >samplers.json <<'JSON'
{"how": {"samples": 24, "split": "test", "seed": 0}, "samplers": [
 {"schedule": {"method": "em", "steps": 250, "jump": 10, "resample": 10}, "network_calls": 2410, "joint": 0.9,
  "conditional": 0.95, "joint_difference": {"value": 0, "low95": 0, "high95": 0},
  "conditional_difference": {"value": 0, "low95": 0, "high95": 0}, "distance_ratio": 1},
 {"schedule": {"method": "dpm", "steps": 10, "jump": 1, "resample": 1}, "network_calls": 10, "joint": 0.7,
  "conditional": 0.9, "joint_difference": {"value": -0.2, "low95": -0.3, "high95": -0.1},
  "conditional_difference": {"value": -0.05, "low95": -0.1, "high95": 0.01}, "distance_ratio": 1.7},
 {"schedule": {"method": "dpm", "steps": 50, "jump": 1, "resample": 1}, "network_calls": 50, "joint": 0.85,
  "conditional": 0.94, "joint_difference": {"value": -0.05, "low95": -0.1, "high95": 0.01},
  "conditional_difference": {"value": -0.01, "low95": -0.02, "high95": 0.01}, "distance_ratio": 1.1}]}
JSON
{
  "$mldctl" data make digits --out digits --train 64 --test 24 &&
    "$mldctl" train --preset digits --config tiny.json --data digits --out run --device cpu &&
    cp evaluation.json samplers.json run/ &&
    "$mldctl" report run --device cpu
} >out 2>err || { cat err; fail "no report"; exit 1; }
[ "$(cat out)" = run/report.html ] || fail "report prints '$(cat out)'"

# --- what is checked, by a script in a copy of the report ---------------------------------------------------------

cat >check.js <<'JS'
addEventListener('load', async () => {
  const bad = [], all = (what) => [...document.querySelectorAll(what)];
  const wait = (ms) => new Promise((done) => setTimeout(done, ms));
  const blank = (image) => {
    const canvas = document.createElement('canvas');
    canvas.width = image.naturalWidth, canvas.height = image.naturalHeight;
    const context = canvas.getContext('2d');
    context.drawImage(image, 0, 0);
    const pixels = new Uint32Array(context.getImageData(0, 0, canvas.width, canvas.height).data.buffer);
    return pixels.every((pixel) => pixel === pixels[0]);
  };
  for (const image of all('img'))
    if (!image.complete || image.naturalWidth === 0 || image.clientWidth === 0 || !image.alt || blank(image))
      bad.push('picture: ' + image.alt);
  for (const chart of all('svg')) {
    const shape = chart.getBBox(), place = chart.getBoundingClientRect();
    if (!(shape.width > 0 && place.width > 0 && place.height > 0)) bad.push('chart: ' + chart.ariaLabel);
  }
  for (const line of all('svg.chart polyline'))
    if (!(line.getTotalLength() > 10) || getComputedStyle(line).stroke === 'none') bad.push('a curve is not drawn');
  for (const sound of all('audio')) {
    for (let k = 0; k < 100 && sound.readyState < 1 && !sound.error; ++k) await wait(50);
    if (!(sound.duration > 0.5)) bad.push('sound: ' + sound.ariaLabel + ', duration ' + sound.duration);
  }
  for (const section of all('section'))
    if (section.clientHeight < 40) bad.push('section ' + section.id + ' is empty');
  const width = document.documentElement.scrollWidth;
  if (width > innerWidth) bad.push('the page is ' + width + ' wide in a window of ' + innerWidth);
  for (const entry of performance.getEntriesByType('resource'))
    if (!entry.name.startsWith('data:')) bad.push('fetched: ' + entry.name);
  const ground = getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number);
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  if (dark !== ground[0] < 128) bad.push('the background does not follow light and dark');
  const found = all('img').length + ' pictures, ' + all('svg.chart').length + ' charts, ' + all('audio').length + ' sounds, ' +
      all('section').length + ' sections';
  const verdict = innerWidth + ' ' + (dark ? 'dark' : 'light') + ': ' + found +
      bad.map((text) => '; BAD ' + text).join('');
  parent.postMessage(verdict, '*');
});
JS
{
  sed '/<\/body>/,$d' run/report.html
  printf '<script>\n'
  cat check.js
  printf '</script></body></html>\n'
} >checked.html
cat >frames.html <<'HTML'
<!DOCTYPE html><html><head><title>frames</title></head><body style="margin:0">
<iframe id="hold" hidden></iframe>
<script>
  // A frame whose document stays open holds back this page's load, and with it a screenshot that ends the browser.
  const hold = document.getElementById('hold').contentDocument;
  let missing = 2;
  hold.open();
  hold.write('.');
  addEventListener('message', (event) => {
    const line = document.createElement('p');
    line.textContent = 'VERDICT ' + event.data + ' END';
    document.body.append(line);
    if (window.dump) dump(line.textContent + '\n');
    if (--missing === 0) hold.close();
  });
</script>
<iframe src="checked.html" width="1200" height="8000"></iframe><iframe src="checked.html" width="400" height="8000"></iframe>
</body></html>
HTML
for width in 1200 400; do
  printf '<!DOCTYPE html><html><body style="margin:0"><iframe src="run/report.html" width="%d" height="6000" %s>' \
    $width 'style="border:0;display:block"' >page$width.html
  printf '</iframe></body></html>\n' >>page$width.html
done

# --- browsers -----------------------------------------------------------------------------------------------------

# verdicts SCHEME: prints what the page says about itself; shot SCHEME PAGE WIDTH FILE: a screenshot.
case $(basename "$browser") in
  *firefox*)
    profile() {
      local dark=$([ $1 = dark ] && echo 1 || echo 0)
      mkdir -p profile-$1
      printf 'user_pref("%s", %s);\n' browser.dom.window.dump.enabled true ui.systemUsesDarkTheme $dark \
        layout.css.prefers-color-scheme.content-override $((1 - dark)) >profile-$1/user.js
    }
    shot() {
      profile $1
      HOME=$work timeout 120 "$browser" --headless --no-remote --profile "$work/profile-$1" --window-size $3,6000 \
        --screenshot "$work/$4" "file://$work/$2"
    }
    verdicts() { shot $1 frames.html 1700 frames.png; }
    ;;
  *)
    run_browser() {
      local scheme=$1
      shift
      HOME=$work timeout 120 "$browser" --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars \
        --user-data-dir="$work/profile" --blink-settings=preferredColorScheme=$([ $scheme = dark ] && echo 0 || echo 1) \
        "$@"
    }
    shot() { run_browser $1 --window-size=$3,6000 --screenshot="$work/$4" "file://$work/$2"; }
    verdicts() { run_browser $1 --window-size=1700,6000 --virtual-time-budget=20000 --dump-dom "file://$work/frames.html"; }
    ;;
esac

for scheme in light dark; do
  verdicts $scheme >dom 2>browser.err
  sed 's/ END/\n/g; s/VERDICT /\n/g' dom | grep '^[0-9]* [a-z]*: ' >said
  for width in 1200 400; do
    line=$(grep "^$width $scheme: " said)
    echo "${line:-$width $scheme: nothing said}"
    case $line in
      *BAD*) fail "$width $scheme" ;;
      *": 27 pictures, 13 charts, 20 sounds, 7 sections") ;;
      *) fail "$width $scheme: expected 27 pictures, 13 charts, 20 sounds, 7 sections"; tail -n 3 browser.err ;;
    esac
    shot $scheme page$width.html $width $scheme-$width.png >browser.err 2>&1
    # A page of one colour compresses to next to nothing.
    size=$(stat -c %s $scheme-$width.png 2>/dev/null || echo 0)
    [ "$size" -gt 50000 ] || fail "screenshot $scheme-$width.png has $size bytes"
  done
done
if [ -n "$keep" ]; then mkdir -p "$keep" && cp run/report.html ./*-*.png "$keep"/; fi
echo "$(basename "$browser"): $failures failed"
[ $failures = 0 ]
