#pragma once

#include "engine/core/names.h"  // IWYU pragma: export
