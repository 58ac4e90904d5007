// Model files: one safetensors file with tensors named by role and path,
//   model/PATH  ema/PATH  adam.m/PATH  adam.v/PATH  buffer/PATH
// in PyTorch's layouts (file_layout.h). Several models share a file through a prefix of their paths. Strings
// in the metadata: "format_version", "config" (verbatim), and in checkpoints of a training "training" (JSON:
// seed, step, updates, bad_steps). Checksums, atomic replacement and the grammar are
// engine/io/safetensors.h's.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "engine/io/safetensors.h"
#include "engine/runtime/step_state.h"
#include "nn/parameter.h"

namespace mld::nn {

inline constexpr int kFormatVersion = 1;

// A model's part of a file: its paths begin with `prefix` (such as "score."; may be empty).
struct StoredModel {
  std::string prefix;
  ParameterStore* store;
};

// What a file says besides tensors.
struct FileNotes {
  std::string config;                 // verbatim
  std::optional<StepState> training;  // without the loss ring
  Metadata extra;                     // further entries
};

// Everything needed to go on training: values, EMA, moments, buffers. Throws ErrorKind::diverged, leaving the
// previous file untouched, if a tensor is not finite.
void save_checkpoint(const std::filesystem::path& path, std::span<const StoredModel> models,
                     const FileNotes& notes);
// Fills the stores. Missing, unexpected and wrongly shaped tensors are all listed in one ErrorKind::model.
FileNotes load_checkpoint(const std::filesystem::path& path, std::span<const StoredModel> models);

// For inference: model/ holds the EMA weights where a store has them.
void save_weights(const std::filesystem::path& path, std::span<const StoredModel> models,
                  const FileNotes& notes);
// Fills values and buffers, from ema/ where the file has it, else from model/; accepts both kinds of files.
// Tensors under other prefixes are left alone. Afterwards the EMA is a copy of the values and the moments are
// zero.
FileNotes load_weights(const std::filesystem::path& path, std::span<const StoredModel> models);

}  // namespace mld::nn
