// All differentiable operators.
#pragma once

#include "engine/ops/conv.h"
#include "engine/ops/layout.h"
#include "engine/ops/linear.h"
#include "engine/ops/norm.h"
#include "engine/ops/pointwise.h"
#include "engine/ops/random.h"
#include "engine/ops/reduction.h"
