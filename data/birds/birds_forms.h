// The bodies of `birds` as knots of curves: what a bird looks like in each pose.
#pragma once

#include <vector>

#include "data/birds/birds.h"
#include "data/pictures/shapes.h"

namespace mld::data {

// In pixels of a large bird that faces right, y down, about the middle of its body. Curves are closed (smooth()), tail
// and beaks are polygons.
struct BirdForm {
  Outline body, belly, crown, wing, far_wing, tail;  // no far wing where wings are folded
  Point eye, bill;                                   // the beak begins there
  Point wing_root, wing_tip;                         // the axis that bars cross
};

const BirdForm& bird_form(BirdPose pose);
const Outline& bird_beak(BirdBeak beak);  // about the bill

}  // namespace mld::data
