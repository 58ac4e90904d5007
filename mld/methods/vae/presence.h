// Which modalities the rows of a batch have, and the numbers that follow from it: a row that lacks some counts in the
// terms of the others alone (docs/method.md section 20.2). Without holes these are the same for all rows, and cost
// nothing.
#pragma once

#include "engine/core/tensor.h"
#include "mld/diffusion/subsets.h"

namespace mld::vae {

// A number for each row: `same` times the row's own.
struct RowNumber {
  double same = 1;
  Tensor rows = {};  // [B,1]; undefined: 1 for all
};
RowNumber operator+(const RowNumber& a, const RowNumber& b);
RowNumber operator-(const RowNumber& a, double b);
RowNumber operator*(const RowNumber& a, const RowNumber& b);
RowNumber operator/(const RowNumber& a, const RowNumber& b);

class Presence {
 public:
  // sets i32 [B]: bit m is set where the row has modality m, each row at least one; undefined: all rows have all.
  // Numbers are of that type.
  Presence(int modalities, Tensor sets, DType dtype)
      : modalities_(modalities), sets_(std::move(sets)), dtype_(dtype) {}

  bool complete() const { return !sets_.defined(); }
  RowNumber has(Subset set) const;  // 1 where the row has all of it, 0 elsewhere
  RowNumber count() const;          // modalities that the row has

 private:
  int modalities_;
  Tensor sets_;
  DType dtype_;
};

}  // namespace mld::vae
