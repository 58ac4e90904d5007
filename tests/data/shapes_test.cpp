#include "data/pictures/shapes.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <numbers>
#include <numeric>

#include "tests/data/files.h"

using namespace mld;
using namespace mld::data;
using namespace mld::test;

namespace {

double area(const Mask& mask) { return std::accumulate(mask.begin(), mask.end(), 0.0); }

Outline box(double left, double top, double right, double bottom) {
  return {{left, top}, {right, top}, {right, bottom}, {left, bottom}};
}

}  // namespace

TEST_CASE("shapes: a pixel is covered as much as the outline goes around it") {
  const Painting painting(4, 6);
  const Mask mask = painting.filled(box(1.5, 1, 4.25, 2.4));
  const auto at = [&mask](std::size_t row, std::size_t column) { return double{mask[row * 6 + column]}; };
  CHECK(at(1, 1) == doctest::Approx(0.5));
  CHECK(at(1, 2) == doctest::Approx(1));
  CHECK(at(1, 4) == doctest::Approx(0.25));
  CHECK(at(2, 3) == doctest::Approx(0.4));
  CHECK(area(mask) == doctest::Approx(2.75 * 1.4));
  CHECK(area(painting.filled(box(-100, -100, 100, 100))) == doctest::Approx(24));
  CHECK(area(painting.filled(box(7, 1, 9, 3))) == 0);
  CHECK(area(painting.filled({})) == 0);
  CHECK(area(painting.filled({{0, 0}, {6, 0}, {0, 4}})) == doctest::Approx(12));
  Outline twice = box(1, 1, 3, 3);  // around a part of it once more
  const Outline again = box(2, 1, 3, 3);
  twice.push_back(twice.front());
  twice.insert(twice.end(), again.begin(), again.end());
  twice.push_back(again.front());
  CHECK(area(painting.filled(twice)) == doctest::Approx(4));
}

TEST_CASE("shapes: curves") {
  const Painting painting(40, 40);
  CHECK(area(painting.filled(ellipse({20, 19}, 15, 8))) ==
        doctest::Approx(std::numbers::pi * 15 * 8).epsilon(0.01));
  const Outline knots = box(5, 5, 30, 20), curve = smooth(knots);
  for (std::size_t k = 0; k < knots.size(); ++k) {
    CHECK(curve[8 * k].x == knots[k].x);
    CHECK(curve[8 * k].y == knots[k].y);
  }
  CHECK(area(painting.filled(curve)) > 25 * 15);  // it bulges
  CHECK(area(painting.stroked({{10, 20}, {30, 20}}, 1)) ==
        doctest::Approx(20 * 2 + std::numbers::pi).epsilon(0.05));
  const Mask glow = painting.glow({20.5, 20.5}, 10, 5);
  CHECK(glow[20 * 40 + 20] == 1);
  CHECK(glow[20 * 40 + 25] == doctest::Approx(0.75 * 0.75));
  CHECK(glow[25 * 40 + 20] == 0);
}

TEST_CASE("shapes: paint covers as its mask and opacity say, from the colour on top to that below") {
  Painting painting(4, 1);
  painting.paint(painting.everything(), {0.2, 0.4, 0.6});
  const Mask lower = painting.filled(box(0, 1, 1, 4)), half = painting.filled(box(0, 0, 0.5, 4));
  painting.paint(both(lower, half), {1, 1, 1}, {0, 0, 0}, 0.5);
  const auto red = [&painting](std::size_t row) { return double{painting.values()[3 * row]}; };
  CHECK(red(0) == doctest::Approx(0.2));
  CHECK(red(1) == doctest::Approx(0.2 + 0.25 * 0.8));
  CHECK(red(2) == doctest::Approx(0.2 + 0.25 * 0.3));
  CHECK(red(3) == doctest::Approx(0.2 - 0.25 * 0.2));
  CHECK(double{painting.values()[3 * 3 + 2]} == doctest::Approx(0.6 - 0.25 * 0.6));
  painting.paint(Mask(4, 0.0F), {1, 1, 1});
  CHECK(red(0) == doctest::Approx(0.2));
}
