// Sums and means over chosen axes, softmax, and the losses of autoencoders and classifiers.
#pragma once

#include <initializer_list>
#include <span>

#include "engine/core/tape.h"

namespace mld {

// Over the given axes (negative ones count from the end), which disappear unless `keep` is set.
Var sum(const Var& x, std::initializer_list<int> axes, bool keep = false);
Var mean(const Var& x, std::initializer_list<int> axes, bool keep = false);
Var sum(const Var& x);   // everything, shape [1]
Var mean(const Var& x);  // everything, shape [1]

// Over the last axis. mask (optional, u8, the shape of x): entries with 0 get probability 0; a row needs at
// least one entry that is not masked.
Var softmax(const Var& x, const Tensor& mask = {});
Var log_softmax(const Var& x, const Tensor& mask = {});

// The place of the largest value over the last axis, i32 [...]: the first of several, -1 in a row with a NaN. No gradient.
Tensor argmax(const Tensor& x);

// f32 [..., K] with a 1 where the number i32 [...] points and zeros elsewhere; a number outside 0..K-1 has none. No
// gradient.
Tensor one_hot(const Tensor& index, std::int64_t categories);

// Mean over rows of -log softmax(logits)[label]; logits [B,K], labels i32 [B]; a label outside 0..K-1 (such
// as -1, "unknown") leaves its row out of the mean. Shape [1].
Var cross_entropy(const Var& logits, const Tensor& labels);

// Losses: scale * sum over all elements (or rows) of ..., shape [1]. A batch mean of per-sample sums is
// scale = 1/B. `weight` (optional, constant) has the shape of x or is broadcast from [B,1,...].
Var l1(const Var& x, const Tensor& target, double scale, const Tensor& weight = {});  // w |x - t|
Var squared_error(const Var& x, const Tensor& target, double scale,
                  const Tensor& weight = {});  // w (x - t)^2
// -t log p - (1-t) log(1-p) with p = sigmoid(logit), from the logits.
Var bernoulli_nll(const Var& logits, const Tensor& target, double scale);
// -log of the probability of the target, from probabilities [..., K] that are renormalised over the last axis
// and clamped to [1.19e-7, 1 - 1.19e-7] (docs/method.md section 2); target i32 of shape [...]; `weight` [B,1,...].
Var categorical_nll(const Var& probabilities, const Tensor& target, double scale, const Tensor& weight = {});

}  // namespace mld
