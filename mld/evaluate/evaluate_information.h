// The part of an evaluation that asks the score network what modalities tell about each other.
#pragma once

#include <cstdint>

#include "mld/evaluate/choice/evaluation_rows.h"
#include "mld/evaluate/evaluation.h"
#include "mld/evaluate/latent_metrics.h"
#include "mld/run/model.h"

namespace mld {

// Mutual information of the latents z [N,D] of the rows, and for a `uni` model the in-painting gap: only its
// network knows modalities at different times above 0. `result` is told in a note what is left out.
void evaluate_information(const Model& model, const EvaluationRows& rows, const Tensor& z, std::uint64_t seed,
                          const Tell& tell, Evaluation& result);

}  // namespace mld
