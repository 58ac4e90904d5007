// The smallest parts of a report: markup and charts.
#include "mld/report/chart.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "mld/report/html.h"
#include "tests/mld/report/report_reader.h"

namespace mld::report {

using mld::test::contains, mld::test::Document, mld::test::Element, mld::test::decoded, mld::test::polylines,
    mld::test::unescape;

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
  mld::test::error_of(ErrorKind::internal, [&] { table.row({"one cell"}); });
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
  mld::test::error_of(ErrorKind::internal, [] { log_axis(0, 1); });
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

}  // namespace mld::report
