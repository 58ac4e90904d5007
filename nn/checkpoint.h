// Model files: one safetensors file with tensors named by role and path,
//   model/PATH  ema/PATH  adam.m/PATH  adam.v/PATH  buffer/PATH
// in PyTorch's layouts (file_layout.h). Several models share a file through a prefix of their paths. Strings
// in the metadata: "format_version", "config" (verbatim), and in checkpoints of a training "training" (JSON:
// seed, step, updates, bad_steps). Checksums, atomic replacement and the grammar are
// engine/io/safetensors.h's.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

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
  // Of a file that was read, for each of the models asked for: 16 hex digits, see content_hash().
  std::vector<std::string> content = {};
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
// Fills values and buffers, from ema/ where the file has it, else from model/; accepts both kinds of
// files. Tensors under other prefixes are left alone. Afterwards the EMA is a copy of the values and
// the moments are zero.
void load_weights(const SafetensorsFile& file, std::span<const StoredModel> models);
FileNotes load_weights(const std::filesystem::path& path, std::span<const StoredModel> models);

// Fingerprint (16 hex digits) of the weights and buffers that inference with the model of this prefix uses:
// the same for a checkpoint, for its copy and for what save_weights() made of it.
std::string content_hash(const SafetensorsFile& file, const std::string& prefix);

// What a file of one model says; no tensor is kept.
FileNotes read_notes(const SafetensorsFile& file);
FileNotes read_notes(const std::filesystem::path& path);
// Writes the file once more, atomically, with other entries in its metadata
// (FileNotes::extra); the tensors stay.
void copy_with_notes(const std::filesystem::path& from, const std::filesystem::path& to,
                     const std::function<void(Metadata&)>& change);
void rewrite_notes(const std::filesystem::path& path, const std::function<void(Metadata&)>& change);

}  // namespace mld::nn
