#include "data/birds/birds_picture.h"

#include <algorithm>
#include <cmath>

#include "data/birds/birds_forms.h"

namespace mld::data {
namespace {

constexpr double kSide = kBirdSide, kMargin = 2.5;  // pixels that stay free around a bird
constexpr Colour kInk{0.10, 0.09, 0.09}, kCream{0.97, 0.93, 0.84};
constexpr std::array<Colour, 8> kPlumage{{{0.80, 0.12, 0.11},
                                          {0.95, 0.48, 0.08},
                                          {0.96, 0.83, 0.15},
                                          {0.20, 0.60, 0.22},
                                          {0.13, 0.33, 0.80},
                                          {0.45, 0.26, 0.13},
                                          {0.58, 0.59, 0.61},
                                          {0.13, 0.13, 0.15}}};
constexpr std::array<Colour, 3> kBills{{{0.30, 0.26, 0.24}, {0.86, 0.62, 0.22}, {0.62, 0.50, 0.42}}};

// Numbers are drawn one a statement or in braces: the order of a function's arguments is the compiler's.
Colour some(Colour a, Colour b, ItemRandom& random) { return mix(a, b, random.uniform()); }

// From the units of the forms to the picture.
struct Placement {
  double across, down, lean, x = 0, y = 0;  // `across` is negative where the bird looks to the left

  Placement(BirdSize size, BirdPose pose, ItemRandom& random) {
    const double scale = size == BirdSize::large ? random.uniform(0.88, 0.94) : random.uniform(0.52, 0.58);
    const double stretch = random.uniform(0.95, 1.05);
    across = scale * stretch * (random.below(2) == 0 ? 1 : -1);
    down = scale / stretch;
    lean = pose == BirdPose::swimming ? random.uniform(-0.03, 0.03) : random.uniform(-0.08, 0.08);
  }
  Point operator()(Point p) const {
    const double norm = std::sqrt(1 + lean * lean);
    return {x + across * (p.x - lean * p.y) / norm, y + down * (p.y + lean * p.x) / norm};
  }
  Outline operator()(Outline outline) const {
    for (Point& p : outline) p = (*this)(p);
    return outline;
  }
  double size() const { return down; }
};

// A bird before it has a place.
struct Bird {
  BirdForm form;
  Outline beak, feet;
  Placement place;
  Colour plumage, bill;

  Bird(const BirdLook& look, ItemRandom& random)
      : form(bird_form(look.pose)), beak(bird_beak(look.beak)), place(look.size, look.pose, random) {
    const Colour pure = kPlumage[static_cast<std::size_t>(look.colour)];
    plumage = shade(pure, random.uniform(0.9, 1.1));
    plumage = mix(plumage, kCream, random.uniform(0, 0.08));
    bill = kBills[random.below(kBills.size())];
    bill = shade(bill, random.uniform(0.85, 1.15));
    for (Point& p : beak) p = {p.x + form.bill.x, p.y + form.bill.y};
    if (look.pose == BirdPose::perched) feet = {{-1, 20}, {6, 20}};
    if (look.pose == BirdPose::flying) beat(random);
    settle(random);
  }

 private:
  // Wings go up or down, more or less far.
  void beat(ItemRandom& random) {
    const double far = random.below(3) == 0 ? -random.uniform(0.65, 0.85) : random.uniform(0.75, 1.0);
    const auto turn = [far](Point& p) { p.y *= far; };
    for (Outline* wing : {&form.wing, &form.far_wing}) std::ranges::for_each(*wing, turn);
    turn(form.wing_root);
    turn(form.wing_tip);
  }

  // Anywhere where all of it is in the picture.
  void settle(ItemRandom& random) {
    Point low{kSide, kSide}, high{-kSide, -kSide};
    for (const Outline* part : {&form.body, &form.wing, &form.far_wing, &form.tail, &beak, &feet})
      for (const Point corner : place(*part)) {
        low = {std::min(low.x, corner.x), std::min(low.y, corner.y)};
        high = {std::max(high.x, corner.x), std::max(high.y, corner.y)};
      }
    const auto anywhere = [&random](double from, double to) {
      const double middle = 0.5 * (kSide - from - to),
                   free = std::max(0.0, 0.5 * (kSide - to + from) - kMargin);
      return middle + std::min(free, 4.0) * random.uniform(-1, 1);
    };
    place.x = anywhere(low.x, high.x);
    place.y = anywhere(low.y, high.y);
  }
};

// Soft patches, `flat` times as high as wide.
void add_patches(Painting& painting, std::span<const Colour> colours, int count, double flat, double opacity,
                 ItemRandom& random) {
  for (int i = 0; i < count; ++i) {
    const Point centre{random.uniform(0, kSide), random.uniform(0, kSide)};
    const double radius = random.uniform(6, 16);
    const Colour colour = colours[random.below(static_cast<std::uint32_t>(colours.size()))];
    painting.paint(painting.glow(centre, radius, radius * flat), colour, opacity * random.uniform(0.5, 1));
  }
}

void paint_sky(Painting& painting, ItemRandom& random) {
  const Colour high = some({0.42, 0.64, 0.86}, {0.60, 0.76, 0.90}, random),
               low = some({0.78, 0.88, 0.95}, {0.94, 0.90, 0.84}, random);
  painting.paint(painting.everything(), high, low);
  const std::array clouds{Colour{0.98, 0.98, 0.98}};
  add_patches(painting, clouds, 3, 0.45, 0.8, random);
}

void paint_leaves(Painting& painting, ItemRandom& random) {
  const Colour light = some({0.80, 0.87, 0.70}, {0.88, 0.90, 0.82}, random),
               dark = some({0.62, 0.75, 0.58}, {0.70, 0.78, 0.66}, random);
  painting.paint(painting.everything(), light, dark);
  const std::array leaves{Colour{0.50, 0.66, 0.45}, Colour{0.92, 0.95, 0.80}, Colour{0.66, 0.78, 0.62}};
  add_patches(painting, leaves, 5, 1, 0.5, random);
}

void paint_branch(Painting& painting, const Placement& bird, ItemRandom& random) {
  const Point foot = bird({2.5, 20});
  const double slope = random.uniform(-0.25, 0.25), radius = random.uniform(1.5, 2.1);
  const auto at = [&](double x) { return Point{x, foot.y + radius + slope * (x - foot.x)}; };
  const Colour bark = some({0.36, 0.27, 0.20}, {0.50, 0.42, 0.35}, random);
  for (int twig = 0; twig < 2; ++twig) {
    const Point from = at(random.uniform(0, kSide));
    const double across = random.uniform(-8, 8), down = (twig == 0 ? -1 : 1) * random.uniform(3, 9);
    const Point to{from.x + across, from.y + down};
    painting.paint(painting.stroked({from, to}, 0.4), bark);
    painting.paint(painting.filled(smooth(
                       Outline{to, {to.x + 2, to.y - 2}, {to.x + 6, to.y - 1}, {to.x + 2, to.y + 1.5}})),
                   some({0.35, 0.55, 0.28}, {0.48, 0.62, 0.30}, random));
  }
  painting.paint(painting.stroked({at(-4), at(kSide + 4)}, radius), shade(bark, 1.2), shade(bark, 0.75));
}

struct Water {
  double line;  // of the bird, a row
  Colour near, far;
};

Water paint_water(Painting& painting, const Placement& bird, ItemRandom& random) {
  const Water water{bird({0, 6}).y, some({0.40, 0.62, 0.68}, {0.46, 0.66, 0.76}, random),
                    some({0.68, 0.82, 0.84}, {0.74, 0.84, 0.90}, random)};
  const double shore = std::clamp(water.line - random.uniform(10, 26), 4.0, 30.0);
  paint_sky(painting, random);
  const Colour bank = some({0.52, 0.64, 0.48}, {0.70, 0.72, 0.58}, random);
  painting.paint(painting.filled({{0, shore - random.uniform(1, 6)},
                                  {kSide, shore - random.uniform(1, 6)},
                                  {kSide, shore + 1},
                                  {0, shore + 1}}),
                 bank);
  painting.paint(painting.filled({{0, shore}, {kSide, shore}, {kSide, kSide}, {0, kSide}}), water.far,
                 water.near);
  for (int wave = 0; wave < 4; ++wave) {
    const double x = random.uniform(0, kSide), y = random.uniform(shore + 3, kSide),
                 half = random.uniform(2, 7);
    painting.paint(painting.stroked({{x - half, y}, {x, y - 0.6}, {x + half, y}}, 0.2), {0.95, 0.98, 1.0},
                   0.6);
  }
  return water;
}

// The bird under water, and what the water shows of it.
void sink(Painting& painting, const Bird& bird, const Water& water, ItemRandom& random) {
  const Mask below = painting.filled({{0, water.line}, {kSide, water.line}, {kSide, kSide}, {0, kSide}});
  Outline reflection = bird.place(smooth(bird.form.body));
  painting.paint(both(below, painting.filled(reflection)), water.near, 0.9);
  for (Point& p : reflection) p.y = 2 * water.line - p.y;
  painting.paint(both(below, painting.filled(reflection)), bird.plumage, water.near, 0.35);
  const double size = bird.place.size();
  for (const double ring : {0.0, 1.0, 2.0}) {
    const double half = size * (22 + 3 * ring) + random.uniform(0, 3),
                 y = water.line + ring * (1 + 2.4 * size);
    const Point middle{bird.place.x - bird.place.across + random.uniform(-3, 3) * ring, y};
    painting.paint(
        painting.stroked({{middle.x - half, y - 0.5}, {middle.x, y + 0.7}, {middle.x + half, y - 0.5}}, 0.3),
        {0.97, 0.99, 1.0}, 0.8 - 0.2 * ring);
  }
}

class BirdPainter {
 public:
  BirdPainter(Painting& painting, const Bird& bird, ItemRandom& random)
      : painting_(painting), bird_(bird), random_(random), dark_(shade(bird.plumage, 0.55)) {}

  void paint(bool bars) {
    const Colour wing = shade(bird_.plumage, random_.uniform(0.66, 0.8));
    if (!bird_.form.far_wing.empty()) paint_wing(bird_.form.far_wing, shade(wing, 0.85), false);
    part(painting_.filled(bird_.place(bird_.form.tail)), bird_.place(bird_.form.tail),
         shade(bird_.plumage, 0.75), 0.75);
    paint_legs();
    paint_beak();
    paint_body();
    paint_wing(bird_.form.wing, wing, bars);
    paint_eye();
  }

 private:
  // A part of the plumage with a fine line around it.
  void part(const Mask& mask, Outline outline, Colour colour, double lower) {
    painting_.paint(mask, shade(colour, 1.06), shade(colour, lower));
    outline.push_back(outline.front());
    painting_.paint(painting_.stroked(outline, 0.15), dark_, 0.55);
  }

  void paint_legs() {
    for (const Point foot : bird_.feet)
      painting_.paint(
          painting_.stroked({bird_.place({foot.x, 10}), bird_.place(foot)}, 0.35 + 0.35 * bird_.place.size()),
          shade(bird_.bill, 0.8));
  }

  void paint_beak() {
    const Outline beak = bird_.place(bird_.beak);
    painting_.paint(painting_.filled(beak), shade(bird_.bill, 1.1), shade(bird_.bill, 0.8));
    Outline edge = beak;
    edge.push_back(beak.front());
    painting_.paint(painting_.stroked(edge, 0.15), kInk, 0.6);
  }

  void paint_body() {
    const BirdForm& form = bird_.form;
    const Outline outline = bird_.place(smooth(form.body));
    const Mask body = painting_.filled(outline);
    part(body, outline, bird_.plumage, 0.8);
    const auto within = [&](const Outline& knots) {
      return both(body, painting_.filled(bird_.place(smooth(knots))));
    };
    const Colour belly = mix(bird_.plumage, kCream, random_.uniform(0.1, 0.35));
    painting_.paint(within(form.belly), belly, shade(belly, 0.9));
    painting_.paint(within(form.crown), shade(bird_.plumage, random_.uniform(0.6, 1.1)));
  }

  void paint_wing(const Outline& knots, Colour colour, bool bars) {
    const Outline outline = bird_.place(smooth(knots));
    const Mask wing = painting_.filled(outline);
    part(wing, outline, colour, 0.85);
    if (!bars) return;
    const Point root = bird_.form.wing_root, tip = bird_.form.wing_tip;
    for (const double along : {0.25, 0.6}) {
      const Point middle{root.x + along * (tip.x - root.x), root.y + along * (tip.y - root.y)};
      const Point across{0.45 * (tip.y - root.y), -0.45 * (tip.x - root.x)};
      const Outline bar{{middle.x - across.x, middle.y - across.y},
                        {middle.x + across.x, middle.y + across.y}};
      painting_.paint(both(wing, painting_.stroked(bird_.place(bar), 0.5 + 1.8 * bird_.place.size())),
                      kCream);
    }
  }

  void paint_eye() {
    const double size = 0.25 + 0.75 * bird_.place.size();
    const Point eye = bird_.place(bird_.form.eye);
    const double ring = random_.uniform(2.0, 2.5) * size, pupil = random_.uniform(1.3, 1.6) * size;
    painting_.paint(painting_.filled(ellipse(eye, ring, ring)),
                    some({0.98, 0.96, 0.90}, {0.95, 0.85, 0.5}, random_));
    painting_.paint(painting_.filled(ellipse(eye, pupil, pupil)), kInk);
    painting_.paint(
        painting_.filled(ellipse({eye.x - 0.4 * size, eye.y - 0.5 * size}, 0.5 * size, 0.5 * size)),
        {1, 1, 1});
  }

  Painting& painting_;
  const Bird& bird_;
  ItemRandom& random_;
  Colour dark_;
};

// As a camera sees it: lighter or darker, with a little noise.
void develop(const Painting& painting, ItemRandom& random, std::span<std::uint8_t> picture) {
  const double light = random.uniform(0.92, 1.06);
  const std::span<const float> values = painting.values();
  for (std::size_t i = 0; i < picture.size(); i += 3) {
    const double noise = random.uniform(-2, 2);
    for (std::size_t c = i; c < i + 3; ++c)
      picture[c] =
          static_cast<std::uint8_t>(std::clamp(255 * light * double{values[c]} + noise + 0.5, 0.0, 255.0));
  }
}

}  // namespace

void draw_bird(const BirdLook& look, ItemRandom& random, std::span<std::uint8_t> picture) {
  const Bird bird(look, random);
  Painting painting(kBirdSide, kBirdSide);
  Water water{};
  if (look.pose == BirdPose::swimming) {
    water = paint_water(painting, bird.place, random);
  } else if (look.pose == BirdPose::flying) {
    paint_sky(painting, random);
  } else {
    random.below(2) == 0 ? paint_sky(painting, random) : paint_leaves(painting, random);
    paint_branch(painting, bird.place, random);
  }
  BirdPainter(painting, bird, random).paint(look.bars);
  if (look.pose == BirdPose::swimming) sink(painting, bird, water, random);
  develop(painting, random, picture);
}

}  // namespace mld::data
