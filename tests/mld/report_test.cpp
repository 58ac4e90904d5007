// The report of a run, from its smallest parts to the whole document.
#include "mld/report/report.h"

#include <doctest/doctest.h>
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <set>

#include "data/digits.h"
#include "data/import.h"
#include "mld/report/chart.h"
#include "mld/report/evaluation_tables.h"
#include "mld/report/html.h"
#include "mld/report/pictures.h"
#include "mld/report/sampler_tables.h"
#include "mld/run_files.h"
#include "mld/train.h"
#include "tests/expect_error.h"
#include "tests/temp_folder.h"

namespace mld::report {
namespace {

namespace fs = std::filesystem;
using mld_test::contains;

struct Element {
  std::string name;
  std::map<std::string, std::string> attributes;
  std::string text;  // of its own, without that of elements inside
};

std::string unescape(std::string text) {
  for (const auto& [entity, plain] : std::map<std::string, std::string>{
           {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&#39;", "'"}, {"&amp;", "&"}})
    for (std::size_t at = 0; (at = text.find(entity, at)) != std::string::npos; at += plain.size())
      text.replace(at, entity.size(), plain);
  return text;
}

// A strict reader of what reports are written in: every element closed in its order, attributes in double
// quotes and never twice, no stray < or &.
class Document {
 public:
  explicit Document(const std::string& text) : text_(text) {
    REQUIRE(text_.starts_with("<!DOCTYPE html>\n"));
    at_ = text_.find('\n') + 1;
    std::vector<std::size_t> open;
    while (at_ < text_.size()) {
      if (text_[at_] == '<')
        tag(open);
      else
        words(open);
    }
    CHECK(open.empty());
  }

  std::vector<Element> all(const std::string& name) const {
    std::vector<Element> found;
    std::ranges::copy_if(elements_, std::back_inserter(found),
                         [&](const Element& e) { return e.name == name; });
    return found;
  }
  bool has(const std::string& name, const std::string& text) const {
    return std::ranges::any_of(all(name), [&](const Element& e) { return contains(e.text, text); });
  }
  const std::vector<Element>& elements() const { return elements_; }

 private:
  void words(const std::vector<std::size_t>& open) {
    const std::size_t end = std::min(text_.find('<', at_), text_.size());
    const std::string words = text_.substr(at_, end - at_);
    for (std::size_t i = 0; (i = words.find('&', i)) != std::string::npos; ++i)
      CHECK_MESSAGE(std::min(words.find(';', i), i + 7) < i + 7, words.substr(i, 20));
    if (!open.empty()) elements_[open.back()].text += unescape(words);
    at_ = end;
  }

  void tag(std::vector<std::size_t>& open) {
    const std::size_t end = text_.find('>', at_);
    REQUIRE(end != std::string::npos);
    std::string inside = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    CHECK(inside.find('<') == std::string::npos);
    if (inside.starts_with('/')) {
      REQUIRE(!open.empty());
      REQUIRE(elements_[open.back()].name == inside.substr(1));
      open.pop_back();
      return;
    }
    const bool empty = inside.ends_with('/');
    if (empty) inside.pop_back();
    Element element;
    std::size_t i = std::min(inside.find(' '), inside.size());
    element.name = inside.substr(0, i);
    while (i < inside.size()) {
      ++i;
      const std::size_t equals = inside.find("=\"", i), quote = inside.find('"', equals + 2);
      REQUIRE(quote != std::string::npos);
      const bool fresh =
          element.attributes
              .emplace(inside.substr(i, equals - i), unescape(inside.substr(equals + 2, quote - equals - 2)))
              .second;
      CHECK(fresh);
      i = quote + 1;
      REQUIRE((i == inside.size() || inside[i] == ' '));
    }
    elements_.push_back(element);
    if (!empty) open.push_back(elements_.size() - 1);
  }

  const std::string& text_;
  std::size_t at_ = 0;
  std::vector<Element> elements_;
};

std::string decoded(const std::string& uri, const std::string& type) {
  const std::string head = "data:" + type + ";base64,";
  REQUIRE(uri.starts_with(head));
  const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  REQUIRE((uri.size() - head.size()) % 4 == 0);
  std::string out;
  std::uint32_t group = 0;
  int bits = 0;
  for (std::size_t i = head.size(); i < uri.size() && uri[i] != '='; ++i) {
    const std::size_t digit = digits.find(uri[i]);
    REQUIRE(digit != std::string::npos);
    group = group << 6U | static_cast<std::uint32_t>(digit);
    bits += 6;
    if (bits >= 8) out += static_cast<char>(group >> (bits -= 8) & 255U);
  }
  return out;
}

std::uint32_t big(const std::string& bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t k = 0; k < 4; ++k) value = value << 8U | static_cast<unsigned char>(bytes[at + k]);
  return value;
}

// Width and height of a PNG whose checksums are right and whose rows unpack to the size they should have.
std::pair<std::uint32_t, std::uint32_t> png_size(const std::string& png) {
  REQUIRE(png.starts_with("\x89PNG\r\n\x1a\n"));
  const std::uint32_t width = big(png, 16), height = big(png, 20);
  for (std::size_t at = 8; at < png.size();) {
    const std::uint32_t length = big(png, at);
    REQUIRE(at + 12 + length <= png.size());
    CHECK(big(png, at + 8 + length) ==
          ::crc32(0, reinterpret_cast<const Bytef*>(png.data()) + at + 4, length + 4));
    if (png.substr(at + 4, 4) == "IDAT") {
      uLongf size = uLongf{height} * (3 * width + 1);
      std::vector<Bytef> rows(size);
      CHECK(uncompress(rows.data(), &size, reinterpret_cast<const Bytef*>(png.data()) + at + 8, length) ==
            Z_OK);
      CHECK(size == rows.size());
    }
    at += 12 + length;
  }
  return {width, height};
}

// The points of every polyline.
std::vector<std::vector<std::pair<double, double>>> polylines(const std::string& svg) {
  std::vector<std::vector<std::pair<double, double>>> lines;
  const std::string text = "<!DOCTYPE html>\n" + svg;
  for (const Element& e : Document(text).all("polyline")) {
    lines.emplace_back();
    std::string points = e.attributes.at("points");
    std::ranges::replace(points, ',', ' ');
    std::istringstream in(points);
    for (double x, y; in >> x >> y;) lines.back().emplace_back(x, y);
  }
  return lines;
}

}  // namespace

TEST_CASE("html: text cannot become markup") {
  CHECK(escape("a<b> & \"c\" 'd'") == "a&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;");
  CHECK(escape("ä 日\n\t") == "ä 日\n\t");
  CHECK(escape(std::string_view("\0\x1b\x7f", 3)) == "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
  CHECK(unescape(escape("</pre><script>&amp;")) == "</pre><script>&amp;");
  const std::string evil = "</style><img src=x onerror=y>";
  const std::string page_text =
      page(evil, evil,
           {{"one", evil,
             paragraph(evil) + remark(evil) + heading(evil) + folded(evil, preformatted(evil)) +
                 figure(evil, "") + facts({{evil, evil}})},
            {"none", "Left out", ""}});
  const Document document(page_text);
  CHECK(document.all("img").empty());
  CHECK(document.all("section").size() == 1);
  CHECK(document.has("h1", evil));
  CHECK(document.has("pre", evil));
}

TEST_CASE("html: base64 of every length") {
  const auto encoded = [](const std::string& text) {
    return data_uri("a/b", std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
  };
  CHECK(encoded("") == "data:a/b;base64,");
  CHECK(encoded("f") == "data:a/b;base64,Zg==");  // RFC 4648, section 10
  CHECK(encoded("fo") == "data:a/b;base64,Zm8=");
  CHECK(encoded("foo") == "data:a/b;base64,Zm9v");
  CHECK(encoded("foobar") == "data:a/b;base64,Zm9vYmFy");
  CHECK(encoded("\xff\xfe\xfd") == "data:a/b;base64,//79");
}

TEST_CASE("html: numbers and tables") {
  CHECK(number(0.00123456) == "0.00123");
  CHECK(number(std::nan("")) == "–");
  CHECK(fixed(97, 1) == "97.0");
  CHECK(percent(0.97125) == "97.1 %");
  CHECK(percent(std::numeric_limits<double>::infinity()) == "–");
  Table table("a < b", {{"name"}, {"value", true}});
  CHECK(table.str().empty());
  table.row({"x & y", Table::Cell::html("<b>1</b>")});
  CHECK(contains(table.str(), "<th scope=\"row\">x &amp; y</th><td class=\"n\"><b>1</b></td>"));
  CHECK(contains(table.str(), "<caption>a &lt; b</caption>"));
  mld_test::error_of(ErrorKind::internal, [&] { table.row({"one cell"}); });
}

TEST_CASE("chart: linear axes end at round ticks") {
  const Axis axis = linear_axis(0.13, 0.58, 4);
  CHECK(axis.low == doctest::Approx(0));
  CHECK(axis.high == doctest::Approx(0.6));
  REQUIRE(axis.ticks.size() == 4);
  for (std::size_t k = 0; k < 4; ++k) CHECK(axis.ticks[k] == doctest::Approx(0.2 * static_cast<double>(k)));
  CHECK(axis.position(0.3) == doctest::Approx(0.5));
  CHECK(axis.position(-1) == 0);
  CHECK(axis.position(9) == 1);
  const Axis steps = linear_axis(0, 20000, 5);
  CHECK(steps.ticks.size() == 5);
  CHECK(tick_label(steps.ticks.back()) == "20k");
  CHECK(tick_label(0) == "0");
  CHECK(tick_label(2.5e6) == "2.5M");
  CHECK(tick_label(0.05) == "0.05");
  CHECK(tick_label(1e-5) == "1e-05");
  for (const double value : {0.0, 5.0, -3.0}) {  // a constant gets an axis with room either side
    const Axis flat = linear_axis(value, value, 4);
    CHECK(flat.low < value);
    CHECK(flat.high > value);
  }
}

TEST_CASE("chart: logarithmic axes") {
  const Axis axis = log_axis(0.01, 100);
  CHECK(axis.position(0.01) == doctest::Approx(0));
  CHECK(axis.position(1) == doctest::Approx(0.5));
  CHECK(axis.position(10) == doctest::Approx(0.75));
  CHECK(axis.ticks.size() >= 4);
  const Axis narrow = log_axis(2, 60);
  for (const double tick : narrow.ticks) {
    CHECK(tick >= 2);
    CHECK(tick <= 60);
  }
  CHECK(narrow.ticks.size() >= 4);
  CHECK(log_axis(3, 3).position(3) == doctest::Approx(0.5));
  mld_test::error_of(ErrorKind::internal, [] { log_axis(0, 1); });
}

TEST_CASE("chart: a line stands where its values say") {
  const std::string linear = line_chart(
      {.description = "d", .x_label = "x", .y_label = "y", .series = {{"one", {0, 50, 100}, {0, 2, 4}}}});
  const auto line = polylines(linear);
  REQUIRE(line.size() == 1);
  REQUIRE(line[0].size() == 3);
  CHECK(line[0][0].first == doctest::Approx(kPlotLeft));
  CHECK(line[0][0].second == doctest::Approx(kPlotBottom));
  CHECK(line[0][1].first == doctest::Approx((kPlotLeft + kPlotRight) / 2));
  CHECK(line[0][1].second == doctest::Approx((kPlotTop + kPlotBottom) / 2));
  CHECK(line[0][2].first == doctest::Approx(kPlotRight));
  CHECK(line[0][2].second == doctest::Approx(kPlotTop));

  // Three decades: logarithmic, so equal factors are equal distances.
  const auto steep = polylines(line_chart(
      {.description = "", .x_label = "", .y_label = "", .series = {{"", {1, 2, 3, 4}, {1, 10, 100, 1000}}}}));
  REQUIRE(steep.size() == 1);
  const double step = steep[0][0].second - steep[0][1].second;
  CHECK(step == doctest::Approx((kPlotBottom - kPlotTop) / 3).epsilon(1e-3));
  CHECK(steep[0][1].second - steep[0][2].second == doctest::Approx(step).epsilon(1e-3));
  CHECK(steep[0][2].second - steep[0][3].second == doctest::Approx(step).epsilon(1e-3));
}

TEST_CASE("chart: a logarithmic x axis, and a dot at every point") {
  const std::string chart = line_chart({.description = "",
                                        .x_label = "",
                                        .y_label = "",
                                        .series = {{"a", {10, 100, 1000}, {1, 2, 3}}, {"b", {10}, {2}}},
                                        .logarithmic_x = true,
                                        .marks = true});
  const auto line = polylines(chart);
  REQUIRE(line[0].size() == 3);
  CHECK(line[0][0].first == doctest::Approx(kPlotLeft));
  CHECK(line[0][1].first == doctest::Approx((kPlotLeft + kPlotRight) / 2).epsilon(1e-4));
  CHECK(line[0][2].first == doctest::Approx(kPlotRight));
  const std::string text = "<!DOCTYPE html>\n" + chart;
  CHECK(Document(text).all("circle").size() == 4);
}

TEST_CASE("chart: gaps, single points, no points, several series") {
  const double none = std::nan("");
  const std::string chart = line_chart(
      {.description = "a \"quoted\" one",
       .x_label = "",
       .y_label = "",
       .series = {{"<first>", {0, 1, 2, 3, 4, 5}, {1, 2, none, 4, none, 6}}, {"second", {0, 5}, {1, 1}}}});
  const auto lines = polylines(chart);
  CHECK(lines.size() == 2 + 2);  // 1-2 and the second series, and two in the legend
  CHECK(lines[0].size() == 2);
  const std::string text = "<!DOCTYPE html>\n" + chart;
  const Document document(text);
  CHECK(document.all("circle").size() == 2);  // at 3 and at 5
  CHECK(document.has("li", "<first>"));
  CHECK(document.all("svg")[0].attributes.at("aria-label") == "a \"quoted\" one");
  CHECK(
      polylines(line_chart({.description = "", .x_label = "", .y_label = "", .series = {{"", {1}, {none}}}}))
          .empty());
}

TEST_CASE("chart: bars") {
  const std::string bar = "<!DOCTYPE html>\n" + interval_bar(0.25, 0.2, 0.3);
  const Document document(bar);
  CHECK(document.all("rect")[1].attributes.at("width") == "25.00");
  CHECK(document.all("line")[0].attributes.at("x1") == "20.00");
  CHECK(document.all("line")[0].attributes.at("x2") == "30.00");
  CHECK(document.all("svg")[0].attributes.at("aria-label") == "25.0 %, from 20.0 % to 30.0 %");
  CHECK(interval_bar(std::nan(""), 0, 1).empty());
  CHECK(!contains(interval_bar(0.5, std::nan(""), std::nan("")), "<line"));

  const std::string columns = "<!DOCTYPE html>\n" + column_chart("shares", {0.5, 0.25, 0.25, 0});
  const auto rects = Document(columns).all("rect");
  REQUIRE(rects.size() == 4);
  CHECK(std::stod(rects[0].attributes.at("height")) ==
        doctest::Approx(2 * std::stod(rects[1].attributes.at("height"))));
  CHECK(rects[3].attributes.at("height") == "0.00");
}

namespace {

data::Modality modality(const std::string& name, data::ModalityKind kind, const Shape& shape) {
  data::Modality info;
  info.name = name;
  info.kind = kind;
  info.shape = shape;
  return info;
}

}  // namespace

TEST_CASE("pictures: sides, words, strips of colour, several rows") {
  const data::Modality image = modality("image", data::ModalityKind::image, {28, 28, 1});
  const auto side = [&](std::vector<Shape> shapes) {
    std::vector<data::Modality> infos;
    for (const Shape& shape : shapes) {
      infos.push_back(image);
      infos.back().shape = shape;
    }
    return Gallery(infos, std::vector<std::vector<std::string>>(infos.size())).side();
  };
  CHECK(side({{28, 28, 1}}) == 112);
  CHECK(side({{28, 28, 1}, {32, 32, 3}}) == 224);
  CHECK(side({{64, 64, 3}}) == 128);
  CHECK(side({{97, 97, 3}}) == 194);
  CHECK(side({{500, 400, 3}}) == 168);

  const data::Modality caption = modality("caption", data::ModalityKind::tokens, {2});
  data::Modality plain = modality("plain", data::ModalityKind::vector, {4});
  plain.range = {-1, 1};
  const Gallery gallery({caption, plain}, {{"a", "<b>"}, {}});
  const std::vector<float> tokens{0, 1, 2, 0}, numbers(10 * 4, 0.5F);
  const Strip text{.info = &caption, .values = tokens, .given = true};
  const std::string html = "<!DOCTYPE html>\n" + gallery.strips(std::span(&text, 1), 2);
  const Document words(html);
  CHECK(words.has("li", "a <b>"));
  CHECK(words.has("li", "2 a"));  // 2 has no word
  CHECK(words.has("span", "given"));
  const Strip colours{.info = &plain, .values = numbers, .what = "made \"up\""};
  const std::string strips = "<!DOCTYPE html>\n" + gallery.strips(std::span(&colours, 1), 10);
  const auto images = Document(strips).all("img");
  REQUIRE(images.size() == 2);
  CHECK(images[0].attributes.at("alt") == "8 samples of plain, made \"up\"");
  CHECK(images[1].attributes.at("alt") == "2 samples of plain, made \"up\"");
  CHECK(images[0].attributes.at("width") == images[1].attributes.at("width"));
  CHECK(gallery.players(colours, 10, 4, 0).empty());
}

TEST_CASE("which sets are shown, and how a schedule is shortened") {
  CHECK(shown_subsets(2) == std::vector<Subset>{0, 1, 2});
  CHECK(shown_subsets(3).size() == 7);
  CHECK(shown_subsets(5).size() == 31);
  const std::vector<Subset> many = shown_subsets(6);
  CHECK(many.size() == 13);
  CHECK(many.front() == 0);
  CHECK(many[1] == 1);
  CHECK(many.back() == 0b111110);

  const auto short_one = [](int levels, int jump, int resample, std::size_t walks) {
    return shortened({.sampler = {.schedule = {levels, jump, resample}}}, walks).sampler.schedule;
  };
  CHECK(short_one(250, 10, 10, 2).resample == 10);  // 2 x 2410 calls
  CHECK(short_one(250, 10, 10, 7).resample == 1);
  CHECK(short_one(250, 10, 10, 7).levels == 250);
  CHECK(short_one(1000, 10, 10, 31).levels == 125);
  CHECK(short_one(1000, 900, 10, 100000).levels == 20);
}

namespace {

constexpr const char* kEvaluation = R"({
 "run": {"kind": "mld", "config_hash": "0123456789abcdef", "parameters": 123},
 "split": "test", "samples": 1000, "seed": 5, "weights": "ema", "network_calls": 250,
 "schedule": {"method": "em", "steps": 250, "jump": 10, "resample": 1},
 "modalities": ["image", "sound"], "classifier_hash": {"image": "89abcdef"},
 "classifier": [{"given": "image", "target": "image", "value": 0.98, "low95": 0.97, "high95": 0.99, "n": 1000}],
 "autoencoder": [{"given": "image", "target": "image", "value": 0.96, "low95": 0.95, "high95": 0.97, "n": 1000}],
 "joint": {"coherence": {"value": 0.905, "low95": 0.885, "high95": 0.922, "n": 1000},
           "class_share": [0.5, 0.3, 0.2], "entropy": 1.0297},
 "conditional": [{"given": "image,trajectory", "target": "sound", "value": 0.75, "low95": 0.7, "high95": 0.8,
                  "n": 900}],
 "leave_one_out": [{"size": 1, "value": 0.625}],
 "quality": [{"given": "", "target": "image", "metric": "CFD", "value": 1.25, "low95": 1.125, "high95": 1.5,
              "kid": 0.0125, "kid_error": 0.0025, "real_halves": 0.375, "dim": 320, "real": 1000,
              "distinct": 999, "made": 998, "extractor": "classifier", "hash": "fedcba98"}],
 "clip_score": [{"how": "real", "value": 0.7, "error": 0.003, "n": 1000}],
 "diversity": [{"given": "image", "target": "sound", "ratio": 0.4375, "draws": 10, "conditions": 100}],
 "memorisation": [{"target": "image", "generated": 1.5, "real": 1.625, "closer": 0.0125, "n": 1000}],
 "information": [{"group": "image", "rest": "sound,trajectory", "nats": 2.0625, "error": 0.05}],
 "inpainting_gap": [{"given": "image", "t": 0.25, "nats": 0.8125, "error": 0.0625},
                    {"given": "image", "t": 0.75, "nats": 0.125, "error": 0.0075},
                    {"given": "image,sound", "t": 0.25, "nats": 0.9375, "error": 0.085}],
 "robustness": [{"t": 0.05, "target": "image", "value": 0.97}, {"t": 0.5, "target": "image", "value": 0.6},
                {"t": 0.05, "target": "sound", "value": 0.9}, {"t": 0.5, "target": "sound", "value": 0.5}],
 "pen_image_agreement": [{"how": "joint", "mean": 0.65, "error": 0.01, "n": 1000}],
 "notes": ["KID leads: <2048 items"], "seconds": 33.0
})";

}  // namespace

TEST_CASE("evaluation: every number is shown with how it was made") {
  const std::string html = "<!DOCTYPE html>\n" + evaluation_tables(kEvaluation, "evaluation.json");
  const Document document(html);
  for (const std::string cell : {"75.0 %",        "70.0 … 80.0",   "90.5 %",
                                 "88.5 … 92.2",   "62.5 %",        "CFD",
                                 "1.125 … 1.5",   "0.375",         "0.0125 ± 0.0025",
                                 "1000 (999)",    "998",           "classifier, 320, fedcba98",
                                 "0.438",         "1.62",          "1.2 %",
                                 "2.06 ± 0.05",   "0.812 ± 0.062", "0.125 ± 0.0075",
                                 "0.938 ± 0.085", "0.65 ± 0.01",   "0.7 ± 0.003"})
    CHECK_MESSAGE(document.has("td", cell), cell);
  for (const std::string cell : {"image, trajectory", "nothing (joint)", "itself (decode of encode)",
                                 "real items", "0.25", "0.75", "Given image", "Given image, sound"})
    CHECK_MESSAGE(document.has("th", cell), cell);
  for (const std::string value : {"1000 of split test", "5", "em, 250 levels, no jumps", "averaged (EMA)",
                                  "0123456789abcdef", "89abcdef", "33"})
    CHECK_MESSAGE(document.has("dd", value), value);
  CHECK(document.has("li", "KID leads: <2048 items"));
  CHECK(document.has("figcaption", "entropy 1.03 of 1.099 nats"));
  CHECK(document.all("rect").size() == 2 * 4 + 3);          // four coherences, three classes
  CHECK(document.all("polyline").size() == 2 + 2 + 1 + 2);  // robustness, gap: curves of two points, legends
}

TEST_CASE("evaluation: what is absent or of another type is left out, what is no evaluation refused") {
  CHECK(!contains(evaluation_tables("{}", ""), "<table"));
  const std::string odd =
      "<!DOCTYPE html>\n" +
      evaluation_tables(R"({"joint": 3, "conditional": {"a": 1}, "quality": [7, null, {"value": "x"}],
                            "robustness": [{"t": null, "target": "image"}],
                            "inpainting_gap": [{"t": null, "given": 1}, {"t": 0.5, "nats": "x"}, 3], "classifier": [{}],
                            "schedule": [], "notes": [1]})",
                        "");
  CHECK(Document(odd).all("tr").size() == 1 + 3 + 1 + 1);  // quality, gap
  CHECK(contains(mld_test::error_of(ErrorKind::data, [] { evaluation_tables("[1]", "a.json"); }), "a.json"));
  mld_test::error_of(ErrorKind::data, [] { evaluation_tables("{", "a.json"); });
}

namespace {

constexpr const char* kSamplers = R"({"how": {"samples": 2000, "split": "test", "seed": 4},
 "samplers": [
  {"schedule": {"method": "em", "steps": 250, "jump": 10, "resample": 10}, "network_calls": 2410, "joint": 0.9125,
   "conditional": 0.95, "joint_difference": {"value": 0, "low95": 0, "high95": 0},
   "conditional_difference": {"value": 0, "low95": 0, "high95": 0}, "distance_ratio": 1},
  {"schedule": {"method": "dpm", "steps": 20, "jump": 1, "resample": 1}, "network_calls": 20, "joint": 0.875,
   "conditional": 0.94, "joint_difference": {"value": -0.0375, "low95": -0.05, "high95": 0.0125},
   "conditional_difference": {"value": -0.01, "low95": -0.02, "high95": 0}, "distance_ratio": 1.25},
  {"schedule": {"method": "dpm_sde", "steps": 10, "jump": 1, "resample": 1, "churn": 3}, "network_calls": 10, "joint": 0.8,
   "conditional": 0.9, "joint_difference": {"value": -0.1125, "low95": -0.2, "high95": -0.1},
   "conditional_difference": {"value": -0.05, "low95": -0.06, "high95": -0.04}, "distance_ratio": 2},
  {"schedule": {"method": "dpm", "steps": 10, "jump": 1, "resample": 1}, "network_calls": 10, "joint": 0.75,
   "conditional": 0.9, "joint_difference": {"value": -0.1625, "low95": -0.2, "high95": -0.1},
   "conditional_difference": {"value": -0.05, "low95": -0.06, "high95": -0.04}, "distance_ratio": 2}]})";

}  // namespace

TEST_CASE("samplers: a row each, and a line for each method in order of its calls") {
  const std::string html = sampler_tables(kSamplers, "samplers.json"), whole = "<!DOCTYPE html>\n" + html;
  const Document document(whole);
  for (const std::string cell : {"2410", "91.2", "87.5", "-3.8 (-5.0 … +1.2)", "-1.0 (-2.0 … +0.0)", "1.25"})
    CHECK_MESSAGE(document.has("td", cell), cell);
  for (const std::string name : {"em 250x10x10", "dpm 20", "dpm 10", "dpm_sde 10 churn 3"})
    CHECK_MESSAGE(document.has("th", name), name);
  CHECK(contains(html, "N = 2000 of split test, seed 4"));
  CHECK(document.has("li", "em with jumps"));
  CHECK(document.has("li", "dpm_sde churn 3"));
  CHECK(document.all("circle").size() == 3 * 4);
  const auto lines = polylines(html);
  REQUIRE(lines[0].size() == 2);  // dpm, though the file has 20 calls before 10
  CHECK(lines[0][0].first < lines[0][1].first);
  CHECK(lines[0][0].second > lines[0][1].second);
  CHECK(contains(mld_test::error_of(ErrorKind::data, [] { sampler_tables("{}", "s.json"); }), "s.json"));
  CHECK(contains(
      mld_test::error_of(ErrorKind::data, [] { sampler_tables(R"({"how":{},"samplers":[{}]})", "s.json"); }),
      "network_calls"));
}

namespace {

// A run on drawn digits: image, sound and pen path.
struct TinyRun {
  mld_test::TempFolder folder;
  fs::path store = folder / "store", run = folder / "run <1>";

  explicit TinyRun(StageChoice stages = StageChoice::all) {
    data::write_digits(data::make_digits({.seed = 3, .train = 40, .test = 24}), store, 3);
    ConfigSources sources;
    sources.preset = "digits";
    sources.settings = {"data.store=" + store.string(),
                        "stage1.steps=4",
                        "modalities.sound.stage1.steps=4",
                        "stage1.batch=16",
                        "classifier_training.steps=4",
                        "classifier_training.batch=16",
                        "score.steps=6",
                        "score.batch=16",
                        "score.width=32",
                        "score.time_dim=16",
                        "run.log_every=2",
                        "run.checkpoint_every=0",
                        "sampler.steps=6",
                        "sampler.jump=2",
                        "sampler.resample=1"};
    REQUIRE(train({.config = resolve_config(sources), .out = run, .stages = stages}, {}) ==
            StageEnd::finished);
  }
};

}  // namespace

TEST_CASE("report: the whole document of a run") {
  const TinyRun tiny;
  mld_test::write_bytes(tiny.run / "evaluation.json", kEvaluation);
  const ReportRequest request{.run = tiny.run, .environment = {{"compiler", "a & b"}}};
  const fs::path file = write_report(request);
  CHECK(file == tiny.run / "report.html");
  const std::string html = mld_test::read_bytes(file);
  const Document document(html);

  std::set<std::string> sections;
  for (const Element& e : document.all("section")) sections.insert(e.attributes.at("id"));
  CHECK(sections == std::set<std::string>{"configuration", "evaluation", "reconstructions", "run", "samples",
                                          "training"});
  CHECK(document.has("title", "digits: mld, preset digits"));
  CHECK(document.has("header", ""));
  CHECK(document.has("p", "run <1>"));
  CHECK(document.has("pre", "\"latent_coordinates\": \"principal\""));
  CHECK(document.has("dd", "a & b"));
  CHECK(document.all("html")[0].attributes.at("lang") == "en");

  // Nothing outside: no script, no address but fragments of the page itself and data.
  CHECK(!contains(html, "http"));
  CHECK(!contains(html, "<script"));
  CHECK(!contains(html, "url("));
  CHECK(!contains(html, "@import"));
  std::set<std::string> ids;
  for (const Element& e : document.elements())
    if (e.attributes.contains("id")) CHECK(ids.insert(e.attributes.at("id")).second);
  for (const Element& e : document.elements()) {
    if (e.attributes.contains("src")) CHECK(e.attributes.at("src").starts_with("data:"));
    if (!e.attributes.contains("href")) continue;
    CHECK(e.attributes.at("href").starts_with("#"));
    CHECK(ids.contains(e.attributes.at("href").substr(1)));
  }

  // Pictures: two strips for each reconstruction, three for each of the seven sets.
  const std::vector<Element> images = document.all("img");
  CHECK(images.size() == 3 * 2 + 7 * 3);
  for (const Element& e : images) {
    const auto [width, height] = png_size(decoded(e.attributes.at("src"), "image/png"));
    CHECK(std::to_string(width) == e.attributes.at("width"));
    CHECK(std::to_string(height) == e.attributes.at("height"));
    CHECK(contains(e.attributes.at("alt"), "8 samples of "));
  }
  const auto badges = document.all("span");
  CHECK(badges.size() == 3 + 3 * 2);  // one given, two given

  // Sounds: two real, two reconstructed, four for each of the four sets that sound is generated from.
  const std::vector<Element> sounds = document.all("audio");
  CHECK(sounds.size() == 4 + 4 * 4);
  for (const Element& e : sounds) {
    const std::string wave = decoded(e.attributes.at("src"), "audio/wav");
    CHECK(wave.starts_with("RIFF"));
    CHECK(wave.size() == 44 + 2 * 16000);
    CHECK(!e.attributes.at("aria-label").empty());
  }

  // Curves: seven stages.
  std::size_t charts = 0;
  for (const Element& e : document.all("svg"))
    if (e.attributes.contains("aria-label"))
      charts += contains(e.attributes.at("aria-label"), "Training loss of ") ? 1 : 0;
  CHECK(charts == 7);
  for (const std::string title : {"Jointly, nothing given", "Given image", "Given sound and trajectory",
                                  "score", "autoencoder/image", "classifier/trajectory"})
    CHECK_MESSAGE(document.has("figcaption", title), title);
  CHECK(document.has("p", "dpm_sde 6 churn 20, 6 network calls"));

  const fs::path again =
      write_report({.run = tiny.run, .out = tiny.folder / "b.html", .environment = request.environment});
  CHECK(mld_test::read_bytes(again) == html);
}

TEST_CASE("report: what a run has not got is left out") {
  const TinyRun tiny(StageChoice::autoencoders);
  const auto made = [&](ReportRequest request = {}) {
    request.run = tiny.run;
    return mld_test::read_bytes(write_report(request));
  };
  const std::string early = made({.samples = 3});
  const Document document(early);
  CHECK(document.all("img").size() == 3 * 2);
  CHECK(contains(document.all("img")[0].attributes.at("alt"), "3 samples"));
  CHECK(document.has("dd", "not trained yet"));
  CHECK(document.has("p", "Not evaluated yet"));

  fs::rename(tiny.store, tiny.folder / "moved");
  const std::string alone = made();
  CHECK(Document(alone).all("img").empty());
  const std::string found = made({.data = tiny.folder / "moved"});
  CHECK(Document(found).all("img").size() == 3 * 2);
  mld_test::error_of(ErrorKind::data, [&] { made({.data = tiny.store}); });

  mld_test::write_bytes(tiny.run / "metrics.jsonl",
                        "{\"stage\":\"score\",\"step\":1,\"loss\":2,\"lr\":1}\n"
                        "{\"stage\":\"score\",\"step\":2,\"loss\":null,\"lr\":1}\n"
                        "{\"stage\":\"score\",\"step\":3,\"loss\":1,\"lr\":1}\n"
                        "7\n{\"stage\":\"score\",\"st");
  const std::string cut = made();
  CHECK(Document(cut).all("circle").size() == 2);  // either side of the step without a loss

  mld_test::error_of(ErrorKind::model, [&] { write_report({.run = tiny.folder / "nowhere"}); });
  mld_test::error_of(ErrorKind::model, [&] { write_report({.run = tiny.folder / "moved"}); });
  mld_test::error_of(ErrorKind::usage, [&] { write_report({.run = tiny.run, .samples = 0}); });
  mld_test::error_of(ErrorKind::io,
                     [&] { write_report({.run = tiny.run, .out = tiny.folder / "no" / "a.html"}); });
  const auto stop = [](const std::string&, std::int64_t, std::int64_t) { return false; };
  CHECK_THROWS_AS(write_report({.run = tiny.run, .data = tiny.folder / "moved"}, stop), Cancelled);
  CHECK(mld_test::read_bytes(tiny.run / "report.html") == cut);  // as it was
}

}  // namespace mld::report
