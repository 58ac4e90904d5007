// The numbers of an evaluation as the sections of a report.
#pragma once

#include <string>

#include "mld/evaluate/evaluation.h"

namespace mld::report {

// How it was made, what each metric found, and the notes.
std::string evaluation_tables(const Evaluation& evaluation);

}  // namespace mld::report
